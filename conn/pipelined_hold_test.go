package conn_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/wire"
)

func TestHoldOffersWithholdsTheTermsUntilSetAccept(t *testing.T) {
	for side, mode := range sides {
		t.Run(side, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s, terms := withheldTerms(t, nc, peer, mode)
				s.send("ours")
				s.peer.hearsNothing()
				var got bytes.Buffer
				done := make(chan error, 1)
				s.c.SetAccept(func(uint32) conn.Placement {
					return conn.Placement{Writer: &got, Done: func(_ int64, err error) { done <- err }}
				})
				s.peer.hears(terms...)
				if mode == conn.Either {
					s.peer.says(generous.Append(nil)...)
				}
				s.peer.hears(dataOf("ours")...)
				s.peer.says(append([]byte{ok}, dataOf("theirs")...)...)
				if err := <-done; err != nil || got.String() != "theirs" {
					t.Errorf("%q came, %v", &got, err)
				}
				s.peer.hears(ok)
				if err := <-s.sent; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// withheldTerms is a connection whose terms, which it returns as well, are withheld.
func withheldTerms(t *testing.T, nc, peer *memConn, mode conn.Mode) (s *stage, terms []byte) {
	ctx, cancel := context.WithCancel(t.Context())
	s = &stage{t: t, cancel: cancel, peer: played{peer, t}}
	opts := conn.Options{Mode: mode, HoldOffers: true}
	made := s.begin(ctx, nc, opts)
	if mode == conn.Pipelined {
		s.peer.hears(request...)
		s.peer.says(generous.Append([]byte{ok})...)
		made()
		return s, termsOf(opts)
	}
	made()
	s.peer.says(request...)
	synctest.Wait()
	return s, append([]byte{ok}, termsOf(opts)...)
}

// A Handler may end a connection without ever having said what it accepts.
func TestAConnectionWhoseTermsAreWithheldEndsAsAnyOther(t *testing.T) {
	for side, mode := range sides {
		for _, e := range []end{byContext, byClose, byShutdown, byPeer, byReset} {
			t.Run(side+"/"+e.name, func(t *testing.T) {
				leaktest.Check(t)
				synctest.Test(t, func(t *testing.T) {
					nc, peer := memPair(t, 1<<10)
					s, _ := withheldTerms(t, nc, peer, mode)
					start := time.Now()
					e.do(s)
					<-s.c.Done()
					s.received()
					if took := time.Since(start); took > time.Second {
						t.Errorf("it took %v; Err: %v", took, s.c.Err())
					}
				})
			})
		}
	}
}

// Whoever sends before it knows our window can't keep it.
func TestWhatFollowsTheRequestBeforeItIsAnsweredBreaksTheProtocol(t *testing.T) {
	for name, early := range map[string][]byte{
		"terms":               generous.Append(nil),
		"terms and a message": append(generous.Append(nil), dataOf("too early")...),
		"a message":           dataOf("too early"),
		"a byte":              {0},
	} {
		for joined, pause := range map[string]time.Duration{"in one": 0, "later": time.Second} {
			t.Run(name+"/"+joined, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					nc, peer := memPair(t, 1<<10)
					s := &stage{t: t, peer: played{peer, t}}
					s.begin(t.Context(), nc, conn.Options{HoldOffers: true})()
					if pause == 0 {
						s.peer.says(append(slices.Clone(request), early...)...)
					} else {
						s.peer.says(request...)
						time.Sleep(pause)
						s.peer.says(early...)
					}
					synctest.Wait()
					s.c.SetAccept(func(size uint32) conn.Placement {
						t.Errorf("Accept was asked about %d bytes", size)
						return conn.Placement{}
					})
					for m := range s.c.Inbox() {
						t.Errorf("received %q", m)
					}
					checkError(t, s.c.Err(), &wire.ProtocolError{Violation: wire.EarlyItem, Seen: early[0]})
				})
			})
		}
	}
}
