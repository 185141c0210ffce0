package conn_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/wire"
)

// The bound of each end, and what Err says of it, in every state.
var pipelinedEnds = []struct {
	state pipelinedState
	end   end
	after time.Duration
	err   []string // nil is a clean end
}{
	{idlePipelined, byContext, time.Second, []string{"canceled"}},
	{idlePipelined, byClose, 0, []string{"closed"}},
	{idlePipelined, byShutdown, 10 * time.Second, []string{"deadline"}}, // the peer says no BYE
	{idlePipelined, byPeer, 0, []string{"incomplete"}},
	{idlePipelined, byReset, 0, []string{"incomplete", "reset"}},
	{idlePipelined, silence, 30 * time.Second, []string{"incomplete", "stall"}},

	{answeredPipelined, byContext, time.Second, []string{"canceled"}},
	{answeredPipelined, byClose, 0, []string{"closed"}},
	{answeredPipelined, byShutdown, 10 * time.Second, []string{"deadline"}},
	{answeredPipelined, byPeer, 0, []string{"incomplete"}},
	{answeredPipelined, byReset, 0, []string{"incomplete", "reset"}},
	{answeredPipelined, silence, 30 * time.Second, []string{"incomplete", "stall"}},

	{unansweredPipelined, byContext, 5 * time.Second, []string{"canceled", "unsent", "grace"}},
	{unansweredPipelined, byClose, 0, []string{"closed", "unsent"}},
	{unansweredPipelined, byShutdown, 10 * time.Second, []string{"deadline", "unsent"}},
	{unansweredPipelined, byPeer, 0, []string{"unsent", "incomplete"}},
	{unansweredPipelined, byReset, 0, []string{"unsent", "incomplete", "reset"}},
	{unansweredPipelined, silence, 30 * time.Second, []string{"unsent", "incomplete", "stall"}},

	{noWindow, byContext, 5 * time.Second, []string{"canceled", "unsent", "grace"}},
	{noWindow, byClose, 0, []string{"closed", "unsent"}},
	{noWindow, byShutdown, 10 * time.Second, []string{"deadline", "unsent"}},
	{noWindow, byPeer, 0, []string{"unsent", "incomplete"}},
	{noWindow, byReset, 0, []string{"unsent", "incomplete", "reset"}},
	{noWindow, silence, 30 * time.Second, []string{"unsent", "incomplete", "stall"}},

	{writingPipelined, byContext, 5 * time.Second, []string{"canceled", "unsent", "grace"}},
	{writingPipelined, byClose, 0, []string{"closed", "unsent"}},
	{writingPipelined, byShutdown, 10 * time.Second, []string{"deadline", "unsent"}},
	{writingPipelined, byPeer, 0, []string{"unsent", "incomplete"}},
	{writingPipelined, byReset, 0, []string{"unsent", "incomplete", "reset"}},
	{writingPipelined, silence, time.Minute, []string{"unsent", "incomplete", "stall"}},

	{readingPipelined, byContext, time.Second, []string{"canceled"}},
	{readingPipelined, byClose, 0, []string{"closed"}},
	{readingPipelined, byShutdown, 10 * time.Second, []string{"deadline"}},
	{readingPipelined, byPeer, 0, []string{"incomplete"}},
	{readingPipelined, byReset, 0, []string{"incomplete", "reset"}},
	{readingPipelined, silence, 30 * time.Second, []string{"incomplete", "stall"}},

	{fullPipelined, byContext, time.Second, []string{"canceled"}},
	{fullPipelined, byClose, 0, []string{"closed"}},
	{fullPipelined, byShutdown, 10 * time.Second, []string{"deadline"}},
	{fullPipelined, byPeer, whenTaken, []string{"incomplete"}},
	{fullPipelined, byReset, whenTaken, []string{"incomplete", "reset"}},
	{fullPipelined, silence, whenTaken, []string{"incomplete", "stall"}},

	{saidBye, byContext, time.Second, []string{"canceled"}},
	{saidBye, byClose, 0, []string{"closed"}},
	{saidBye, byShutdown, 10 * time.Second, []string{"deadline"}},
	{saidBye, byPeer, 0, []string{"incomplete"}},
	{saidBye, byReset, 0, []string{"incomplete", "reset"}},
	{saidBye, silence, 30 * time.Second, []string{"incomplete", "stall"}},

	{saidByeUnanswered, byContext, 5 * time.Second, []string{"canceled", "unsent", "grace"}},
	{saidByeUnanswered, byClose, 0, []string{"closed", "unsent"}},
	{saidByeUnanswered, byShutdown, 10 * time.Second, []string{"deadline", "unsent"}},
	{saidByeUnanswered, byPeer, 0, []string{"unsent", "incomplete"}},
	{saidByeUnanswered, byReset, 0, []string{"unsent", "incomplete", "reset"}},
	{saidByeUnanswered, silence, 30 * time.Second, []string{"unsent", "incomplete", "stall"}},

	{heardBye, byContext, 5 * time.Second, []string{"canceled", "unsent", "grace"}},
	{heardBye, byClose, 0, []string{"closed", "unsent"}},
	{heardBye, byShutdown, 10 * time.Second, []string{"deadline", "unsent"}},
	{heardBye, byPeer, 0, []string{"unsent", "incomplete"}},
	{heardBye, byReset, 0, []string{"unsent", "incomplete", "reset"}},
	{heardBye, silence, 30 * time.Second, []string{"unsent", "incomplete", "stall"}},

	{heardByeFull, byContext, time.Second, []string{"canceled"}},
	{heardByeFull, byClose, 0, []string{"closed"}},
	{heardByeFull, byShutdown, 10 * time.Second, []string{"deadline"}},
	{heardByeFull, byPeer, whenTaken, []string{"incomplete"}},
	{heardByeFull, byReset, whenTaken, []string{"incomplete", "reset"}},
	{heardByeFull, silence, whenTaken, []string{"incomplete", "stall"}},

	{saidByesUnanswered, byContext, 5 * time.Second, []string{"canceled", "unsent", "grace"}},
	{saidByesUnanswered, byClose, 0, []string{"closed", "unsent"}},
	{saidByesUnanswered, byShutdown, 10 * time.Second, []string{"deadline", "unsent"}},
	{saidByesUnanswered, byPeer, 0, []string{"unsent", "incomplete"}},
	{saidByesUnanswered, byReset, 0, []string{"unsent", "incomplete", "reset"}},
	{saidByesUnanswered, silence, 30 * time.Second, []string{"unsent", "incomplete", "stall"}},

	// The peer has said all that it has to say, but for the end of its stream.
	{saidByes, byContext, time.Second, []string{"canceled"}},
	{saidByes, byClose, 0, []string{"closed"}},
	{saidByes, byShutdown, time.Second, nil},
	{saidByes, byPeer, 0, nil},
	{saidByes, byReset, 0, nil},
	{saidByes, silence, time.Second, nil},
}

