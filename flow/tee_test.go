package flow_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/flow"
)

func TestTeeSharesTheVeryValueWithAllOutputs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		message := []byte("message")
		for i, got := range gather(flow.Tee(context.Background(), of(message, nil, []byte{}), 3), func() {}) {
			if diff := cmp.Diff([][]byte{message, nil, {}}, got); diff != "" {
				t.Fatalf("output %d (-want +got):\n%s", i, diff)
			}
			if &got[0][0] != &message[0] {
				t.Errorf("output %d got a copy", i)
			}
		}
	})
}

func TestTeeHandsAValueToItsOutputsInAnyOrder(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		inBubble(t, func(t *testing.T) {
			outs := flow.Tee(context.Background(), of(upTo(5)...), len(order))
			for v := range 5 {
				for _, i := range order {
					if got := <-outs[i]; got != v {
						t.Errorf("order %v, output %d: received %d, expected %d", order, i, got, v)
					}
				}
			}
		})
	}
}

func TestTeeTakesNoValueBeforeAllOutputsHaveTheLast(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		in := newSupply(t, 10, 0, true)
		outs := flow.Tee(ctx, in.in, 3)
		<-outs[0]
		<-outs[2]
		synctest.Wait()
		if in.taken() != 1 {
			t.Errorf("%d values taken while output 1 has none, expected 1", in.taken())
		}
		select {
		case v := <-outs[0]:
			t.Errorf("output 0 is at %d, output 1 has nothing yet", v)
		default:
		}
		<-outs[1]
		synctest.Wait()
		if in.taken() != 2 {
			t.Errorf("%d values taken when all outputs have one, expected 2", in.taken())
		}
	})
}

func TestTeeToNothingDropsTheValues(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		in := newSupply(t, 10, 0, true)
		if outs := flow.Tee(context.Background(), in.in, 0); len(outs) != 0 {
			t.Errorf("%d outputs, expected none", len(outs))
		}
		synctest.Wait()
		if in.taken() != 10 {
			t.Errorf("%d values taken, expected all 10", in.taken())
		}
	})
}
