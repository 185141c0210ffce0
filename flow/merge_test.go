package flow_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/flow"
)

func TestMergeOfNothingIsClosedAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		out := flow.Merge[int](context.Background())
		synctest.Wait()
		if !isOver(out) {
			t.Error("the output is not closed")
		}
	})
}

func TestMergeKeepsTheOrderOfEachInput(t *testing.T) {
	type value struct{ input, number int }
	for seed := range uint64(50) {
		inBubble(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			var ins []<-chan value
			want := make([][]value, 1+random.IntN(6))
			for i := range want {
				want[i] = []value{}
				for number := range random.IntN(40) {
					want[i] = append(want[i], value{i, number})
				}
				in := make(chan value, random.IntN(4))
				pause := time.Duration(random.IntN(3)) * time.Second
				go func() { // ends with its values
					defer close(in)
					for _, v := range want[i] {
						time.Sleep(pause)
						in <- v
					}
				}()
				ins = append(ins, in)
			}
			got := make([][]value, len(want))
			for i := range got {
				got[i] = []value{}
			}
			for v := range flow.Merge(context.Background(), ins...) {
				got[v.input] = append(got[v.input], v)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(value{})); diff != "" {
				t.Errorf("seed %d (-want +got):\n%s", seed, diff)
			}
		})
	}
}

func TestMergeLetsNoInputOvertakeOneThatWaits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var ins []<-chan int
		for input := range 4 {
			ins = append(ins, of(slices.Repeat([]int{input}, 25)...))
		}
		out := flow.Merge(context.Background(), ins...)
		for range 25 {
			var turn []int
			for range ins {
				synctest.Wait() // every input has a value that waits
				turn = append(turn, <-out)
			}
			slices.Sort(turn)
			if diff := cmp.Diff([]int{0, 1, 2, 3}, turn); diff != "" {
				t.Fatalf("inputs of four values in a row (-want +got):\n%s", diff)
			}
		}
		if _, more := <-out; more {
			t.Error("more values than the inputs had")
		}
	})
}

func TestMergeDoesNotWaitForAnInputThatIsSilent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		out := flow.Merge(ctx, make(chan int), of(1, 2), nil)
		if diff := cmp.Diff([]int{1, 2}, []int{<-out, <-out}); diff != "" {
			t.Errorf("received (-want +got):\n%s", diff)
		}
		synctest.Wait()
		select {
		case v, ok := <-out:
			t.Errorf("received %v, %v while two inputs are open", v, ok)
		default:
		}
	})
}
