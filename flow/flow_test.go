package flow_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/flow"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// inBubble runs a test on virtual time. It fails, with the stacks, if the test
// leaves goroutines that only the end of the process would end: every test
// has to close its inputs or to end its context.
func inBubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		leaktest.Check(t)
		test(t)
	})
}

// supply is an input that counts what was taken from it.
type supply struct {
	in    chan int
	given atomic.Int32
}

// newSupply gives the values from 0 up to n, and closes the input if told so.
func newSupply(t *testing.T, n, buffer int, closes bool) *supply {
	s := &supply{in: make(chan int, buffer)}
	go func() { // ends with its values or the test
		for v := range n {
			select {
			case s.in <- v:
				s.given.Add(1)
			case <-t.Context().Done():
				return
			}
		}
		if closes {
			close(s.in)
		}
	}()
	return s
}

// taken is exact while everything waits.
func (s *supply) taken() int { return int(s.given.Load()) - len(s.in) }

// upTo returns the values from 0 up to n.
func upTo(n int) []int {
	values := make([]int, n)
	for i := range values {
		values[i] = i
	}
	return values
}

// of returns a closed input with values in its buffer.
func of[T any](values ...T) <-chan T {
	in := make(chan T, len(values))
	for _, v := range values {
		in <- v
	}
	close(in)
	return in
}

// isOver reports whether a channel is closed and empty.
func isOver[T any](c <-chan T) bool {
	select {
	case _, ok := <-c:
		return !ok
	default:
		return false
	}
}

// gather receives from all outputs at once until they are closed, and calls
// each after every value.
func gather[T any](outs []<-chan T, each func()) [][]T {
	got := make([][]T, len(outs))
	var receivers sync.WaitGroup
	for i, out := range outs {
		got[i] = []T{}
		receivers.Go(func() { // ends with out
			for v := range out {
				got[i] = append(got[i], v)
				each()
			}
		})
	}
	receivers.Wait()
	return got
}

// stage is a composition that passes the values of one input on unchanged,
// for the rules that hold for all compositions.
type stage struct {
	name  string
	holds int
	start func(ctx context.Context, in <-chan int) []<-chan int
}

var stages = []stage{
	{"Merge of one", 1, func(ctx context.Context, in <-chan int) []<-chan int {
		return []<-chan int{flow.Merge(ctx, in)}
	}},
	{"Merge with a closed input", 1, func(ctx context.Context, in <-chan int) []<-chan int {
		return []<-chan int{flow.Merge(ctx, of[int](), in)}
	}},
	{"Tee to one", 1, teeTo(1)},
	{"Tee to three", 1, teeTo(3)},
	{"Map with one worker", 1, mapWith(1)},
	{"Map with two workers", 2, mapWith(2)},
	{"Map with five workers", 5, mapWith(5)},
}

func teeTo(n int) func(context.Context, <-chan int) []<-chan int {
	return func(ctx context.Context, in <-chan int) []<-chan int { return flow.Tee(ctx, in, n) }
}

func mapWith(workers int) func(context.Context, <-chan int) []<-chan int {
	return func(ctx context.Context, in <-chan int) []<-chan int {
		return []<-chan int{flow.Map(ctx, in, workers, func(v int) int { return v })}
	}
}

// forEachStage runs a test for every stage, with inputs of several buffers.
func forEachStage(t *testing.T, test func(t *testing.T, s stage, buffer int)) {
	for _, s := range stages {
		for _, buffer := range []int{0, 1, 7} {
			t.Run(fmt.Sprintf("%s/input buffer %d", s.name, buffer), func(t *testing.T) { test(t, s, buffer) })
		}
	}
}

// No context ends here: with the inputs alone all goroutines do.
func TestAllValuesArriveInOrderBeforeTheOutputsClose(t *testing.T) {
	forEachStage(t, func(t *testing.T, s stage, buffer int) {
		for _, n := range []int{0, 1, 2, 100} {
			inBubble(t, func(t *testing.T) {
				outs := s.start(context.Background(), newSupply(t, n, buffer, true).in)
				want := slices.Repeat([][]int{upTo(n)}, len(outs))
				if diff := cmp.Diff(want, gather(outs, func() {})); diff != "" {
					t.Errorf("%d values (-want +got):\n%s", n, diff)
				}
			})
		}
	})
}

func TestNoMoreIsTakenAheadThanPromised(t *testing.T) {
	forEachStage(t, func(t *testing.T, s stage, buffer int) {
		inBubble(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			in := newSupply(t, 100, buffer, true)
			outs := s.start(ctx, in.in)
			for received := range 20 {
				synctest.Wait()
				if got, want := in.taken(), received+s.holds; got != want {
					t.Fatalf("%d values taken when %d were received, expected %d", got, received, want)
				}
				for _, out := range outs {
					<-out
				}
			}
		})
	})
}

// The context ends while nobody receives: before the first value, between any
// two, and after the last while the input stays open.
func TestEndOfTheContextClosesTheOutputsAfterAnyNumberOfValues(t *testing.T) {
	const n = 12
	forEachStage(t, func(t *testing.T, s stage, buffer int) {
		for received := range n + 1 {
			inBubble(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				in := newSupply(t, n, buffer, false)
				outs := s.start(ctx, in.in)
				for v := range received {
					for i, out := range outs {
						if got := <-out; got != v {
							t.Errorf("output %d: received %d, expected %d", i, got, v)
						}
					}
				}
				synctest.Wait()
				cancel()
				synctest.Wait()
				for i, out := range outs {
					if !isOver(out) {
						t.Errorf("after %d values output %d is not closed", received, i)
					}
				}
				if got, want := in.taken(), min(n, received+s.holds); got != want {
					t.Errorf("after %d values %d were taken, expected %d", received, got, want)
				}
			})
		}
	})
}

// The context ends while all goroutines run, wherever they happen to be.
func TestOutputsHaveNoGapsWhenTheContextEndsInTheMidst(t *testing.T) {
	const n = 1000
	forEachStage(t, func(t *testing.T, s stage, buffer int) {
		for end := int32(1); end <= 15; end++ {
			inBubble(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				outs := s.start(ctx, newSupply(t, n, buffer, true).in)
				var received atomic.Int32
				for i, got := range gather(outs, func() {
					if received.Add(1) == end {
						cancel()
					}
				}) {
					if len(got) == n {
						t.Errorf("output %d got all values, although ctx ended", i)
					}
					if diff := cmp.Diff(upTo(len(got)), got); diff != "" {
						t.Errorf("output %d (-want +got):\n%s", i, diff)
					}
				}
				if received.Load() < end {
					t.Errorf("%d values received, ctx should have ended at %d", received.Load(), end)
				}
			})
		}
	})
}

func TestContextThatHasEndedTakesNothing(t *testing.T) {
	forEachStage(t, func(t *testing.T, s stage, buffer int) {
		inBubble(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			in := newSupply(t, 10, buffer, true)
			outs := s.start(ctx, in.in)
			synctest.Wait()
			for i, out := range outs {
				if !isOver(out) {
					t.Errorf("output %d is not closed", i)
				}
			}
			if got := in.taken(); got != 0 {
				t.Errorf("%d values taken", got)
			}
		})
	})
}
