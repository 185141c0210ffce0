package conn_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// callback is a place where the application's code runs in the connection's
// goroutines.
type callback struct {
	name string
	// place has the message that is offered call the connection, once.
	place func(call func()) conn.Placement
	// reach has the peer bring the connection there.
	reach     func(s *stage, answer []byte)
	pipelined bool
}

func (c callback) stage(t testing.TB, nc, peer net.Conn, opts conn.Options) *stage {
	if c.pipelined {
		return newPipelined(t, nc, peer, opts, generous)
	}
	return newStage(t, nc, peer, opts)
}

// calls is a Writer that calls something.
type calls func()

func (c calls) Write(p []byte) (int, error) {
	c()
	return len(p), nil
}

func inDone(call func()) conn.Placement {
	return conn.Placement{Writer: calls(func() {}), Done: func(int64, error) { call() }}
}

// Each has the peer give this answer to our offer, if there is one, as late as
// it may (R2 of PROTOCOL.md).
var callbacks = []callback{
	{
		name: "Accept",
		place: func(call func()) conn.Placement {
			call()
			return conn.Placement{Writer: calls(func() {})}
		},
		reach: func(s *stage, answer []byte) { s.peer.says(append(answer, offerOf(4)...)...) },
	},
	{
		name: "Write",
		place: func(call func()) conn.Placement {
			return conn.Placement{Writer: calls(call)}
		},
		reach: func(s *stage, answer []byte) { s.peer.saysFrom(4, append(answer, "data"...)) },
	},
	{
		name:  "Done",
		place: inDone,
		reach: func(s *stage, answer []byte) { s.peer.saysFrom(4, append(answer, "data"...)) },
	},
	{
		name:  "Done of an empty message",
		place: inDone,
		reach: func(s *stage, answer []byte) { s.peer.saysFrom(0, answer) },
	},
	{
		name:  "Done of an empty message whose offer came with the answer to ours",
		place: inDone,
		reach: func(s *stage, answer []byte) {
			s.peer.says(append(offerOf(0), answer...)...)
			s.peer.hears(ok)
		},
	},
	{
		name:  "Done of a message that the peer's end broke off",
		place: inDone,
		reach: func(s *stage, answer []byte) {
			s.peer.saysFrom(4, append(answer, "da"...))
			byPeer.do(s)
		},
	},
	{
		name:  "Done of a message that a reset broke off",
		place: inDone,
		reach: func(s *stage, answer []byte) {
			s.peer.saysFrom(4, append(answer, "da"...))
			synctest.Wait() // a reset takes with it what was not read
			byReset.do(s)
		},
	},
}

// Each has the peer say this.
func pipelinedCallbacks() []callback {
	say := func(p []byte, then ...func(*stage)) func(*stage, []byte) {
		return func(s *stage, _ []byte) {
			s.peer.says(p...)
			for _, do := range then {
				do(s)
			}
		}
	}
	all := []callback{
		{name: "Accept", place: callbacks[0].place, reach: say(offerOf(4))},
		{name: "Accept of a message that came with it", place: callbacks[0].place, reach: say(dataOf("data"))},
		{name: "Write", place: callbacks[1].place, reach: say(dataOf("data"))},
		{name: "Done", place: inDone, reach: say(dataOf("data"))},
		{name: "Done of an empty message", place: inDone, reach: say(dataOf(""))},
		{name: "Done of a message before BYE", place: inDone, reach: say(append(dataOf("data"), bye))},
		{name: "Done of a message that the peer's end broke off", place: inDone, reach: say(dataOf("data")[:6], byPeer.do)},
		{name: "Done of a message that a reset broke off", place: inDone,
			reach: say(dataOf("data")[:6], func(*stage) { synctest.Wait() }, byReset.do)},
	}
	for i := range all {
		all[i].name += " in pipelined mode"
		all[i].pipelined = true
	}
	return all
}

// saysFrom offers size bytes, and says rest when that is accepted.
func (p played) saysFrom(size int, rest []byte) {
	p.t.Helper()
	p.says(offerOf(size)...)
	p.hears(ok)
	if len(rest) > 0 {
		p.says(rest...)
	}
}

// What a callback may call, and how long that may take: longer, if it waits.
var callbackCalls = []struct {
	name string
	call func(testing.TB, *conn.Conn)
	took time.Duration
}{
	{"Close", func(_ testing.TB, c *conn.Conn) { c.Close() }, 0},
	{"Shutdown", func(_ testing.TB, c *conn.Conn) { shutdownWithin(c, time.Second) }, time.Second},
	{"Send", func(t testing.TB, c *conn.Conn) { sendWithin(t, c, time.Second) }, time.Second},
	{"Send and Close", func(t testing.TB, c *conn.Conn) {
		sendWithin(t, c, time.Second)
		c.Close()
	}, time.Second},
	{"Send and Shutdown", func(t testing.TB, c *conn.Conn) {
		sendWithin(t, c, time.Second)
		shutdownWithin(c, time.Second)
	}, 2 * time.Second},
	{"Stats, Err and Unsent", func(t testing.TB, c *conn.Conn) {
		c.Stats()
		c.Err()
		c.Unsent()
	}, 0},
}

func shutdownWithin(c *conn.Conn, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return c.Shutdown(ctx)
}

func sendWithin(t testing.TB, c *conn.Conn, d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if err := c.Send(ctx, []byte("reply")); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, conn.ErrClosed) {
		t.Errorf("Send returned %v", err)
	}
}

func TestACallbackMayCallTheConnection(t *testing.T) {
	for _, where := range append(callbacks, pipelinedCallbacks()...) {
		for _, what := range callbackCalls {
			for _, writing := range []bool{false, true} {
				name := where.name + " calls " + what.name
				if writing {
					name += " while the peer does not read our message"
				}
				t.Run(name, func(t *testing.T) {
					leaktest.Check(t)
					synctest.Test(t, func(t *testing.T) { callTheConnection(t, where, what.call, what.took, writing) })
				})
			}
		}
	}
}

func callTheConnection(t *testing.T, where callback, call func(testing.TB, *conn.Conn), within time.Duration, writing bool) {
	var s *stage
	var due time.Time
	called := make(chan time.Duration, 2)
	nc, peer := memPair(t, 1<<10)
	s = where.stage(t, nc, peer, conn.Options{Accept: func(uint32) conn.Placement {
		return where.place(func() {
			start := time.Now()
			if late := start.Sub(due); late > 0 {
				t.Errorf("it was called %v late", late)
			}
			call(t, s.c)
			called <- time.Since(start)
		})
	}})
	var answer []byte
	if writing {
		s.send(large)
		s.peer.hears(offerOf(len(large))...)
		if !where.pipelined {
			answer = []byte{ok}
		}
	}
	due = time.Now()
	where.reach(s, answer)
	if took := <-called; took > within {
		t.Errorf("it took %v, expected %v", took, within)
	}
	s.c.Close()
	if left := s.received(); left != nil {
		t.Errorf("received %q, expected nothing", left)
	}
	<-s.ended
	synctest.Wait()
	if len(called) != 0 {
		t.Error("it was called twice")
	}
	if writing {
		if err := <-s.sent; !errors.Is(err, conn.ErrClosed) {
			t.Errorf("Send returned %v, expected ErrClosed", err)
		}
	}
}
