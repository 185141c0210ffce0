package conn_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// streamState is how far a SendFrom of 4 MiB has come when the connection ends.
type streamState struct {
	name  string
	reach func(*streamStage)
	moved int64 // -1: not begun; else at least so much
	reads bool  // it waits for its Reader
}

// streamStage is a stage with a SendFrom in progress.
type streamStage struct {
	*stage
	reader   io.Reader
	give     *io.PipeWriter // to reader, if the SendFrom waits for it
	giveUp   context.CancelFunc
	streamed chan error
	size     int64
}

func newStreamStage(t *testing.T) *streamStage {
	nc, peer := memPair(t, 1<<10)
	s := &streamStage{stage: newStage(t, nc, peer, conn.Options{}), streamed: make(chan error, 1), size: 4 << 20}
	s.reader, s.give = io.Pipe()
	return s
}

func (s *streamStage) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	s.giveUp = cancel
	go func() { s.streamed <- s.c.SendFrom(ctx, s.reader, s.size) }() // ends with its Reader
	synctest.Wait()
}

func (s *streamStage) accepted() {
	s.begin()
	s.peer.hears(offerOf(int(s.size))...)
	s.peer.says(ok)
}

var (
	streamWaits = streamState{
		name: "waits for its turn",
		reach: func(s *streamStage) {
			s.send("first")
			s.peer.hears(offerOf(5)...)
			s.begin()
		},
		moved: -1,
	}
	streamOffered = streamState{
		name: "is offered",
		reach: func(s *streamStage) {
			s.begin()
			s.peer.hears(offerOf(int(s.size))...)
		},
		moved: -1,
	}
	streamEmpty = streamState{
		name: "is offered and empty",
		reach: func(s *streamStage) {
			s.size = 0
			s.begin()
			s.peer.hears(offerOf(0)...)
		},
		moved: -1,
	}
	streamReads = streamState{
		name:  "waits for its Reader at the beginning",
		reach: func(s *streamStage) { s.accepted() },
		reads: true,
	}
	streamReadsMore = streamState{
		name: "waits for its Reader",
		reach: func(s *streamStage) {
			s.accepted()
			s.give.Write(content(100))
			s.peer.hears(content(100)...)
		},
		moved: 100,
		reads: true,
	}
	streamWrites = streamState{
		name: "waits for the peer to read",
		reach: func(s *streamStage) {
			s.reader = endless{}
			s.accepted()
		},
		moved: 1 << 10,
	}
)

var byItsContext = end{name: "its context"}

// The bound of each end, and what Err and SendFrom say of it.
var streamEnds = []struct {
	state streamState
	end   end
	after time.Duration
	err   []string // nil is a clean end
	sent  []string
}{
	{streamWaits, byItsContext, never, nil, []string{"canceled"}},
	{streamWaits, byContext, 5 * time.Second, []string{"canceled", "grace"}, []string{"canceled", "closed", "grace"}},
	{streamWaits, byClose, 0, []string{"closed"}, []string{"closed"}},
	{streamWaits, byShutdown, 10 * time.Second, []string{"deadline"}, []string{"deadline", "closed"}},
	{streamWaits, byPeer, 0, []string{"incomplete"}, []string{"closed", "incomplete"}},
	{streamWaits, byReset, 0, []string{"incomplete", "reset"}, []string{"closed", "incomplete", "reset"}},
	{streamWaits, silence, never, nil, nil},

	{streamOffered, byItsContext, 0, []string{"canceled", "partial"}, []string{"canceled", "partial"}},
	{streamOffered, byContext, 5 * time.Second, []string{"canceled", "grace"}, []string{"canceled", "closed", "grace"}},
	{streamOffered, byClose, 0, []string{"closed"}, []string{"closed"}},
	{streamOffered, byShutdown, 10 * time.Second, []string{"deadline"}, []string{"deadline", "closed"}},
	{streamOffered, byPeer, 0, []string{"incomplete"}, []string{"closed", "incomplete"}},
	{streamOffered, byReset, 0, []string{"incomplete", "reset"}, []string{"closed", "incomplete", "reset"}},
	{streamOffered, silence, never, nil, nil},

	// The peer has it as soon as it has accepted it, which may be on its way.
	{streamEmpty, byItsContext, 0, []string{"canceled", "in doubt", "partial"}, []string{"canceled", "in doubt", "partial"}},
	{streamEmpty, byContext, 5 * time.Second, []string{"canceled", "in doubt", "grace"}, []string{"canceled", "closed", "in doubt", "grace"}},
	{streamEmpty, byClose, 0, []string{"closed", "in doubt"}, []string{"closed", "in doubt"}},
	{streamEmpty, byShutdown, 10 * time.Second, []string{"deadline", "in doubt"}, []string{"deadline", "closed", "in doubt"}},
	{streamEmpty, byPeer, 0, []string{"incomplete"}, []string{"closed", "incomplete"}}, // without having accepted it
	{streamEmpty, byReset, 0, []string{"in doubt", "incomplete", "reset"}, []string{"closed", "in doubt", "incomplete", "reset"}},
	{streamEmpty, silence, never, nil, nil},

	{streamReads, byItsContext, 0, []string{"canceled", "partial"}, []string{"canceled", "partial"}},
	{streamReads, byContext, 5 * time.Second, []string{"canceled", "grace"}, []string{"canceled", "closed", "grace", "partial"}},
	{streamReads, byClose, 0, []string{"closed"}, []string{"closed", "partial"}},
	{streamReads, byShutdown, 10 * time.Second, []string{"deadline"}, []string{"deadline", "closed", "partial"}},
	{streamReads, byPeer, never, nil, nil}, // it may yet read what it accepted
	{streamReads, byReset, 0, []string{"incomplete", "reset"}, []string{"closed", "incomplete", "reset", "partial"}},
	{streamReads, silence, never, nil, nil}, // it is not the peer that is late

	{streamReadsMore, byItsContext, 0, []string{"canceled", "partial"}, []string{"canceled", "partial"}},
	{streamReadsMore, byContext, 5 * time.Second, []string{"canceled", "grace"}, []string{"canceled", "closed", "grace", "partial"}},
	{streamReadsMore, byClose, 0, []string{"closed"}, []string{"closed", "partial"}},
	{streamReadsMore, byShutdown, 10 * time.Second, []string{"deadline"}, []string{"deadline", "closed", "partial"}},
	{streamReadsMore, byPeer, never, nil, nil},
	{streamReadsMore, byReset, 0, []string{"incomplete", "reset"}, []string{"closed", "incomplete", "reset", "partial"}},
	{streamReadsMore, silence, never, nil, nil},

	{streamWrites, byItsContext, 0, []string{"canceled", "partial"}, []string{"canceled", "partial"}},
	{streamWrites, byContext, 5 * time.Second, []string{"canceled", "grace"}, []string{"canceled", "closed", "grace", "partial"}},
	{streamWrites, byClose, 0, []string{"closed"}, []string{"closed", "partial"}},
	{streamWrites, byShutdown, 10 * time.Second, []string{"deadline"}, []string{"deadline", "closed", "partial"}},
	{streamWrites, byPeer, time.Minute, []string{"incomplete", "stall"}, []string{"closed", "incomplete", "stall", "partial"}},
	{streamWrites, byReset, 0, []string{"incomplete", "reset"}, []string{"closed", "incomplete", "reset", "partial"}},
	{streamWrites, silence, time.Minute, []string{"incomplete", "stall"}, []string{"closed", "incomplete", "stall", "partial"}},
}