func TestEveryEndInEveryPipelinedState(t *testing.T) {
	for _, e := range pipelinedEnds {
		t.Run(e.state.name+"/"+e.end.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				s := e.state.stage(t)
				start := time.Now()
				var calls sync.WaitGroup
				for range 2 { // ends with the end of the connection
					calls.Go(func() { e.end.do(s) })
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
					wantInbox = slices.Concat(wantInbox, e.state.held)
				}
				if after != e.after {
					t.Errorf("ended after %v, expected %v; Err: %v", after, e.after, s.c.Err())
				}
				if after == never {
					s.c.Close()
					return
				}
				if diff := cmp.Diff(wantInbox, s.received()); diff != "" {
					t.Errorf("the Inbox yields (-want +got):\n%s", diff)
				}
				if after == whenTaken {
					<-s.ended
				}
				calls.Wait()
				if s.sent != nil {
					sent := <-s.sent
					if inDoubt := errors.Is(sent, conn.ErrInDoubt); !errors.Is(sent, conn.ErrClosed) || inDoubt != e.state.inDoubt {
						t.Errorf("the Send in progress returned %v; in doubt: %t, expected %t", sent, inDoubt, e.state.inDoubt)
					}
					s.sent = nil
				}
				s.checkEnd(e.state.endState, e.err)
			})
		})
	}
}

// Whichever of two comes first, the connection ends once, and loses nothing.
func TestTwoEndsAtOnceInEveryPipelinedState(t *testing.T) {
	leaktest.Check(t)
	ways := []end{byContext, byClose, byShutdown, byPeer, byReset}
	for _, state := range pipelinedStates {
		for i, first := range ways {
			for _, second := range ways[i:] {
				t.Run(state.name+"/"+first.name+" and "+second.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := state.stage(t)
						go first.do(s)  // ends with the connection
						go second.do(s) // ends with the connection
						// Both have begun before anything is received.
						synctest.Wait()
						if !s.isDone() {
							t.Error("Done is not closed")
						}
						s.received()
						if bound := time.Minute; !s.endsWithin(bound) {
							t.Fatalf("the connection lives on after %v", bound)
						}
						if diff := cmp.Diff(state.unsent, s.unsent()); diff != "" {
							t.Errorf("Unsent (-want +got):\n%.1000s", diff)
						}
						if s.sent != nil {
							if err := <-s.sent; !errors.Is(err, conn.ErrClosed) {
								t.Errorf("the Send in progress returned %v, expected ErrClosed", err)
							}
						}
					})
				})
			}
		}
	}
}

// What the end of the stream leaves unfinished has a name.
func TestTheEndOfThePipelinedStreamNamesWhatIsUnfinished(t *testing.T) {
	for _, c := range []struct {
		name  string
		state pipelinedState
		do    func(*stage)
		err   wire.IncompleteError
	}{
		{"nothing said", idlePipelined, nil, wire.IncompleteError{NoBye: true, NoPeerBye: true}},
		{"", unansweredPipelined, nil, wire.IncompleteError{Pending: 3, NoBye: true, NoPeerBye: true}},
		{"", noWindow, nil, wire.IncompleteError{Pending: 1, NoBye: true, NoPeerBye: true}},
		{"", readingPipelined, nil, wire.IncompleteError{Accepted: true, PayloadBytes: 4, Payload: 14, NoBye: true, NoPeerBye: true}},
		{"half a size", idlePipelined, func(s *stage) { s.peer.says(0, 0) }, wire.IncompleteError{SizeBytes: 2, NoBye: true, NoPeerBye: true}},
		{"", fullPipelined, nil, wire.IncompleteError{Owing: 2, NoBye: true, NoPeerBye: true}},
		{"", saidBye, nil, wire.IncompleteError{NoPeerBye: true}},
		{"", saidByeUnanswered, nil, wire.IncompleteError{Pending: 1, NoPeerBye: true}},
		{"", heardBye, nil, wire.IncompleteError{Pending: 1, NoBye: true}},
		{"", heardByeFull, nil, wire.IncompleteError{Owing: 1, NoBye: true}},
		{"", saidByesUnanswered, nil, wire.IncompleteError{Pending: 1}},
	} {
		for _, e := range []end{byPeer, byReset} {
			t.Run(c.state.name+c.name+"/"+e.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := c.state.stage(t)
					if c.do != nil {
						c.do(s)
						synctest.Wait()
					}
					e.do(s)
					<-s.c.Done()
					s.received()
					<-s.ended
					checkError(t, s.c.Err(), &c.err)
				})
			})
		}
	}
}
