package conn_test

import (
	"io"
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