// streamTraits are traits, and whether it is a PartialError.
func streamTraits(err error) []string {
	found := traits(err)
	if _, ok := errors.AsType[*conn.PartialError](err); ok {
		found = append(found, "partial")
	}
	return found
}

func TestEveryEndInEveryStateOfASendFrom(t *testing.T) {
	for _, e := range streamEnds {
		t.Run(e.state.name+"/"+e.end.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				s := newStreamStage(t)
				e.state.reach(s)
				synctest.Wait()
				if s.isDone() {
					t.Fatalf("the connection ended before its time: %v", s.c.Err())
				}
				start := time.Now()
				if e.end.name == byItsContext.name {
					s.giveUp()
				} else {
					go e.end.do(s.stage) // ends with the connection
				}
				var heard int64
				after := never
				select {
				case at := <-s.ended:
					after = at.Sub(start)
				case <-time.After(time.Hour):
				}
				if after != e.after {
					t.Errorf("ended after %v, expected %v; Err: %v", after, e.after, s.c.Err())
				}
				if after == never {
					if diff := cmp.Diff(e.sent != nil, len(s.streamed) == 1); diff != "" {
						t.Errorf("SendFrom has returned (-want +got):\n%s", diff)
					}
					s.c.Close()
				}
				heard = s.hearsTheRest()
				if e.state.reads {
					if len(s.streamed) != 0 {
						t.Error("SendFrom returned while a Read did not")
					}
					s.give.Close()
				}
				err := <-s.streamed
				if after == never {
					if e.sent == nil {
						e.sent = append(e.sent, "closed") // by the test
						if e.state.moved >= 0 {
							e.sent = append(e.sent, "partial")
						} else if s.size == 0 {
							e.sent = append(e.sent, "in doubt")
						}
					}
				} else if diff := cmp.Diff(e.err, streamTraits(s.c.Err())); diff != "" {
					t.Errorf("Err is %v (-want +got):\n%s", s.c.Err(), diff)
				}
				if diff := cmp.Diff(e.sent, streamTraits(err)); diff != "" {
					t.Errorf("SendFrom returned %v (-want +got):\n%s", err, diff)
				}
				if e.state.moved >= 0 {
					moved := max(e.state.moved, heard)
					if e.state.reads { // the test has heard these itself
						moved = e.state.moved
					}
					checkPartial(t, err, s.size, moved)
				}
				if unsent := s.c.Unsent(); unsent != nil {
					t.Errorf("Unsent lists %d messages, expected none", len(unsent))
				}
				if sent := s.c.Stats().MessagesSent; sent != 0 {
					t.Errorf("Stats say that %d messages were sent", sent)
				}
			})
		})
	}
}

// hearsTheRest returns how many bytes the peer can still read.
func (s *streamStage) hearsTheRest() int64 {
	n, _ := io.Copy(io.Discard, s.peer)
	return n
}
