package ring_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/internal/ring"
)

func TestARingIsASliceThatLosesItsFirstItems(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	var queue ring.Ring[int]
	var want []int
	for step := range 20_000 {
		// In waves, so that it grows, wraps around at every place and empties.
		if r.IntN(100) < []int{70, 50, 30, 10}[step/500%4] {
			queue.Push(step)
			want = append(want, step)
		} else if len(want) > 0 {
			if got := *queue.Front(); got != want[0] {
				t.Fatalf("seed %d, step %d: Front = %d, expected %d", seed, step, got, want[0])
			}
			if got := queue.Pop(); got != want[0] {
				t.Fatalf("seed %d, step %d: Pop = %d, expected %d", seed, step, got, want[0])
			}
			want = want[1:]
		}
		if r.IntN(10) == 0 {
			queue.Trim() // changes nothing, unless it is empty
		}
		if queue.Len() != len(want) {
			t.Fatalf("seed %d, step %d: Len = %d, expected %d", seed, step, queue.Len(), len(want))
		}
	}
}

func TestItGrowsWhereverItsFirstItemIs(t *testing.T) {
	const least = 16
	for full := least; full <= 4*least; full *= 2 {
		for first := range full {
			var r ring.Ring[int]
			var want, got []int
			for i := range full {
				r.Push(i)
			}
			for i := range first { // as full as it was, from another place on
				r.Pop()
				r.Push(full + i)
			}
			r.Push(full + first)
			for i := range full + 1 {
				want = append(want, first+i)
			}
			for r.Len() > 0 {
				got = append(got, r.Pop())
			}
			if !slices.Equal(want, got) {
				t.Fatalf("with the first of %d items at %d (-want +got):\n%s", full, first, cmp.Diff(want, got))
			}
		}
	}
}

func TestTheFrontMayBeChanged(t *testing.T) {
	var r ring.Ring[string]
	r.Push("one")
	r.Push("two")
	*r.Front() = "another"
	if got := []string{r.Pop(), r.Pop()}; !slices.Equal(got, []string{"another", "two"}) {
		t.Errorf("got %q", got)
	}
}

func TestMemoryIsKeptWhileItIsEmptyUntilTrim(t *testing.T) {
	for _, tt := range []struct {
		items int
		want  float64 // allocations for them behind a Trim
	}{
		{1, 1},
		{16, 2}, // for 1, for 16
		{17, 3},
		{64, 4},
	} {
		var r ring.Ring[int]
		fill := func() {
			for range tt.items {
				r.Push(0)
			}
			for range tt.items {
				r.Pop()
			}
		}
		fill()
		if got := testing.AllocsPerRun(100, fill); got > 0 {
			t.Errorf("%d items: %v allocations without a Trim", tt.items, got)
		}
		if got := testing.AllocsPerRun(100, func() { r.Trim(); fill() }); got != tt.want {
			t.Errorf("%d items: %v allocations behind a Trim, expected %v", tt.items, got, tt.want)
		}
	}
}

func TestSteadyUseOfMuchAllocatesNothing(t *testing.T) {
	var r ring.Ring[int]
	for range 1000 {
		r.Push(0)
	}
	if n := testing.AllocsPerRun(10_000, func() { // many times around
		r.Push(0)
		r.Pop()
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
