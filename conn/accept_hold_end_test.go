package conn_test

import (
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// Whoever calls SetAccept decides on the offer that is held, and may take so
// long that nothing is left to decide on: its Done is told.
func TestDoneIsCalledIfTheConnectionEndsWhileSetAcceptDecides(t *testing.T) {
	for _, c := range []struct {
		end    end
		reason error
	}{
		{byReset, syscall.ECONNRESET},
		{byPeer, io.ErrUnexpectedEOF},
		{byClose, conn.ErrClosed},
	} {
		for _, size := range []int{10, 0} {
			t.Run(c.end.name, func(t *testing.T) {
				leaktest.Check(t)
				synctest.Test(t, func(t *testing.T) {
					into := make(catcher, 2)
					nc, peer := memPair(t, 1<<10)
					s := newStage(t, nc, peer, conn.Options{HoldOffers: true})
					s.peer.says(offerOf(size)...)
					synctest.Wait()
					s.c.SetAccept(func(size uint32) conn.Placement {
						go c.end.do(s) // ends with the connection
						s.received()
						<-s.ended
						return into.accept(size)
					})
					synctest.Wait()
					if len(into) != 1 {
						t.Fatalf("Done was called %d times", len(into))
					}
					checkPartial(t, (<-into).err, int64(size), 0, c.reason)
				})
			})
		}
	}
}

// While SetAccept decides, the connection goes on: the offer may have been put
// off (R4) when its Placement is there, and what comes next is another offer.
func TestAnOfferThatIsPutOffWhileSetAcceptDecides(t *testing.T) {
	for _, c := range []struct {
		name string
		size int // of what the peer offers next
	}{
		{"is offered again", 4},
		{"and taken back for another", 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				into := make(catcher, 4)
				var placed atomic.Int64
				proceed := make(chan bool)
				nc, peer := memPair(t, 1<<10)
				s := newStage(t, nc, peer, conn.Options{HoldOffers: true})
				s.peer.says(offerOf(4)...)
				synctest.Wait() // it is held
				s.send("ours")
				s.peer.hears(offerOf(4)...)
				go s.c.SetAccept(func(size uint32) conn.Placement { // ends when it has decided
					<-proceed
					placed.Add(1)
					return into.accept(size)
				})
				synctest.Wait()
				s.peer.says(ok)
				s.peer.hears(append([]byte{conflict}, "ours"...)...)
				s.peer.says(offerOf(c.size)...)
				synctest.Wait()
				close(proceed)
				s.peer.hears(ok)
				s.peer.says(content(c.size)...)
				synctest.Wait()
				s.c.Close()
				if m := s.received(); m != nil {
					t.Errorf("received %q, expected that all goes to Writers", m)
				}
				synctest.Wait()
				if len(into) != int(placed.Load()) {
					t.Errorf("Done was called %d times, for %d Writers", len(into), placed.Load())
				}
				whole := 0
				for len(into) > 0 {
					got := <-into
					if got.err != nil {
						checkPartial(t, got.err, 4, 0)
						continue
					}
					got.checkWhole(t, content(c.size))
					whole++
				}
				if whole != 1 {
					t.Errorf("%d messages came wholly, expected 1", whole)
				}
			})
		})
	}
}
