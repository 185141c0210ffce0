package conn_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
)

func TestSetAcceptDecidesOnTheOffersThatFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		into := make(catcher, 1)
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{InboxBuffer: 1})
		toWriter := func() {
			t.Helper()
			s.peer.saysMessage("to a Writer")
			(<-into).checkWhole(t, []byte("to a Writer"))
		}
		toInbox := func() {
			t.Helper()
			s.peer.saysMessage("to the Inbox")
			if m := <-s.c.Inbox(); string(m) != "to the Inbox" {
				t.Errorf("received %q", m)
			}
		}
		toInbox()
		s.c.SetAccept(into.accept)
		toWriter()
		s.c.SetAccept(nil)
		toInbox()
		// An Accept that comes when the offer has arrived is too late for it.
		s.peer.saysMessage("fills the Inbox")
		s.peer.saysMessage("is held")
		s.peer.says(offerOf(4)...)
		synctest.Wait()
		s.c.SetAccept(into.accept)
		for _, want := range []string{"fills the Inbox", "is held"} {
			if m := <-s.c.Inbox(); string(m) != want {
				t.Errorf("received %q, expected %q", m, want)
			}
		}
		s.peer.hears(ok)
		s.peer.says([]byte("held")...)
		if m := <-s.c.Inbox(); string(m) != "held" {
			t.Errorf("received %q", m)
		}
		s.peer.says(offerOf(1)...)
		s.peer.hears(ok)
		s.peer.says('!')
		(<-into).checkWhole(t, []byte("!"))
	})
}

// CONFLICT ends an offer, and the next one is another, also if it is about the
// same message.
func TestAcceptIsAskedAgainAboutAMessageThatWasPutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []uint32
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{Accept: func(size uint32) conn.Placement {
			asked = append(asked, size)
			return conn.Placement{}
		}})
		s.peer.saysMessage("is held")
		for range 2 {
			s.peer.says(offerOf(3)...)
			synctest.Wait()
			s.send("ours")
			s.peer.hears(offerOf(4)...)
			s.peer.says(ok)
			s.peer.hears(append([]byte{conflict}, "ours"...)...)
			<-s.sent
		}
		<-s.c.Inbox()
		s.peer.saysMessage("off")
		<-s.c.Inbox()
		if diff := cmp.Diff([]uint32{7, 3, 3, 3}, asked); diff != "" {
			t.Errorf("the sizes that Accept was asked about (-want +got):\n%s", diff)
		}
	})
}

// What goes to a Writer needs no room in the Inbox, and overtakes nothing: what
// is in the Inbox came before.
func TestAWriterTakesMessagesWhileTheInboxIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		into := make(catcher, 3)
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{Accept: func(size uint32) conn.Placement {
			if size < 10 {
				return conn.Placement{}
			}
			return into.accept(size)
		}})
		s.peer.saysMessage("held")
		for range 3 {
			s.peer.saysMessage("this is streamed")
			(<-into).checkWhole(t, []byte("this is streamed"))
		}
		s.peer.says(offerOf(5)...)
		synctest.Wait()
		if n := peer.in.length(); n != 0 {
			t.Errorf("%d bytes answer an offer for which there is no room", n)
		}
		go s.c.Send(context.Background(), []byte("offer")) // ends with the connection
		s.peer.hears(offerOf(5)...)
		s.peer.says(ok)
		s.peer.hears(conflict) // R4
		s.peer.hears([]byte("offer")...)
		if m := <-s.c.Inbox(); string(m) != "held" {
			t.Errorf("received %q", m)
		}
		s.peer.saysMessage("again")
		if m := <-s.c.Inbox(); string(m) != "again" {
			t.Errorf("received %q", m)
		}
	})
}
