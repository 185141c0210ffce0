package main

import (
	"errors"
	"testing"
)

func TestABookNoticesWhatIsWrongWithEchoes(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			b := newBook(7, 1)
			for range 4 {
				b.expect(100)
			}
			var err error
			for _, msg := range m.mutate(conversation(7)) {
				if err = b.take(msg); err != nil {
					break
				}
			}
			if !errors.Is(err, m.strict) {
				t.Errorf("error %v, expected %v", err, m.strict)
			}
			if lost := m.name == "the last message is lost"; err == nil && lost != (b.open() == 1) {
				t.Errorf("%d echoes are due", b.open())
			}
		})
	}
}

func TestALostEmptyMessageIsNoticedByTheNext(t *testing.T) {
	b := newBook(7, 1)
	b.expect(0)
	b.expect(3)
	if err := b.take(compose(7, 2, 3)); !errors.Is(err, errDamaged) {
		t.Errorf("error %v, expected %v", err, errDamaged)
	}
}

func TestAMessageThatWasNotSentIsNotDue(t *testing.T) {
	b := newBook(7, 1)
	b.expect(100)
	number := b.expect(200)
	if err := b.withdraw(number); err != nil {
		t.Fatal(err)
	}
	if again := b.expect(300); again != number {
		t.Errorf("the next message is number %d, expected %d", again, number)
	}
	for n, size := range []int{100, 300} {
		if err := b.take(compose(7, uint64(n+1), size)); err != nil {
			t.Error(err)
		}
	}
	if b.open() != 0 {
		t.Errorf("%d echoes are due", b.open())
	}
}

func TestAnEchoOfAMessageThatWasNotSentIsNoticed(t *testing.T) {
	b := newBook(7, 1)
	number := b.expect(100)
	if err := b.take(compose(7, 1, 100)); err != nil {
		t.Fatal(err)
	}
	if err := b.withdraw(number); !errors.Is(err, errUnasked) {
		t.Errorf("error %v, expected %v", err, errUnasked)
	}
}

func TestAnEchoOfAnotherSizeIsNoticed(t *testing.T) {
	b := newBook(7, 1)
	b.expect(100)
	if err := b.take(compose(7, 1, 101)); !errors.Is(err, errDamaged) {
		t.Errorf("error %v, expected %v", err, errDamaged)
	}
}
