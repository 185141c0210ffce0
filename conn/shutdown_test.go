package conn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/wire"
)

// A legacy peer leaves its socket open for ever after our end of stream.
func TestShutdownTowardsAPeerThatNeverClosesEndsAfterASecond(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{InboxBuffer: 1})
		s.send("question")
		s.peer.hearsMessage("question")
		s.peer.saysMessage("reply")
		start := time.Now()
		if err := s.c.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown returned %v", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("Shutdown took %v, expected 1s", took)
		}
		if diff := cmp.Diff([]string{"reply"}, s.received()); diff != "" {
			t.Errorf("the Inbox yields (-want +got):\n%s", diff)
		}
	})
}

func TestShutdownWaitsForWhatWasAcceptedToArriveAndToBeTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{})
		s.peer.says(offerOf(8)...)
		s.peer.hears(ok)
		shut := make(chan error, 1)
		go func() { shut <- s.c.Shutdown(context.Background()) }() // ends with the receive
		time.Sleep(20 * time.Second)
		s.peer.says(append([]byte("accepted"), offerOf(4)...)...) // the second comes too late
		time.Sleep(time.Hour)
		if len(shut) > 0 {
			t.Errorf("Shutdown returned %v before the message was taken", <-shut)
		}
		if diff := cmp.Diff([]string{"accepted"}, s.received()); diff != "" {
			t.Errorf("the Inbox yields (-want +got):\n%s", diff)
		}
		if err := <-shut; err != nil {
			t.Errorf("Shutdown returned %v", err)
		}
		if got := make([]byte, 1); s.peer.reads(got) {
			t.Errorf("the peer heard % x after the end, expected no answer to its late offer", got)
		}
	})
}

func TestAnOfferAfterTheLastMessageStaysUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{InboxBuffer: 2})
		s.peer.says(offerOf(4)...)
		s.peer.hears(ok)
		go s.c.Shutdown(context.Background()) // ends with the connection
		synctest.Wait()
		s.peer.says(append([]byte("last"), offerOf(4)...)...)
		if n, err := s.peer.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("the peer heard %d bytes, %v, expected the end of the stream", n, err)
		}
		if diff := cmp.Diff([]string{"last"}, s.received()); diff != "" {
			t.Errorf("the Inbox yields (-want +got):\n%s", diff)
		}
		<-s.ended
		s.checkEnd(endState{}, nil) // clean for us; the peer knows that its last message was not accepted
	})
}

func TestBothEndsShutDownAtOnce(t *testing.T) { eachMode(t, testBothEndsShutDownAtOnce) }

func testBothEndsShutDownAtOnce(t *testing.T) {
	for name, transport := range duplexTransports {
		for _, n := range []int{0, 10} {
			t.Run(fmt.Sprintf("%s, %d messages queued", name, n), func(t *testing.T) {
				leaktest.Check(t)
				opts := conn.Options{InboxBuffer: n, OutboxBuffer: n}
				x, y := transport(t)
				a, b := joinBounded(t, x, y, &opts, &opts)
				for i := range n {
					a.Outbox() <- []byte{byte(i)}
					b.Outbox() <- []byte{byte(i)}
				}
				start := time.Now()
				var work sync.WaitGroup
				for _, c := range []*conn.Conn{a, b} {
					for range 2 {
						work.Go(func() { c.Shutdown(context.Background()) }) // ends with the connection
					}
				}
				work.Wait()
				// One of both may be the first to have said all, and then nothing
				// answers the other any more: but nothing is lost silently.
				for _, ends := range [][2]*conn.Conn{{a, b}, {b, a}} {
					from, to := ends[0], ends[1]
					received := 0
					for m := range to.Inbox() {
						if want := byte(received); len(m) != 1 || m[0] != want {
							t.Errorf("received % x, expected %02x", m, want)
						}
						received++
					}
					if unsent := len(from.Unsent()); received+unsent != n || (unsent > 0) != (from.Err() != nil) {
						t.Errorf("%d of %d received, %d unsent; Err: %v", received, n, unsent, from.Err())
					}
				}
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		}
	}
}

func TestShutdownWithAContextThatHasEndedEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sends := queued(t)
		cause := errors.New("no time")
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		start := time.Now()
		if err := s.c.Shutdown(ctx); !errors.Is(err, cause) || !errors.Is(err, conn.ErrUnsent) {
			t.Errorf("Shutdown returned %v, expected %v and ErrUnsent", err, cause)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("Shutdown took %v", took)
		}
		for _, sent := range sends {
			if err := <-sent; !errors.Is(err, conn.ErrClosed) {
				t.Errorf("a Send in progress returned %v, expected ErrClosed", err)
			}
		}
		if diff := cmp.Diff([]string{"0", "1", "2", "3", "4"}, s.unsent()); diff != "" {
			t.Errorf("Unsent (-want +got):\n%s", diff)
		}
	})
}

