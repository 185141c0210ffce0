package conn_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// The deadlock that every library with two channels is about to have: the
// connection waits for the echo to take a message, and the echo for the
// connection to take another.
func TestDoneFreesAnEchoThatWaitsToSendWhileAMessageIsHeldForIt(t *testing.T) {
	for name, c := range map[string]struct {
		reply  func(*conn.Conn, []byte) error
		others int // how many more messages get through before one is held
	}{
		// The connection takes one reply more than it has offered.
		"through the Outbox": {put, 3},
		"with Send":          {func(c *conn.Conn, m []byte) error { return c.Send(context.Background(), m) }, 1},
	} {
		for _, e := range []end{byPeer, byReset, byContext, byShutdown, byClose} {
			t.Run(name+"/"+e.name, func(t *testing.T) {
				leaktest.Check(t)
				synctest.Test(t, func(t *testing.T) {
					nc, peer := memPair(t, 1<<10)
					s := newStage(t, nc, peer, conn.Options{})
					echo := make(chan error, 1)
					go func() { // ends with the connection
						for m := range s.c.Inbox() {
							if err := c.reply(s.c, m); err != nil {
								echo <- err
								return
							}
						}
					}()
					s.peer.saysMessage("first")
					s.peer.hears(offerOf(5)...) // the reply, which the peer has no room for
					for range c.others {
						s.peer.says(offerOf(5)...)
						s.peer.hears(ok)
						s.peer.says(append([]byte{conflict}, "other"...)...)
						s.peer.hears(offerOf(5)...)
						synctest.Wait()
					}
					s.peer.says(offerOf(5)...) // not answered, as one is held
					synctest.Wait()
					if n := peer.in.length(); n > 0 || s.isDone() || len(echo) > 0 {
						t.Fatalf("the echo does not wait; the peer could hear %d bytes", n)
					}
					start := time.Now()
					e.do(s)
					if err := <-echo; !errors.Is(err, conn.ErrClosed) {
						t.Errorf("the echo ended with %v, expected ErrClosed", err)
					}
					s.received() // someone has to take what is held
					if took, bound := time.Since(start), 10*time.Second; took > bound {
						t.Errorf("it took %v, expected at most %v", took, bound)
					}
				})
			})
		}
	}
}

func TestAProducerThatNeverStopsDelaysNoEnd(t *testing.T) {
	for _, e := range []end{byContext, byShutdown, byClose} {
		for _, buffer := range []int{0, 8} {
			t.Run(fmt.Sprintf("%s, OutboxBuffer %d", e.name, buffer), func(t *testing.T) {
				leaktest.Check(t)
				synctest.Test(t, func(t *testing.T) {
					nc, peer := memPair(t, 1<<10)
					s := newStage(t, nc, peer, conn.Options{OutboxBuffer: buffer})
					var p producers
					p.start(s.c)
					// A peer that is slow, so that something is always queued.
					received := make(chan int, 1)
					go func() { // ends with the connection
						n := 0
						defer func() { received <- n }()
						for head := make([]byte, 4); ; n++ {
							if _, err := s.peer.Read(head); err != nil {
								s.peer.Close()
								return
							}
							time.Sleep(10 * time.Millisecond)
							s.peer.Write([]byte{ok})
							if m := make([]byte, head[3]); !s.peer.reads(m) {
								return
							}
						}
					}()
					time.Sleep(time.Second)
					start := time.Now()
					e.do(s)
					<-s.c.Done()
					s.received()
					p.work.Wait()
					if took := time.Since(start); took > time.Second {
						t.Errorf("the end took %v", took)
					}
					n := <-received
					if n < 90 {
						t.Errorf("the peer received %d messages only", n)
					}
					// What the peer has not read of the last one may be lost by Close.
					if left := p.count() - len(s.unsent()) - n; left != 0 && !(left == 1 && errors.Is(s.c.Err(), conn.ErrInDoubt)) {
						t.Errorf("%d taken, %d received, %d unsent; Err: %v", p.count(), n, len(s.unsent()), s.c.Err())
					}
				})
			})
		}
	}
}

func (p played) reads(m []byte) bool {
	for len(m) > 0 {
		n, err := p.Read(m)
		if err != nil {
			return false
		}
		m = m[n:]
	}
	return true
}

func TestClosingTheOutboxFlushesItAndEndsGracefully(t *testing.T) {
	for _, n := range []int{0, 1, 5} {
		t.Run(fmt.Sprintf("%d messages queued", n), func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newStage(t, nc, peer, conn.Options{OutboxBuffer: n})
				for i := range n {
					s.queue(strconv.Itoa(i))
				}
				close(s.c.Outbox())
				for i := range n {
					time.Sleep(time.Minute) // nothing bounds a peer that is slow
					s.peer.hearsMessage(strconv.Itoa(i))
				}
				if m, err := s.peer.Read(make([]byte, 1)); m != 0 || err == nil {
					t.Errorf("the peer heard %d bytes, %v, expected the end of the stream", m, err)
				}
				if !s.isDone() {
					t.Error("Done is not closed")
				}
				s.peerEnds()
				<-s.ended
				s.checkEnd(endState{}, nil)
			})
		})
	}
}

func TestClosingTheOutboxAfterTheEndIsHarmless(t *testing.T) {
	for _, e := range []end{byContext, byShutdown, byClose, byPeer, byReset} {
		t.Run(e.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newStage(t, nc, peer, conn.Options{OutboxBuffer: 3})
				s.c.Outbox()
				e.do(s)
				<-s.c.Done()
				s.received()
				<-s.ended
				s.queue("too", "late")
				close(s.c.Outbox())
				for range 2 {
					if diff := cmp.Diff([]string{"too", "late"}, s.unsent()); diff != "" {
						t.Errorf("Unsent (-want +got):\n%s", diff)
					}
					if err := s.c.Err(); !errors.Is(err, conn.ErrUnsent) {
						t.Errorf("Err is %v, expected ErrUnsent", err)
					}
				}
			})
		})
	}
}

func TestAnAbandonedRangeIsBoundedByTheContext(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{InboxBuffer: 1})
		s.peer.saysMessage("first")
		for range s.c.Inbox() {
			break
		}
		s.peer.saysMessage("second")
		s.peer.saysMessage("third")
		s.peer.says(offerOf(6)...)
		s.peerEnds()
		if s.endsWithin(time.Hour) {
			t.Error("the connection ended, although a message is held that nobody has given up")
		}
		s.cancel()
		if !s.endsWithin(time.Millisecond) {
			t.Error("the connection did not end with its context")
		}
	})
}
