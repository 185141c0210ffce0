package flow_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/flow"
)

func TestMapKeepsTheOrderHoweverLongEachValueTakes(t *testing.T) {
	for seed := range uint64(100) {
		inBubble(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			in := make(chan uint64, random.IntN(5))
			values := make([]uint64, random.IntN(100))
			want := []string{}
			show := func(v uint64) string { return strconv.FormatUint(v, 36) }
			for i := range values {
				values[i] = random.Uint64N(1000)
				want = append(want, show(values[i]))
			}
			go func() { // ends with its values
				defer close(in)
				for _, v := range values {
					time.Sleep(time.Duration(v * 7 % 100))
					in <- v
				}
			}()
			workers, pause := 1+random.IntN(8), random.Int64N(300)
			got := []string{}
			for s := range flow.Map(context.Background(), in, workers, func(v uint64) string {
				time.Sleep(time.Duration(v))
				return show(v)
			}) {
				time.Sleep(time.Duration(pause))
				got = append(got, s)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("seed %d, %d workers (-want +got):\n%s", seed, workers, diff)
			}
		})
	}
}

func TestMapRunsAsManyCallsAtOnceAsItHasWorkers(t *testing.T) {
	for _, tt := range []struct {
		values, workers, most int
		takes                 time.Duration
	}{
		{12, 1, 1, 12 * time.Second},
		{12, 4, 4, 3 * time.Second},
		{13, 4, 4, 4 * time.Second},
		{3, 8, 3, time.Second},
	} {
		inBubble(t, func(t *testing.T) {
			start := time.Now()
			var mu sync.Mutex
			now, most := 0, 0 // guarded by mu
			for range flow.Map(context.Background(), of(upTo(tt.values)...), tt.workers, func(v int) int {
				mu.Lock()
				now++
				most = max(most, now)
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				now--
				mu.Unlock()
				return v
			}) {
			}
			if took := time.Since(start); took != tt.takes {
				t.Errorf("%d values, %d workers: took %v, expected %v", tt.values, tt.workers, took, tt.takes)
			}
			if most != tt.most {
				t.Errorf("%d values, %d workers: %d calls at once, expected %d", tt.values, tt.workers, most, tt.most)
			}
		})
	}
}

func TestMapLetsOnlyItsOtherWorkersGetAheadOfASlowCall(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		release := make(chan struct{})
		var started atomic.Int32
		out := flow.Map(context.Background(), of(upTo(10)...), 3, func(v int) int {
			started.Add(1)
			if v == 0 {
				<-release
			}
			return v
		})
		synctest.Wait()
		if got := started.Load(); got != 3 {
			t.Errorf("%d calls started while the first is in progress, expected 3", got)
		}
		close(release)
		if diff := cmp.Diff([][]int{upTo(10)}, gather([]<-chan int{out}, func() {})); diff != "" {
			t.Errorf("received (-want +got):\n%s", diff)
		}
	})
}

func TestMapClosesItsOutputWhenTheLastCallHasReturned(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		release := make(chan struct{})
		out := flow.Map(ctx, of(upTo(10)...), 3, func(v int) int {
			if v == 2 {
				<-release
			}
			return v
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		if isOver(out) {
			t.Error("the output is closed while a call is in progress")
		}
		close(release)
		synctest.Wait()
		if !isOver(out) {
			t.Error("the output is not closed after the last call")
		}
	})
}

// A t.FailNow in f does that.
func TestMapEndsWithTheContextAlsoIfACallEndedItsGoroutine(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		out := flow.Map(ctx, of(upTo(10)...), 3, func(v int) int {
			if v == 1 {
				runtime.Goexit()
			}
			return v
		})
		if got := <-out; got != 0 {
			t.Errorf("received %d, expected 0", got)
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		if !isOver(out) {
			t.Error("the output is not closed")
		}
	})
}

func TestMapHandsOnNothingFromACallThatEndsTheContext(t *testing.T) {
	failure := errors.New("value 5 is bad")
	for _, workers := range []int{1, 2, 8} {
		for range 20 {
			inBubble(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(context.Background())
				out := flow.Map(ctx, of(upTo(100)...), workers, func(v int) int {
					if v == 5 {
						cancel(failure)
					}
					return v
				})
				got := gather([]<-chan int{out}, func() {})[0]
				if diff := cmp.Diff(upTo(min(5, len(got))), got); diff != "" {
					t.Errorf("%d workers (-want +got):\n%s", workers, diff)
				}
				if workers == 1 && len(got) != 5 {
					t.Errorf("one worker: %d results, expected all 5 before the end", len(got))
				}
				if context.Cause(ctx) != failure {
					t.Errorf("the cause is %v", context.Cause(ctx))
				}
			})
		}
	}
}

func TestMapWithoutWorkersPanics(t *testing.T) {
	for _, workers := range []int{0, -1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d workers: no panic", workers)
				}
			}()
			flow.Map(context.Background(), of(1), workers, func(v int) int { return v })
		}()
	}
}