// C5: the ends can be called from a callback.
func TestTheConnectionCanBeEndedInItsContextsCallback(t *testing.T) {
	for _, e := range []end{byClose, byShutdown} {
		t.Run(e.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				nc, peer := memPair(t, 1<<10)
				c, _ := greetPlayed(t, ctx, nc, peer, nil)
				called := make(chan struct{})
				context.AfterFunc(ctx, func() {
					defer close(called)
					e.do(&stage{c: c})
				})
				start := time.Now()
				cancel()
				<-called
				if took := time.Since(start); took > time.Second {
					t.Errorf("it took %v", took)
				}
				if err := c.Err(); err == nil {
					t.Error("Err is nil")
				}
			})
		})
	}
}

func TestAPeerThatEndsWhileItReadsGetsWhatItAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, writing.options)
		writing.reach(s)
		s.peerEnds()
		if !s.isDone() {
			t.Error("Done is not closed")
		}
		s.peer.hears([]byte(large[1:])...)
		<-s.ended
		// Nothing can prove any more that it read that.
		reasons := []string{"unsent", "in doubt"}
		if behind, _ := io.ReadAll(s.peer); len(behind) > 0 { // it was queued when the first was written
			reasons = append(reasons, "incomplete")
		}
		s.checkEnd(endState{unsent: []string{"second"}}, reasons)
		if n := s.c.Stats().MessagesSent; n != 1 {
			t.Errorf("MessagesSent is %d, expected 1", n)
		}
	})
}

// The kernel tells of a reset once: if the write learns of it, the reader may
// see no more than the end of the stream, and even before.
func TestAPeerThatEndsAndThenBreaksOffIsBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, writing.options)
		writing.reach(s)
		s.peerEnds()
		peer.stopReading()
		<-s.ended
		err := s.c.Err()
		if !errors.Is(err, syscall.EPIPE) {
			t.Errorf("Err is %v, expected EPIPE", err)
		}
		if what, ok := errors.AsType[*wire.IncompleteError](err); !ok || !what.Owed || what.Offered != uint32(len(large)) {
			t.Errorf("Err is %v, expected the %d bytes that were not written", err, len(large))
		}
		s.checkEnd(endState{unsent: writing.unsent}, []string{"unsent", "incomplete"})
	})
}

// What the peer said before it stopped reading may say why.
func TestATransportThatTakesNothingMoreEndsTheConnection(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{InboxBuffer: 1, OutboxBuffer: 1})
		s.peer.says(offerOf(8)...)
		s.peer.hears(ok)
		peer.stopReading()
		start := time.Now()
		s.queue("unsent")
		synctest.Wait()
		if !s.isDone() {
			t.Error("Done is not closed")
		}
		s.peer.says([]byte("received")...)
		if took := (<-s.ended).Sub(start); took > time.Second {
			t.Errorf("the end took %v", took)
		}
		if diff := cmp.Diff([]string{"received"}, s.received()); diff != "" {
			t.Errorf("the Inbox yields (-want +got):\n%s", diff)
		}
		if err := s.c.Err(); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("Err is %v, expected EPIPE", err)
		}
		s.checkEnd(endState{unsent: []string{"unsent"}}, []string{"unsent"})
	})
}
