package conn_test

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/wire"
)

// They are unsent in the order of the Outbox, but do not pile up until it is their turn.
func TestMessagesThatThePeerIsKnownToRefuseAreBoundedBehindOneWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{OutboxBuffer: 4, MaxRefused: 2, PeerTimeout: -1},
			wire.Terms{MaxMessage: 1, WindowMessages: 10, WindowBytes: 10})
		s.queue("1")
		s.peer.hears(dataOf("1")...)
		s.queue("22", "333")
		synctest.Wait()
		if s.isDone() {
			t.Fatal("it ended, though two may be refused")
		}
		s.queue("4444")
		synctest.Wait()
		if !s.isDone() {
			t.Fatal("it goes on after three were refused")
		}
		s.c.Close()
		if diff := cmp.Diff([]string{"1", "22", "333", "4444"}, s.unsent()); diff != "" {
			t.Errorf("Unsent (-want +got):\n%s", diff)
		}
		checkError(t, s.c.Err(), conn.ErrTooLarge, conn.ErrUnsent)
	})
}
