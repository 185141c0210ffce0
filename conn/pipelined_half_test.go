package conn_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/wire"
)

// It may be the beginning of a request, or an offer that is too large: which one
// shows with what follows.
func TestHalfARequest(t *testing.T) {
	for _, c := range []struct {
		name  string
		do    func(*stage, []byte)
		after time.Duration
		err   []error
	}{
		{"the rest after a while", func(s *stage, rest []byte) {
			time.Sleep(29 * time.Second)
			s.peer.says(rest...)
			s.peer.hears(append([]byte{ok}, termsOf(conn.Options{HoldOffers: true})...)...) // there is an Accept
			s.peer.says(generous.Append(nil)...)
			synctest.Wait()
		}, never, nil},
		{"silence", func(*stage, []byte) {}, 30 * time.Second, []error{&conn.StallError{Doing: "reading", After: 30 * time.Second}}},
		{"the end of the stream", func(s *stage, _ []byte) { s.peerEnds() }, 0, []error{requestInClassic}},
		{"a reset", func(s *stage, _ []byte) { s.peerResets() }, 0, nil},
		{"another byte", func(s *stage, _ []byte) { s.peer.says('X') }, time.Second, []error{requestInClassic}},
		{"OK", func(s *stage, _ []byte) { s.peer.says(ok) }, time.Second, []error{requestInClassic}},
		{"an offer", func(s *stage, _ []byte) { s.peer.says(offerOf(5)...) }, time.Second, []error{requestInClassic}},
		{"the request", func(s *stage, _ []byte) { s.peer.says(request...) }, time.Second, []error{requestInClassic}},
	} {
		for n := 1; n < len(request); n++ {
			t.Run(fmt.Sprintf("%d bytes, %s", n, c.name), func(t *testing.T) {
				leaktest.Check(t)
				synctest.Test(t, func(t *testing.T) {
					nc, peer := memPair(t, 1<<10)
					s := newStage(t, nc, peer, conn.Options{PeerTimeout: -1, Accept: func(size uint32) conn.Placement {
						t.Errorf("Accept was asked about %d bytes", size)
						return conn.Placement{}
					}})
					s.peer.says(request[:n]...)
					synctest.Wait()
					if s.isDone() {
						t.Fatalf("the connection ended before its time: %v", s.c.Err())
					}
					start := time.Now()
					c.do(s, slices.Clone(request[n:]))
					after := never
					select {
					case at := <-s.ended:
						after = at.Sub(start)
					case <-time.After(35 * time.Second):
					}
					if after != c.after {
						t.Errorf("ended after %v, expected %v", after, c.after)
					}
					switch err := s.c.Err(); {
					case c.after == never:
						if !s.c.Stats().Pipelined {
							t.Errorf("not pipelined; Err: %v", err)
						}
					case c.err == nil && err == nil:
						t.Error("Err is nil")
					case c.err != nil:
						checkError(t, err, c.err...)
					}
				})
			})
		}
	}
}

// It agreed, but nothing can be sent before its terms are known.
func TestARequestWithoutTerms(t *testing.T) {
	for _, n := range []int{0, 1, 11} {
		for _, c := range []struct {
			end   end
			after time.Duration
			err   []string
		}{
			{silence, 30 * time.Second, []string{"unsent", "incomplete", "stall"}},
			{byPeer, 0, []string{"unsent", "incomplete"}},
			{byReset, 0, []string{"unsent", "incomplete", "reset"}},
			{byClose, 0, []string{"closed", "unsent"}},
			{byContext, 5 * time.Second, []string{"canceled", "unsent", "grace"}},
			{byShutdown, 10 * time.Second, []string{"deadline", "unsent"}},
		} {
			t.Run(fmt.Sprintf("%d bytes of them/%s", n, c.end.name), func(t *testing.T) {
				leaktest.Check(t)
				synctest.Test(t, func(t *testing.T) {
					nc, peer := memPair(t, 1<<10)
					s := newStage(t, nc, peer, conn.Options{OutboxBuffer: 2})
					s.peer.says(request...)
					s.peer.hears(append([]byte{ok}, termsOf(conn.Options{})...)...)
					s.peer.says(generous.Append(nil)[:n]...)
					s.queue("unsent")
					synctest.Wait()
					start := time.Now()
					c.end.do(s)
					if !s.endsWithin(time.Hour) {
						t.Fatal("it lives on after an hour")
					}
					if took := time.Since(start); took != c.after {
						t.Errorf("it took %v, expected %v", took, c.after)
					}
					s.checkEnd(endState{unsent: []string{"unsent"}}, c.err)
				})
			})
		}
	}
}

func TestTermsThatNobodyMayGrantEndTheConnection(t *testing.T) {
	for name, terms := range map[string]wire.Terms{
		"too large messages": {MaxMessage: wire.MaxSize + 1, WindowMessages: 1},
		"no window":          {MaxMessage: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newStage(t, nc, peer, conn.Options{})
				s.peer.says(request...)
				s.peer.hears(append([]byte{ok}, termsOf(conn.Options{})...)...)
				s.peer.says(terms.Append(nil)...)
				<-s.ended
				var bad *wire.TermsError
				if err := s.c.Err(); !errors.Is(err, conn.ErrProtocol) || !errors.As(err, &bad) || bad.Terms != terms {
					t.Errorf("Err is %v", err)
				}
			})
		})
	}
}
