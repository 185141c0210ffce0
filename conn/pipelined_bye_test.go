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
	"github.com/tinyproto-go/tinyproto/wire"
)

// hearsEnd has the peer read the end of the stream.
func (p played) hearsEnd() {
	p.t.Helper()
	var b [1]byte
	if n, err := p.Read(b[:]); n != 0 || err != io.EOF {
		p.t.Fatalf("the peer heard % x, %v; expected the end of the stream", b[:n], err)
	}
}

// shutDown begins a Shutdown without a bound.
func (s *stage) shutDown() <-chan error {
	shut := make(chan error, 1)
	go func() { shut <- s.c.Shutdown(context.Background()) }() // ends with the connection
	return shut
}

// In whichever order the ends say BYE, what is due still arrives.
func TestTheOrderOfTheByes(t *testing.T) {
	const (
		first = iota
		last
		atOnce
	)
	for name, order := range map[string]int{"ours first": first, "the peer's first": last, "both at once": atOnce} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newPipelined(t, nc, peer, conn.Options{OutboxBuffer: 2}, generous)
				s.queue("one", "two")
				s.peer.hears(dataOf("one", "two")...)
				s.peer.says(dataOf("three", "four")...)
				var shut <-chan error
				switch order {
				case first:
					shut = s.shutDown()
					s.peer.hears(bye)
					s.peer.says(bye)
				case last:
					s.peer.says(bye)
					synctest.Wait()
					shut = s.shutDown()
					s.peer.hears(bye)
				case atOnce:
					s.peer.says(bye)
					shut = s.shutDown()
					s.peer.hears(bye)
				}
				time.Sleep(time.Minute / 8)
				s.peer.says(ok, ok)
				s.peer.hearsNothing() // an answer only as soon as it is taken
				if diff := cmp.Diff([]string{"three", "four"}, s.received()); diff != "" {
					t.Errorf("received (-want +got):\n%s", diff)
				}
				s.peer.hears(ok, ok)
				s.peer.hearsEnd()
				s.peerEnds()
				if err := <-shut; err != nil {
					t.Errorf("Shutdown returned %v", err)
				}
				<-s.ended
				s.checkEnd(endState{}, nil)
			})
		})
	}
}

func TestThePeersMessagesArriveBehindOurBye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{PeerTimeout: -1}, generous)
		shut := s.shutDown()
		s.peer.hears(bye)
		for _, m := range []string{"the", "peer", "goes", "on"} {
			time.Sleep(time.Minute)
			s.peer.says(dataOf(m)...)
			if got := <-s.c.Inbox(); string(got) != m {
				t.Errorf("received %q, expected %q", got, m)
			}
			s.peer.hears(ok)
		}
		s.peer.says(bye)
		s.peer.hearsEnd()
		start := time.Now() // the end of a peer's stream is waited for as in classic mode
		if err := <-shut; err != nil || time.Since(start) != time.Second {
			t.Errorf("Shutdown returned %v after %v, expected nil after 1s", err, time.Since(start))
		}
	})
}

// Replies to what the peer said last may take a second. What is queued by then
// is still sent, however long that takes.
func TestAfterThePeersByeASecondIsLeftForReplies(t *testing.T) {
	for name, c := range map[string]struct {
		buffer  int
		pause   time.Duration // before each message is taken
		reply   time.Duration // how long a reply takes
		replied bool          // in time
	}{
		"in time":              {0, 0, 900 * time.Millisecond, true},
		"too late":             {0, 0, 1100 * time.Millisecond, false},
		"taken late":           {0, time.Minute, 900 * time.Millisecond, true},
		"taken late, too late": {0, time.Minute, 1100 * time.Millisecond, false},
		"of a buffer":          {1, 0, 900 * time.Millisecond, true},
		// Each of these is taken just before the time would be over.
		"taken late of a buffer":           {1, 950 * time.Millisecond, 900 * time.Millisecond, true},
		"taken later of a buffer":          {1, 1050 * time.Millisecond, 900 * time.Millisecond, true},
		"taken very late of a buffer":      {1, time.Minute, 900 * time.Millisecond, true},
		"taken late of a buffer, too late": {1, time.Minute, 2100 * time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newPipelined(t, nc, peer, conn.Options{InboxBuffer: c.buffer, PeerTimeout: -1}, generous)
				s.peer.says(append(dataOf("last"), bye)...)
				if c.buffer > 0 {
					s.peer.hears(ok)
				}
				time.Sleep(c.pause)
				if diff := cmp.Diff([]string{"last"}, s.received()); diff != "" {
					t.Errorf("received (-want +got):\n%s", diff)
				}
				if c.buffer == 0 {
					s.peer.hears(ok)
				}
				time.Sleep(c.reply)
				if s.isDone() == c.replied {
					t.Fatalf("done: %t, expected %t", s.isDone(), !c.replied)
				}
				if c.replied {
					s.send("reply")
					s.peer.hears(dataOf("reply")...)
					time.Sleep(time.Minute)
					s.peer.hears(bye)
					s.peer.hearsNothing()
					s.peer.says(ok)
					if err := <-s.sent; err != nil {
						t.Errorf("the reply: %v", err)
					}
				} else {
					s.peer.hears(bye)
				}
				s.peer.hearsEnd()
				s.peerEnds()
				<-s.ended
				if err := s.c.Err(); err != nil {
					t.Errorf("Err after a clean end: %v", err)
				}
			})
		})
	}
}

