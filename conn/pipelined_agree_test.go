package conn_test

import (
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/wire"
)

func TestBothEndsGrantTheirTermsAndThenTalk(t *testing.T) {
	for name, opts := range map[string]conn.Options{
		"defaults":      {},
		"given":         {MaxMessage: 10, WindowMessages: 2, WindowBytes: 20},
		"one at a time": {WindowBytes: -1},
		"large":         {MaxMessage: 1 << 30, WindowMessages: 1<<32 - 1, WindowBytes: 1<<32 - 1},
	} {
		for side, mode := range sides {
			t.Run(name+"/"+side, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					opts.Mode = mode
					nc, peer := memPair(t, 1<<10)
					s := newPipelined(t, nc, peer, opts, generous)
					s.peer.says(dataOf("theirs")...)
					if got := <-s.c.Inbox(); string(got) != "theirs" {
						t.Errorf("received %q", got)
					}
					s.peer.hears(ok)
					s.send("ours")
					s.peer.hears(dataOf("ours")...)
					s.peer.says(ok)
					if err := <-s.sent; err != nil {
						t.Error(err)
					}
					if !s.c.Stats().Pipelined {
						t.Error("Stats say that it is not pipelined")
					}
				})
			})
		}
	}
}

// What is beyond the protocol, or this machine, is all that there can be.
func TestTermsBeyondTheProtocolAreItsLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := &stage{t: t, peer: played{peer, t}}
		s.begin(t.Context(), nc, conn.Options{MaxMessage: 1<<32 - 1, WindowBytes: 1 << 40})()
		s.peer.says(request...)
		s.peer.hears(wire.Terms{MaxMessage: largestMessage, WindowMessages: 4096, WindowBytes: 1<<32 - 1}.Append([]byte{ok})...)
	})
}

// TCP may join and split what the peer writes as it likes.
func TestTheAgreementMayArriveInAnyPieces(t *testing.T) {
	for name, size := range map[string]int{"in one": 1 << 10, "in bytes": 1, "in threes": 3, "in fives": 5} {
		for side, mode := range sides {
			t.Run(name+"/"+side, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					nc, peer := memPair(t, 1<<10)
					p := played{peer, t}
					saysSlowly := func(b ...byte) {
						for piece := range slices.Chunk(b, size) {
							time.Sleep(200 * time.Millisecond)
							p.says(piece...)
						}
					}
					var c *conn.Conn
					finish := begin(t.Context(), nc, &conn.Options{Mode: mode})
					if mode == conn.Pipelined {
						// What is skipped is an offer, void with what follows.
						saysSlowly(generous.Append(slices.Concat([]byte{ok}, offerOf(1<<20), []byte{ok}))...)
						c, _ = finish()
						p.hears(slices.Concat([]byte{ok}, request, termsOf(conn.Options{}))...)
					} else {
						saysSlowly(append([]byte{ok}, request...)...)
						c, _ = finish()
						p.hears(append([]byte{ok, ok}, termsOf(conn.Options{})...)...)
						saysSlowly(generous.Append(nil)...)
					}
					if c == nil {
						t.Fatal("New failed")
					}
					defer c.Close()
					sent := make(chan error, 1)
					go func() { sent <- c.Send(t.Context(), []byte("ours")) }() // ends with the answer
					p.hears(dataOf("ours")...)
					p.says(ok)
					if err := <-sent; err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

func TestTheAgreementIsNoMessage(t *testing.T) {
	for side, mode := range sides {
		t.Run(side, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newPipelined(t, nc, peer, conn.Options{Mode: mode}, generous)
				synctest.Wait()
				got := s.c.Stats()
				got.LastActivity = time.Time{}
				if diff := cmp.Diff(conn.Stats{Pipelined: true}, got); diff != "" {
					t.Errorf("Stats (-want +got):\n%s", diff)
				}
				s.peer.says(bye)
				s.peer.hears(bye)
				if m, err := io.ReadAll(s.peer); len(m) > 0 || err != nil {
					t.Errorf("the peer heard % x, %v; expected the end of the stream", m, err)
				}
				s.peerEnds()
				<-s.ended
				if err := s.c.Err(); err != nil {
					t.Errorf("Err after a clean end: %v", err)
				}
			})
		})
	}
}
