package conn_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

func isEnded(c *conn.Conn) bool {
	select {
	case <-c.Ended():
		return true
	default:
		return false
	}
}

func TestEndedIsClosedWhenAllThatArrivedIsTaken(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		for name, take := range map[string]func(*conn.Conn){
			"by Receive": func(c *conn.Conn) { c.Receive(t.Context()) },
			"from Inbox": func(c *conn.Conn) { <-c.Inbox() },
		} {
			t.Run(name, func(t *testing.T) {
				leaktest.Check(t)
				x, y := tcpPair(t)
				a, b := joinBounded(t, x, y, nil, nil)
				if inPipelined() {
					a.Outbox() <- []byte("message") // a Send would wait for b's application
				} else if err := a.Send(t.Context(), []byte("message")); err != nil {
					t.Fatal(err)
				}
				shut := make(chan error, 1)
				go func() { shut <- a.Shutdown(context.Background()) }() // ends with the connection
				if !inPipelined() {                                      // where its time for replies begins when it has the message
					<-b.Done()
				}
				if isEnded(b) {
					t.Error("b has ended, and its message is not taken")
				}
				take(b)
				<-b.Ended()
				<-a.Ended()
				if err := errors.Join(<-shut, a.Err(), b.Err()); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

func TestEndedIsClosedAfterClose(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		x, y := tcpPair(t)
		a, b := joinBounded(t, x, y, nil, nil)
		if isEnded(a) {
			t.Error("it has ended before its time")
		}
		a.Close()
		if !isEnded(a) {
			t.Error("it has not ended")
		}
		<-b.Ended()
	})
}

func TestEndEndsAsTheContextDoes(t *testing.T) {
	why := errors.New("enough")
	for name, tt := range map[string]struct {
		end  func(*conn.Conn, context.CancelCauseFunc)
		want error
	}{
		"with a reason":         {func(c *conn.Conn, _ context.CancelCauseFunc) { c.End(why) }, why},
		"without one":           {func(c *conn.Conn, _ context.CancelCauseFunc) { c.End(nil) }, conn.ErrClosed},
		"by the context":        {func(_ *conn.Conn, cancel context.CancelCauseFunc) { cancel(why) }, why},
		"twice":                 {func(c *conn.Conn, _ context.CancelCauseFunc) { c.End(why); c.End(errors.New("again")) }, why},
		"and after the context": {func(c *conn.Conn, cancel context.CancelCauseFunc) { c.End(why); cancel(errors.New("late")) }, why},
	} {
		t.Run(name, func(t *testing.T) {
			eachMode(t, func(t *testing.T) {
				leaktest.Check(t)
				synctest.Test(t, func(t *testing.T) {
					x, y := memPair(t, 16)
					ctx, cancel := context.WithCancelCause(context.Background())
					defer cancel(nil)
					a, b := joinContext(t, ctx, context.Background(), x, y, &conn.Options{OutboxBuffer: 2}, nil)
					out := a.Outbox()
					out <- []byte("one")
					out <- []byte("two")
					tt.end(a, cancel)
					var got []string
					for m := range b.Inbox() {
						got = append(got, string(m))
					}
					if len(got) != 2 || got[0] != "one" || got[1] != "two" {
						t.Errorf("received %q, expected what was queued", got)
					}
					<-a.Ended()
					checkError(t, a.Err(), tt.want)
				})
			})
		})
	}
}

// The grace period runs from the first end.
func TestAnotherEndGivesNoMoreGrace(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 16)
		s := newStage(t, nc, peer, conn.Options{OutboxBuffer: 1, Grace: 3 * time.Second})
		s.c.Outbox() <- []byte("message") // which the peer does not answer
		start := time.Now()
		s.c.End(errors.New("first"))
		time.Sleep(2 * time.Second)
		s.c.End(errors.New("second"))
		<-s.c.Ended()
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("it took %v, expected 3s", took)
		}
	})
}

func TestSharedOptionsAreThoseOfManyConnections(t *testing.T) {
	var none *conn.Options
	for name, o := range map[string]*conn.Options{"none": none, "zero": {}, "some": {MaxMessage: 10, StallTimeout: -1}} {
		shared := o.Shared()
		if shared.Shared() != shared {
			t.Errorf("%s: shared ones are copied again", name)
		}
		if o != nil && o.Shared() == shared {
			t.Errorf("%s: two copies are one", name)
		}
		x, y := tcpPair(t)
		a, b := joinBounded(t, x, y, shared, shared)
		err := a.Send(t.Context(), make([]byte, 11))
		if wantsError := shared.MaxMessage == 10; errors.Is(err, conn.ErrTooLarge) != wantsError {
			t.Errorf("%s: a message of 11 bytes: %v", name, err)
		}
		b.Close()
	}
	changed := *(&conn.Options{MaxMessage: 10}).Shared()
	changed.MaxMessage = 20
	if got := changed.Shared().MaxMessage; got != 20 {
		t.Errorf("a changed copy allows %d bytes, expected 20", got)
	}
}
