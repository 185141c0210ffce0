package ring_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/internal/ring"
)

func TestItemsComeOutInTheOrderInWhichTheyWentIn(t *testing.T) {
	var r ring.Ring[int]
	var want, got []int
	in := 0
	push := func(n int) {
		for range n {
			r.Push(in)
			want = append(want, in)
			in++
		}
	}
	pop := func(n int) {
		for range n {
			front := *r.Front()
			if item := r.Pop(); item != front {
				t.Fatalf("Pop returned %d behind a Front of %d", item, front)
			}
			got = append(got, front)
		}
	}
	for _, n := range []int{1, 15, 16, 17, 100, 1000} { // it grows while its first item is anywhere
		push(n)
		pop(n / 2)
		push(n)
		pop(n)
	}
	pop(r.Len())
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPopForgetsTheItem(t *testing.T) {
	var r ring.Ring[*int]
	r.Push(new(int))
	r.Push(new(int))
	front := r.Front()
	r.Pop()
	if *front != nil {
		t.Error("the memory of the Ring still has the item")
	}
}

func TestAnEmptyRingHasNoFront(t *testing.T) {
	for name, f := range map[string]func(*ring.Ring[int]){
		"Front": func(r *ring.Ring[int]) { r.Front() },
		"Pop":   func(r *ring.Ring[int]) { r.Pop() },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			var r ring.Ring[int]
			r.Push(1)
			r.Pop()
			f(&r)
		})
	}
}

func TestSteadyUseAllocatesNothing(t *testing.T) {
	var r ring.Ring[int]
	for range 5 {
		r.Push(0)
	}
	if n := testing.AllocsPerRun(100, func() {
		r.Push(0)
		r.Pop()
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTrimGivesUpMemoryThatIsNotUsed(t *testing.T) {
	var r ring.Ring[int]
	for range 1000 {
		r.Push(1)
	}
	r.Trim()
	for range 1000 {
		if r.Pop() != 1 {
			t.Fatal("an item was lost")
		}
	}
	r.Trim()
	if n := testing.AllocsPerRun(1, func() { r.Push(1); r.Pop(); r.Trim() }); n != 1 {
		t.Errorf("%v allocations for an item after Trim, expected 1", n)
	}
}
