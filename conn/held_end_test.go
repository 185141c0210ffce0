package conn_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

func TestTheEndWhileAMessageIsHeldAndAWriteWaits(t *testing.T) {
	taken, dropped := []string{"held"}, []string(nil)
	for _, c := range []struct {
		name string
		end  end
		late time.Duration // when the application takes what there is

		classic, pipelined []string
	}{
		{"Close", byClose, 0, dropped, dropped},
		{"Close, taken late", byClose, time.Hour, dropped, dropped},
		{"the context, with time left", byContext, 0, taken, dropped},
		{"the context, taken late", byContext, time.Hour, dropped, dropped},
		{"Shutdown", byShutdown, 0, taken, taken},
		{"Shutdown that gives up", byShutdown, time.Hour, dropped, dropped},
		{"the peer's end of stream", byPeer, 0, taken, taken},
		{"the peer's end of stream, taken late", byPeer, time.Hour, taken, taken},
		{"the peer's reset", byReset, 0, taken, taken},
		{"the peer's reset, taken late", byReset, time.Hour, taken, taken},
		{"a peer that stalls", silence, 0, taken, taken},
		{"a peer that stalls, taken late", silence, time.Hour, taken, taken},
	} {
		for order, hold := range orders {
			t.Run(c.name+", "+order, func(t *testing.T) {
				eachMode(t, func(t *testing.T) {
					leaktest.Check(t)
					synctest.Test(t, func(t *testing.T) {
						s := newHolding(t, 16, conn.Options{})
						hold(s, "held", ways["Send"])
						go c.end.do(s) // ends with the connection
						synctest.Wait()
						time.Sleep(c.late)
						want := c.classic
						if inPipelined() {
							want = c.pipelined
						}
						if diff := cmp.Diff(want, s.received()); diff != "" {
							t.Errorf("the Inbox has (-want +got):\n%s", diff)
						}
						<-s.ended
						if err := <-s.sent; err == nil {
							t.Error("the message that was not read is sent")
						}
					})
				})
			})
		}
	}
}

// Where Receives read until then, on a socket.
func TestTheInboxThatIsAskedForWhileAWriteWaitsHasWhatIsHeld(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		leaktest.Check(t)
		s := newShared(t, conn.Options{})
		s.send(large)
		if inPipelined() {
			s.peer.hears(offerOf(len(large))...)
			s.peer.says(dataOf("held", "next")...)
		} else {
			s.peer.hears(offerOf(len(large))...)
			s.peer.says(offerOf(4)...)
			s.peer.hears(ok)
			s.peer.says(append([]byte{ok}, "held"...)...)
			s.peer.hears(large[0])
		}
		within(t, "receiving", func() {
			for s.c.Stats().MessagesReceived == 0 { // it is read before anybody asks for the Inbox
				runtime.Gosched()
			}
			if got := string(<-s.c.Inbox()); got != "held" {
				t.Errorf("the Inbox has %q", got)
			}
			if inPipelined() {
				s.receives("next")
			}
		})
	})
}

// Each message comes once and in order, whoever hands it over, and whether it is
// waited for or not.
func TestWritesThatWaitAndApplicationsThatAreBusy(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		for _, buffers := range [][2]int{{0, 0}, {16, 0}, {500, 2}} {
			t.Run(fmt.Sprintf("transport %d, Inbox %d", buffers[0], buffers[1]), func(t *testing.T) {
				leaktest.Check(t)
				synctest.Test(t, func(t *testing.T) {
					x, y := memPair(t, buffers[0])
					opts := conn.Options{InboxBuffer: buffers[1]}
					a, b := join(t, x, y, &opts, &opts)
					const n = 500
					var work sync.WaitGroup
					for i, c := range []*conn.Conn{a, b} {
						seed := newRandom(t).Uint64()
						work.Go(func() { sendAll(t, []func([]byte) error{viaSend(c), viaOutbox(c)}[i], uint64(i), n) }) // ends with the last
						work.Go(func() { receiveSlowly(t, c, uint64(1-i), n, rand.New(rand.NewPCG(seed, 0))) })         // ends with the last
					}
					work.Wait()
					endBoth(t, a, b)
				})
			})
		}
	})
}

// receiveSlowly is receiveAll for an application that is busy between some messages.
func receiveSlowly(t *testing.T, from *conn.Conn, seed uint64, n int, random *rand.Rand) {
	for i, c := 0, newCutter(seed); i < n; i++ {
		if random.IntN(2) == 0 {
			aMoment(random)
		}
		if msg, want := string(<-from.Inbox()), string(c.next()); msg != want {
			t.Errorf("message %d arrived as %d bytes, expected %d, or others; Err: %v", i, len(msg), len(want), from.Err())
			return
		}
	}
}
