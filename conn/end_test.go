package conn_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// large does not fit into any transport's buffers.
var large = strings.Repeat("large", 8<<20/5)

// endState is what a connection may be doing when it ends.
type endState struct {
	name    string
	options conn.Options
	reach   func(*stage)
	unsent  []string // what can't be sent any more
	inbox   []string // what waits in the Inbox's buffer, which no end takes back
	held    []string // what waits for room in the Inbox
}

var (
	idle = endState{
		name:  "idle",
		reach: func(*stage) {},
	}
	inDoubt = endState{
		name: "last message written",
		reach: func(s *stage) {
			s.queue("last")
			s.peer.hearsMessage("last")
		},
	}
	unanswered = endState{
		name:    "our offer unanswered",
		options: conn.Options{OutboxBuffer: 2},
		reach: func(s *stage) {
			s.send("sent")
			s.peer.hears(offerOf(4)...)
			s.queue("second", "third")
		},
		unsent: []string{"second", "third"},
	}
	writing = endState{
		name:    "the peer does not read the payload",
		options: conn.Options{OutboxBuffer: 2},
		reach: func(s *stage) {
			s.queue(large, "second")
			s.peer.hears(offerOf(len(large))...)
			s.peer.says(ok)
			s.peer.hears(large[0])
			s.send("sent")
		},
		unsent: []string{large, "second"},
	}
	reading = endState{
		name: "in the middle of a payload of the peer",
		reach: func(s *stage) {
			s.peer.says(offerOf(10)...)
			s.peer.hears(ok)
			s.peer.says([]byte("half")...)
		},
	}
	full = endState{
		name:    "Inbox full",
		options: conn.Options{InboxBuffer: 2},
		reach: func(s *stage) {
			s.peer.saysMessage("first")
			s.peer.saysMessage("second")
			s.peer.saysMessage("third")
		},
		inbox: []string{"first", "second"},
		held:  []string{"third"},
	}
	withheld = endState{
		name: "Inbox full and the peer's offer unanswered",
		reach: func(s *stage) {
			s.peer.saysMessage("first")
			s.peer.says(offerOf(6)...)
		},
		held: []string{"first"},
	}
)

// end is a way in which a connection may end. It is called twice at once.
type end struct {
	name string
	do   func(*stage)
}

var (
	byContext  = end{"context", func(s *stage) { s.cancel() }}
	byClose    = end{"Close", func(s *stage) { s.c.Close() }}
	byShutdown = end{"Shutdown", func(s *stage) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.c.Shutdown(ctx)
	}}
	byPeer  = end{"peer's end of stream", func(s *stage) { s.peer.Conn.(*memConn).CloseWrite() }}
	byReset = end{"peer's reset", func(s *stage) { s.peer.Conn.(*memConn).reset() }}
	silence = end{"peer's silence", func(*stage) {}}
)

// What the time of an end may be, besides a duration.
const (
	never     = time.Duration(-1) // the connection lives on
	whenTaken = time.Duration(-2) // as soon as what is held has been taken from the Inbox
)

// The bound of each end, and what Err says of it, in every state.
var ends = []struct {
	state endState
	end   end
	after time.Duration
	err   []string // nil is a clean end
}{
	// The peer never ends its stream, so every graceful end waits 1 s for that.
	{idle, byContext, time.Second, []string{"canceled"}},
	{idle, byClose, 0, []string{"closed"}},
	{idle, byShutdown, time.Second, nil},
	{idle, byPeer, 0, nil},
	{idle, byReset, 0, []string{"reset"}},
	{idle, silence, never, nil},

	{inDoubt, byContext, time.Second, []string{"canceled", "in doubt"}},
	{inDoubt, byClose, 0, []string{"closed", "in doubt"}},
	{inDoubt, byShutdown, time.Second, nil}, // as good as it gets with peers that never end theirs
	{inDoubt, byPeer, 0, nil},               // it has read all, as it ends between messages
	{inDoubt, byReset, 0, []string{"in doubt", "reset"}},
	{inDoubt, silence, never, nil},

	{unanswered, byContext, 5 * time.Second, []string{"canceled", "unsent", "grace"}},
	{unanswered, byClose, 0, []string{"closed", "unsent"}},
	{unanswered, byShutdown, 10 * time.Second, []string{"deadline", "unsent"}},
	{unanswered, byPeer, 0, []string{"unsent", "incomplete"}},
	{unanswered, byReset, 0, []string{"unsent", "incomplete", "reset"}},
	{unanswered, silence, never, nil}, // the answer is the peer's flow control

	{writing, byContext, 5 * time.Second, []string{"canceled", "unsent", "grace"}},
	{writing, byClose, 0, []string{"closed", "unsent"}},
	{writing, byShutdown, 10 * time.Second, []string{"deadline", "unsent"}},
	{writing, byPeer, time.Minute, []string{"unsent", "incomplete", "stall"}}, // it may yet read what it accepted
	{writing, byReset, 0, []string{"unsent", "incomplete", "reset"}},
	{writing, silence, time.Minute, []string{"unsent", "incomplete", "stall"}},

	{reading, byContext, 5 * time.Second, []string{"canceled", "grace"}},
	{reading, byClose, 0, []string{"closed"}},
	{reading, byShutdown, 10 * time.Second, []string{"deadline"}},
	{reading, byPeer, 0, []string{"incomplete"}},
	{reading, byReset, 0, []string{"incomplete", "reset"}},
	{reading, silence, 30 * time.Second, []string{"incomplete", "stall"}},

	{full, byContext, time.Second, []string{"canceled"}},
	{full, byClose, 0, []string{"closed"}},
	{full, byShutdown, 10 * time.Second, []string{"deadline"}},
	{full, byPeer, whenTaken, nil},
	{full, byReset, whenTaken, []string{"reset"}},
	{full, silence, never, nil},

	{withheld, byContext, time.Second, []string{"canceled"}},
	{withheld, byClose, 0, []string{"closed"}},
	{withheld, byShutdown, 10 * time.Second, []string{"deadline"}},
	{withheld, byPeer, whenTaken, []string{"incomplete"}},
	{withheld, byReset, whenTaken, []string{"incomplete", "reset"}},
	{withheld, silence, never, nil},
}

