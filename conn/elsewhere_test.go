package conn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
)

// A relay ends its connection with the error of the one behind it: what is in
// doubt there is not in doubt here.
func TestTheEndOfAnotherConnectionSaysNothingOfOurMessages(t *testing.T) {
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
