package conn_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// placedState is how far a message of the peer's that goes to a Writer has come
// when the connection ends.
type placedState struct {
	name  string
	size  int
	reach func(*stage)
	moved int  // by then
	whole bool // the message was complete
	// Whom the connection waits for: the test lets go once the end has begun.
	inAccept, inWrite bool
}

var placedStates = []placedState{
	{
		name: "accepted", size: 10,
		reach: func(s *stage) { s.peer.saysFrom(10, nil) },
	},
	{
		name: "half arrived", size: 10, moved: 4,
		reach: func(s *stage) { s.peer.saysFrom(10, []byte("half")) },
	},
	{
		name: "arrived", size: 4, moved: 4, whole: true,
		reach: func(s *stage) { s.peer.saysFrom(4, []byte("data")) },
	},
	{
		name: "empty, arrived", size: 0, whole: true,
		reach: func(s *stage) { s.peer.saysFrom(0, nil) },
	},
	{
		name: "placed while a SendFrom has the stream", size: 10,
		reach: func(s *stage) {
			s.sendFrom(s.blocked(), 10)
			s.peer.hears(offerOf(10)...)
			s.peer.says(ok)
			synctest.Wait()
			s.peer.says(offerOf(10)...)
		},
	},
	{
		name: "empty and placed while a SendFrom has the stream", size: 0,
		reach: func(s *stage) {
			s.sendFrom(s.blocked(), 10)
			s.peer.hears(offerOf(10)...)
			s.peer.says(ok)
			synctest.Wait()
			s.peer.says(offerOf(0)...)
		},
	},
	{
		name: "Accept takes its time", size: 10, inAccept: true,
		reach: func(s *stage) { s.peer.says(offerOf(10)...) },
	},
	{
		name: "empty, and Accept takes its time", size: 0, inAccept: true,
		reach: func(s *stage) { s.peer.says(offerOf(0)...) },
	},
	{
		name: "a Write takes its time", size: 10, moved: 4, inWrite: true,
		reach: func(s *stage) { s.peer.saysFrom(10, []byte("half")) },
	},
	{
		name: "the last Write takes its time", size: 4, moved: 4, whole: true, inWrite: true,
		reach: func(s *stage) { s.peer.saysFrom(4, []byte("data")) },
	},
}

// placedEnds are the ends, and what they say of a message that they break off.
var placedEnds = []struct {
	end    end
	reason error
}{
	{byContext, context.Canceled},
	{byClose, conn.ErrClosed},
	{byShutdown, context.DeadlineExceeded},
	{byPeer, io.ErrUnexpectedEOF},
	{byReset, syscall.ECONNRESET},
	{silence, nil}, // a StallError
}

// blocked is a Reader that returns once the connection has ended.
func (s *stage) blocked() io.Reader {
	r, w := io.Pipe()
	s.t.Cleanup(func() { w.Close() })
	return r
}

// sendFrom begins a SendFrom that nothing but its Reader and the end of the
// connection end.
func (s *stage) sendFrom(r io.Reader, size int64) {
	sent := make(chan error, 1)
	s.sent = sent
	go func() { sent <- s.c.SendFrom(context.Background(), r, size) }() // ends with the connection and r
}

// Done is called once, in every state and with every end, and knows why.
func TestDoneIsCalledOnceHoweverTheConnectionEnds(t *testing.T) {
	for _, state := range placedStates {
		for _, e := range placedEnds {
			t.Run(state.name+"/"+e.end.name, func(t *testing.T) {
				leaktest.Check(t)
				synctest.Test(t, func(t *testing.T) { endAPlacement(t, state, e.end, e.reason) })
			})
		}
	}
}

func endAPlacement(t *testing.T, state placedState, end end, reason error) {
	into := make(catcher, 2)
	proceed := make(chan bool)
	gate := func(closed bool) {
		if closed {
			<-proceed
		}
	}
	body := new(slow)
	body.wait = func() { gate(state.inWrite) }
	nc, peer := memPair(t, 1<<10)
	s := newStage(t, nc, peer, conn.Options{Accept: func(size uint32) conn.Placement {
		gate(state.inAccept)
		p := into.accept(size)
		p.Writer = body
		return p
	}})
	state.reach(s)
	synctest.Wait()
	if s.isDone() {
		t.Fatalf("the connection ended before its time: %v", s.c.Err())
	}

	var calls sync.WaitGroup
	calls.Go(func() { end.do(s) }) // ends with the connection
	if end.name == byClose.name || end.name == byContext.name {
		// These need not wait for the application.
		s.received()
		<-s.ended
		s.ended <- time.Now()
	} else {
		synctest.Wait()
	}
	close(proceed)
	quiet := state.whole || state.inAccept && state.size == 0
	if end.name == silence.name && (quiet || s.sent != nil) {
		synctest.Wait()
		s.c.Close() // a peer may be silent between messages
	}
	calls.Wait()
	if end.name == byPeer.name && s.sent != nil {
		s.c.Close() // it may yet read what it accepted
	}
	if m := s.received(); m != nil {
		t.Errorf("received %q, expected nothing", m)
	}
	<-s.ended
	synctest.Wait()
	if len(into) != 1 {
		t.Fatalf("Done was called %d times", len(into))
	}
	c := <-into
	if diff := cmp.Diff(state.moved, body.moved); diff != "" {
		t.Errorf("bytes written (-want +got):\n%s", diff)
	}
	if c.moved != int64(state.moved) {
		t.Errorf("Done was told of %d bytes, expected %d", c.moved, state.moved)
	}
	switch late := state.inAccept && state.size == 0; {
	case state.whole || late && end.name == silence.name:
		if c.err != nil {
			t.Errorf("Done was told %v, expected that all has arrived", c.err)
		}
		return
	case late && end.name == byPeer.name && c.err == nil:
		return // its OK was written before the end was seen
	case state.inAccept && end.name == byShutdown.name:
		reason = io.ErrUnexpectedEOF // a graceful end does not wait for an offer that is not accepted
	}
	checkPartial(t, c.err, int64(state.size), int64(state.moved))
	var stall *conn.StallError
	if reason == nil && s.sent == nil && !errors.As(c.err, &stall) {
		t.Errorf("the reason is %v, expected a StallError", c.err)
	}
	if reason != nil && !errors.Is(c.err, reason) {
		t.Errorf("the reason is %v, expected %v", c.err, reason)
	}
}

// slow is a Writer that waits before it takes anything.
type slow struct {
	wait  func()
	moved int
}

func (s *slow) Write(p []byte) (int, error) {
	s.wait()
	s.moved += len(p)
	return len(p), nil
}