func TestEveryEndInEveryState(t *testing.T) {
	for _, e := range ends {
		t.Run(e.state.name+"/"+e.end.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newStage(t, nc, peer, e.state.options)
				e.state.reach(s)
				synctest.Wait()
				if s.isDone() {
					t.Fatalf("the connection ended before its time: %v", s.c.Err())
				}

				start := time.Now()
				var calls sync.WaitGroup
				for range 2 { // ends with the end of the connection
					calls.Go(func() { e.end.do(s) })
				}
				synctest.Wait()
				if early := e.end.name != silence.name; s.isDone() != early {
					t.Errorf("at once, Done closed: %t, expected %t", s.isDone(), early)
				}
				after := never
				select {
				case at := <-s.ended:
					after = at.Sub(start)
				case <-time.After(time.Hour):
				}
				wantInbox := e.state.inbox
				if after == never && s.isDone() {
					after = whenTaken
					wantInbox = append(wantInbox[:len(wantInbox):len(wantInbox)], e.state.held...)
				}
				if after != e.after {
					t.Fatalf("ended after %v, expected %v; Err: %v", after, e.after, s.c.Err())
				}
				if after == never {
					s.cancel()
					return
				}
				if diff := cmp.Diff(wantInbox, s.received()); diff != "" {
					t.Errorf("the Inbox yields (-want +got):\n%s", diff)
				}
				if after == whenTaken {
					<-s.ended
				}
				calls.Wait()
				s.checkEnd(e.state, e.err)
			})
		})
	}
}

// checkEnd checks everything about a connection that has ended.
func (s *stage) checkEnd(state endState, wantErr []string) {
	t := s.t
	t.Helper()
	err := s.c.Err()
	if diff := cmp.Diff(wantErr, traits(err)); diff != "" {
		t.Errorf("Err is %v (-want +got):\n%s", err, diff)
	}
	if (err == nil) != (wantErr == nil) {
		t.Errorf("Err is %v, expected %v", err, wantErr)
	}
	if diff := cmp.Diff(state.unsent, s.unsent()); diff != "" {
		t.Errorf("Unsent (-want +got):\n%.1000s", diff)
	}
	if s.sent != nil {
		switch err := <-s.sent; {
		case !errors.Is(err, conn.ErrClosed):
			t.Errorf("the Send in progress returned %v, expected ErrClosed", err)
		case errors.Is(err, conn.ErrInDoubt):
			t.Errorf("the Send in progress returned %v, but its message can't have arrived", err)
		}
	}
	// From here on nothing changes, whatever is called.
	start := time.Now()
	var calls sync.WaitGroup
	for _, e := range []end{byContext, byClose, byShutdown, byClose, byShutdown, byContext} {
		calls.Go(func() { e.do(s) }) // ends at once
	}
	calls.Wait()
	if took := time.Since(start); took > time.Second {
		t.Errorf("ending again took %v", took)
	}
	if again := s.c.Err(); err == nil && again != nil || err != nil && (again == nil || again.Error() != err.Error()) {
		t.Errorf("Err changed from\n%v to\n%v", err, again)
	}
	if err := s.c.Send(context.Background(), []byte("late")); !errors.Is(err, conn.ErrClosed) {
		t.Errorf("a late Send returned %v, expected ErrClosed", err)
	}
	if diff := cmp.Diff(state.unsent, s.unsent()); diff != "" {
		t.Errorf("Unsent, asked again (-want +got):\n%.1000s", diff)
	}
	if s.c.LocalAddr() == nil || s.c.RemoteAddr() == nil || s.c.Stats().LastActivity.IsZero() {
		t.Error("Stats or the addresses are gone")
	}
	select {
	case <-s.ended:
		t.Error("the connection ended twice")
	default:
	}
}
