package conn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
)

// A relay ends its connection with the error of the one behind it: what is in
// doubt there is not in doubt here.
func TestTheEndOfAnotherConnectionSaysNothingOfOurMessages(t *testing.T) {
	eachMode(t, testTheEndOfAnotherConnectionSaysNothingOfOurMessages)
}

func testTheEndOfAnotherConnectionSaysNothingOfOurMessages(t *testing.T) {
	x, y := tcpPair(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	down, _ := joinContext(t, ctx, context.Background(), x, y, nil, nil)
	upstream := &conn.Error{Remote: x.RemoteAddr(), Err: io.ErrUnexpectedEOF, Unsent: 2, InDoubt: true}
	cancel(fmt.Errorf("upstream: %w", upstream))
	<-down.Done()
	for range down.Inbox() {
	}
	for what, err := range map[string]error{"Err": down.Err(), "Send": down.Send(context.Background(), []byte("late"))} {
		if errors.Is(err, conn.ErrInDoubt) || errors.Is(err, conn.ErrUnsent) {
			t.Errorf("%s says that messages of ours are in doubt or unsent: %v", what, err)
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s does not match the cause: %v", what, err)
		}
	}
	own, ok := errors.AsType[*conn.Error](down.Err())
	if !ok || own == upstream {
		t.Errorf("the first *conn.Error in %v is %v, expected that of this connection", down.Err(), own)
	}
}

// A Handler ends with return c.Err(), which ends the context of its connection.
func TestAConnectionThatBrokeDoesNotBecomeTheCauseOfItsOwnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, raw := memPair(t, 1<<10)
		ctx, cancel := context.WithCancelCause(t.Context())
		c, peer := greetPlayed(t, ctx, nc, raw, nil)
		peer.saysMessage("held") // and nobody receives it
		peer.says(0)
		peer.Close()
		synctest.Wait()
		broke := c.Err()
		if broke == nil {
			t.Fatal("the connection is alive")
		}
		cancel(broke)
		for range c.Inbox() {
		}
		if diff := cmp.Diff(broke.Error(), c.Err().Error()); diff != "" {
			t.Errorf("Err (-before +after):\n%s", diff)
		}
	})
}
