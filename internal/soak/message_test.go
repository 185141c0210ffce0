package main

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"
)

// messageSizes are those at which a message looks different.
var messageSizes = []int{0, 1, headerSize - 1, headerSize, headerSize + 1, 4096, 1 << 20, maxMessage}

func TestASequenceTakesTheMessagesOfItsSenderInOrder(t *testing.T) {
	s := sequence{from: 7, next: 1}
	for i, size := range messageSizes {
		if err := s.take(compose(7, uint64(i+1), size)); err != nil {
			t.Errorf("message of %d bytes: %v", size, err)
		}
	}
	if s.gaps > 0 {
		t.Errorf("%d gaps", s.gaps)
	}
}

func TestAMessageIsTheSameInOnePieceAndInMany(t *testing.T) {
	for _, size := range messageSizes {
		whole := compose(7, 9, size)
		read, err := io.ReadAll(reading(7, 9, size))
		if err != nil || !bytes.Equal(read, whole) {
			t.Errorf("%d bytes: the pieces differ from the whole (%v)", size, err)
		}
		if size > 4096 {
			continue
		}
		var c checker
		io.Copy(&c, iotest.OneByteReader(bytes.NewReader(whole)))
		s := sequence{from: 7, next: 9}
		if err := s.takeChecked(&c); err != nil {
			t.Errorf("%d bytes, one at a time: %v", size, err)
		}
	}
}

// mutants are what a faulty library could make of messages 1, 2, 3 and 4.
var mutants = []struct {
	name   string
	mutate func([][]byte) [][]byte
	// What a receiver says that may not miss one, and what one says that may:
	// it counts the gaps, which only the sender can account for.
	strict, tolerant error
	gaps             uint64
}{
	{"a message is lost", func(m [][]byte) [][]byte { return slices.Delete(m, 1, 2) }, errMissing, nil, 1},
	{"the last message is lost", func(m [][]byte) [][]byte { return m[:3] }, nil, nil, 0}, // the counts tell
	{"a message is doubled", func(m [][]byte) [][]byte { return slices.Insert(m, 1, m[0]) }, errRepeated, errRepeated, 0},
	{"the last message is doubled", func(m [][]byte) [][]byte { return append(m, m[3]) }, errUnasked, errRepeated, 0},
	{"two messages are swapped", func(m [][]byte) [][]byte { m[1], m[2] = m[2], m[1]; return m }, errMissing, errRepeated, 1},
	{"a byte of the body differs", func(m [][]byte) [][]byte { m[1][40] ^= 1; return m }, errDamaged, errDamaged, 0},
	{"a byte of the header differs", func(m [][]byte) [][]byte { m[1][9] ^= 1; return m }, errDamaged, errDamaged, 0},
	{"a message is cut", func(m [][]byte) [][]byte { m[1] = m[1][:90]; return m }, errDamaged, errDamaged, 0},
	{"a message is cut to nothing", func(m [][]byte) [][]byte { m[1] = m[1][:5]; return m }, errDamaged, errDamaged, 0},
	{"a message is longer", func(m [][]byte) [][]byte { m[1] = append(m[1], 0); return m }, errDamaged, errDamaged, 0},
	{"a message of another connection", func(m [][]byte) [][]byte { m[1] = compose(8, 2, 100); return m }, errForeign, errForeign, 0},
	{"nothing is wrong", func(m [][]byte) [][]byte { return m }, nil, nil, 0},
}

func TestAReceiverNoticesWhatIsWrong(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			s := sequence{from: 7, next: 1}
			var err error
			for _, msg := range m.mutate(conversation(7)) {
				if err = s.take(msg); err != nil {
					break
				}
			}
			if !errors.Is(err, m.tolerant) || s.gaps != m.gaps {
				t.Errorf("error %v and %d gaps, expected %v and %d", err, s.gaps, m.tolerant, m.gaps)
			}
		})
	}
}

// conversation returns messages 1 to 4 of a sender.
func conversation(from uint64) [][]byte {
	var messages [][]byte
	for n := range uint64(4) {
		messages = append(messages, compose(from, n+1, 100))
	}
	return messages
}

func TestTinyMessagesOutOfPlaceAreNoticed(t *testing.T) {
	for _, size := range []int{8, headerSize - 1} {
		s := sequence{from: 7, next: 1}
		if err := s.take(compose(7, 2, size)); !errors.Is(err, errDamaged) {
			t.Errorf("message 2 of %d bytes instead of 1: error %v, expected %v", size, err, errDamaged)
		}
	}
}

func TestARequestSaysHowMuchItAsksFor(t *testing.T) {
	size, err := asked(asking(7, 1, 12345))
	if size != 12345 || err != nil {
		t.Errorf("it asks for %d (%v)", size, err)
	}
	if _, err := asked(compose(7, 1, 100)); err == nil {
		t.Error("a message that asks for nothing is taken for one that does")
	}
}

func TestSizesAreMostlySmallAndNeverAboveTheLimit(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var empty, small, large int
	for range 100000 {
		switch n := sizes(rng, maxMessage); {
		case n > maxMessage:
			t.Fatalf("%d bytes, above the limit of %d", n, maxMessage)
		case n == 0:
			empty++
		case n <= 4<<10:
			small++
		case n > 1<<20:
			large++
		}
		if n := sizes(rng, 1000); n > 1000 {
			t.Fatalf("%d bytes, above the limit of 1000", n)
		}
	}
	if empty == 0 || small < 50000 || large == 0 {
		t.Errorf("of 100000, %d are empty, %d small, and %d above 1 MiB", empty, small, large)
	}
}
