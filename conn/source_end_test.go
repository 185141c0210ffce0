package conn_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

func TestTheEndOfAConnectionDecidesOnWhatWasFetched(t *testing.T) {
	eachMode(t, testTheEndOfAConnectionDecidesOnWhatWasFetched)
}

func testTheEndOfAConnectionDecidesOnWhatWasFetched(t *testing.T) {
	type ends struct {
		a, b   *conn.Conn
		x      *memConn
		cancel context.CancelFunc
	}
	for name, end := range map[string]struct {
		do    func(t *testing.T, e ends)
		after time.Duration
		all   bool // what was fetched still arrives, and what was not doesn't
	}{
		"Close":               {do: func(t *testing.T, e ends) { e.a.Close() }},
		"Shutdown is cut off": {do: func(t *testing.T, e ends) { shutDownWithin(t, e.a, time.Minute) }, after: time.Minute},
		"the peer's Close":    {do: func(t *testing.T, e ends) { e.b.Close() }},
		"a reset":             {do: func(t *testing.T, e ends) { e.x.reset() }},
		"the context, and the grace is over": {do: func(t *testing.T, e ends) {
			e.cancel()
			time.Sleep(conn.DefaultGrace)
		}, after: conn.DefaultGrace},
		"the context, and the peer receives": {do: func(t *testing.T, e ends) {
			e.cancel()
			synctest.Wait()
			for range e.b.Inbox() {
			}
			e.b.Shutdown(t.Context())
		}, all: true},
		"Shutdown, and the peer receives": {do: func(t *testing.T, e ends) {
			go e.a.Shutdown(t.Context()) // ends with the connection
			synctest.Wait()
			for range e.b.Inbox() {
			}
			e.b.Shutdown(t.Context())
		}, all: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, y := memPair(t, 1<<10)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				var opts *conn.Options
				if inPipelined() { // as in classic mode, one arrives, and the next is in flight
					opts = &conn.Options{WindowMessages: 1, InboxBuffer: 1}
				}
				a, b := joinContext(t, ctx, context.Background(), x, y, nil, opts)
				s := newShelf(t)
				attend(t, a, s)
				s.put(a, "arrives", "in flight", "waits")
				synctest.Wait()
				if waiting, open := s.state(); waiting != 1 || open != 1 {
					t.Fatalf("%d wait, %d are open", waiting, open)
				}
				began := time.Now()
				end.do(t, ends{a, b, x, cancel})
				a.Shutdown(context.Background())
				if took := time.Since(began); took != end.after {
					t.Errorf("it took %v, expected %v", took, end.after)
				}
				switch {
				case end.all:
					s.check("arrives", "in flight")
				case inPipelined():
					s.check("arrives", "in flight: closed, in doubt")
				default:
					s.check("arrives", "in flight: closed")
				}
				s.put(a, "too late")
				if waiting, open := s.state(); waiting != 2 || open != 0 || len(a.Unsent()) > 0 {
					t.Errorf("%d wait, %d are open, %d unsent; expected 2, 0, 0", waiting, open, len(a.Unsent()))
				}
			})
		})
	}
}

func shutDownWithin(t *testing.T, c *conn.Conn, limit time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := c.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown returned %v", err)
	}
}