func TestWhatIsQueuedAfterThePeersByeIsSentHoweverLongItTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{OutboxBuffer: 3, PeerTimeout: -1}, wire.Terms{MaxMessage: 100, WindowMessages: 1, WindowBytes: 100})
		s.queue("one", "two", "three")
		s.peer.says(bye)
		for _, m := range []string{"one", "two", "three"} {
			s.peer.hears(dataOf(m)...)
			time.Sleep(10 * time.Second)
			s.peer.says(ok)
		}
		s.peer.hears(bye)
		s.peer.hearsEnd()
		s.peerEnds()
		<-s.ended
		s.checkEnd(endState{}, nil)
	})
}

// Answers and signs of life are no messages.
func TestWhatFollowsAByeOfThePeer(t *testing.T) {
	for _, c := range []struct {
		name  string
		says  []byte
		hears []byte
		err   error
	}{
		{"an answer", []byte{ok}, nil, nil},
		{"a refusal", []byte{tooLarge}, nil, nil},
		{"PING", []byte{ping}, []byte{pong}, nil},
		{"PING and PING", []byte{ping, ping}, nil, &wire.ProtocolError{Violation: wire.SecondPing, Seen: ping, Offset: 2}},
		{"PONG", []byte{pong}, nil, &wire.ProtocolError{Violation: wire.UnaskedPong, Seen: pong, Offset: 1}},
		{"BYE", []byte{bye}, nil, &wire.ProtocolError{Violation: wire.SecondBye, Seen: bye, Offset: 1}},
		{"a message", dataOf("more"), nil, &wire.ProtocolError{Violation: wire.DataAfterBye, Offset: 1}},
		{"an empty message", dataOf(""), nil, &wire.ProtocolError{Violation: wire.DataAfterBye, Offset: 1}},
		{"half a size", []byte{0, 0}, nil, &wire.ProtocolError{Violation: wire.DataAfterBye, Offset: 1}},
		{"a byte that begins no item", []byte{0xf1}, nil, &wire.ProtocolError{Violation: wire.UnknownItem, Seen: 0xf1, Offset: 1}},
		{"two answers", []byte{ok, ok}, nil, &wire.ProtocolError{Violation: wire.UnaskedAnswer, Seen: ok, Offset: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newPipelined(t, nc, peer, conn.Options{}, generous)
				s.send("ours")
				s.peer.hears(dataOf("ours")...)
				s.peer.says(append([]byte{bye}, c.says...)...)
				s.peer.hears(c.hears...)
				synctest.Wait()
				var seen, want *wire.ProtocolError
				errors.As(s.c.Err(), &seen)
				errors.As(c.err, &want)
				if diff := cmp.Diff(want, seen); diff != "" {
					t.Errorf("Err is %v (-want +got):\n%s", s.c.Err(), diff)
				}
			})
		})
	}
}

// The context's end is not the peer's: it learns what was not handed over.
func TestWhenTheContextEndsTheQueueIsFlushedAndThePeersMessagesStayUnanswered(t *testing.T) {
	for _, buffer := range []int{0, 5} {
		synctest.Test(t, func(t *testing.T) {
			nc, peer := memPair(t, 1<<10)
			s := newPipelined(t, nc, peer, conn.Options{OutboxBuffer: 2, InboxBuffer: buffer}, wire.Terms{MaxMessage: 100, WindowMessages: 1, WindowBytes: 100})
			s.queue("one", "two")
			s.peer.hears(dataOf("one")...)
			s.cancel()
			synctest.Wait()
			s.peer.says(dataOf("too late")...)
			s.peer.hearsNothing()
			s.peer.says(ok)
			s.peer.hears(dataOf("two")...)
			s.peer.says(ok)
			s.peer.hears(bye)
			s.peer.hearsEnd()
			s.peerEnds()
			<-s.ended
			if diff := cmp.Diff([]string(nil), s.received()); diff != "" {
				t.Errorf("the Inbox yields (-want +got):\n%s", diff)
			}
			s.checkEnd(endState{}, []string{"canceled"})
		})
	}
}

// What was handed over before is answered, whoever takes it.
func TestAnswersThatAreDueGoOutWhenTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{InboxBuffer: 2}, generous)
		s.peer.says(dataOf("first", "second", "third")...)
		synctest.Wait()
		s.cancel()
		s.peer.hears(ok, ok, bye)
		s.peer.hearsEnd()
		s.peer.says(bye)
		s.peerEnds()
		<-s.ended
		if diff := cmp.Diff([]string{"first", "second"}, s.received()); diff != "" {
			t.Errorf("the Inbox yields (-want +got):\n%s", diff)
		}
	})
}
