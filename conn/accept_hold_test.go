package conn_test

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// hearsNothing has the peer listen for a second.
func (p played) hearsNothing() {
	p.t.Helper()
	p.SetReadDeadline(time.Now().Add(time.Second))
	defer p.SetReadDeadline(time.Time{})
	var b [1]byte
	if n, err := p.Read(b[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Fatalf("the peer heard % x, %v; expected silence", b[:n], err)
	}
}

// holding is a connection whose peer greets with these bytes.
func holding(t *testing.T, greeting ...byte) (*conn.Conn, played) {
	own, nc := memPair(t, 1<<10)
	peer := played{nc, t}
	peer.says(greeting...)
	c, err := conn.New(t.Context(), own, &conn.Options{
		HoldOffers: true,
		MaxMessage: 10, // does not hold for what is streamed
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	peer.hears(ok)
	return c, peer
}

// A Handler gets a connection whose peer may have offered a message already.
func TestHeldOffersWaitForSetAccept(t *testing.T) {
	for _, early := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			greeting := []byte{ok}
			if early {
				greeting = append(greeting, offerOf(12)...)
			}
			c, peer := holding(t, greeting...)
			if !early {
				peer.says(offerOf(12)...)
			}
			peer.hearsNothing()

			var got bytes.Buffer
			done := make(chan error, 1)
			c.SetAccept(func(uint32) conn.Placement {
				return conn.Placement{Writer: &got, Done: func(_ int64, err error) { done <- err }}
			})
			peer.hears(ok)
			peer.says([]byte("large enough")...)
			if err := <-done; err != nil || got.String() != "large enough" {
				t.Errorf("%q came, %v", &got, err)
			}
		})
	}
}

// An offer that is held is put off where it stands before a payload of ours (R4).
func TestAHeldOfferDoesNotHoldUpOurMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := holding(t, append([]byte{ok}, offerOf(4)...)...)
		sent := make(chan error, 1)
		go func() { sent <- c.Send(t.Context(), []byte("ours")) }() // ends with the message
		peer.hears(offerOf(4)...)
		peer.says(ok)
		peer.hears(append([]byte{conflict}, "ours"...)...)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		c.SetAccept(nil)
		peer.saysMessage("data")
		if got := <-c.Inbox(); string(got) != "data" {
			t.Errorf("received %q", got)
		}
	})
}
