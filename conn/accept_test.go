package conn_test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tinyproto-go/tinyproto/conn"
)

// What a Placement says, and the limit of 10 bytes, make of an offer.
func TestAPlacementDecidesOnAnOffer(t *testing.T) {
	for _, c := range []struct {
		name      string
		placement func(catcher) conn.Placement
		size      int
		answer    byte
		inbox     []string
		written   []string
	}{
		{name: "no Writer, the largest", size: 10, answer: ok, inbox: []string{"xxxxxxxxxx"}},
		{name: "no Writer, over the limit", size: 11, answer: tooLarge},
		{name: "no Writer, empty", size: 0, answer: ok, inbox: []string{""}},
		{
			name: "Refuse, within the limit", size: 10, answer: tooLarge,
			placement: func(catcher) conn.Placement { return conn.Placement{Refuse: true} },
		},
		{
			name: "Refuse, empty", size: 0, answer: tooLarge,
			placement: func(catcher) conn.Placement { return conn.Placement{Refuse: true} },
		},
		{
			name: "Writer, within the limit", size: 10, answer: ok, written: []string{"xxxxxxxxxx"},
			placement: func(into catcher) conn.Placement { return into.accept(10) },
		},
		{
			name: "Writer, over the limit", size: 30, answer: ok, written: []string{string(bytes.Repeat([]byte("x"), 30))},
			placement: func(into catcher) conn.Placement { return into.accept(30) },
		},
		{
			name: "Writer, empty", size: 0, answer: ok, written: []string{""},
			placement: func(into catcher) conn.Placement { return into.accept(0) },
		},
		{
			name: "Writer without Done", size: 30, answer: ok,
			placement: func(catcher) conn.Placement { return conn.Placement{Writer: io.Discard} },
		},
		{
			name: "Writer without Done, empty", size: 0, answer: ok,
			placement: func(catcher) conn.Placement { return conn.Placement{Writer: io.Discard} },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				into := make(catcher, 2)
				var asked []uint32
				nc, peer := memPair(t, 1<<10)
				s := newStage(t, nc, peer, conn.Options{MaxMessage: 10, InboxBuffer: 1, Accept: func(size uint32) conn.Placement {
					if asked = append(asked, size); len(asked) > 1 || c.placement == nil {
						return conn.Placement{}
					}
					return c.placement(into)
				}})
				want := conn.Stats{MessagesReceived: 1, BytesReceived: 4}
				s.peer.says(offerOf(c.size)...)
				s.peer.hears(c.answer)
				if c.answer == ok {
					s.peer.Write(bytes.Repeat([]byte("x"), c.size))
					want.MessagesReceived++
					want.BytesReceived += uint64(c.size)
				} else {
					want.PeerRefused++
				}
				if c.inbox != nil { // makes room for the next
					if m := <-s.c.Inbox(); string(m) != c.inbox[0] {
						t.Errorf("received %q, expected %q", m, c.inbox[0])
					}
				}
				s.peer.saysMessage("next")
				if m := <-s.c.Inbox(); string(m) != "next" {
					t.Errorf("received %q, expected the message behind it", m)
				}
				for _, body := range c.written {
					(<-into).checkWhole(t, []byte(body))
				}
				into.checkNothingMore(t)
				if diff := cmp.Diff([]uint32{uint32(c.size), 4}, asked); diff != "" {
					t.Errorf("the sizes that Accept was asked about (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(want, s.c.Stats(), cmpopts.IgnoreFields(conn.Stats{}, "LastActivity")); diff != "" {
					t.Errorf("Stats (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A refusal is TOO_LARGE to the sender, and no more: neither end is the worse for it.
func TestARefusedOfferLeavesTheConnectionAlive(t *testing.T) {
	eachMode(t, testARefusedOfferLeavesTheConnectionAlive)
}

func testARefusedOfferLeavesTheConnectionAlive(t *testing.T) {
	for name, transport := range transports {
		t.Run(name, func(t *testing.T) {
			x, y := transport(t)
			a, b := joinBounded(t, x, y, nil, &conn.Options{InboxBuffer: 1, Accept: func(size uint32) conn.Placement {
				return conn.Placement{Refuse: size == 3}
			}})
			if err := a.Send(t.Context(), []byte("bad")); diffError(err, &conn.TooLargeError{Size: 3, Peer: true}) != "" {
				t.Errorf("Send returned %v, expected TOO_LARGE", err)
			}
			if err := a.Send(t.Context(), []byte("good")); err != nil {
				t.Error(err)
			}
			if m, err := b.Receive(t.Context()); string(m) != "good" || err != nil {
				t.Errorf("received %q, %v", m, err)
			}
		})
	}
}

// Accept sees every offer once and in order, whoever is served how.
func TestAcceptIsAskedOncePerOfferInTheirOrder(t *testing.T) {
	eachMode(t, testAcceptIsAskedOncePerOfferInTheirOrder)
}

func testAcceptIsAskedOncePerOfferInTheirOrder(t *testing.T) {
	for name, transport := range streamTransports {
		t.Run(name, func(t *testing.T) {
			const messages = 600
			var sizes, asked []uint32
			into := make(catcher, messages)
			var inbox []int
			x, y := transport(t)
			a, b := joinBounded(t, x, y, nil, &conn.Options{Accept: func(size uint32) conn.Placement {
				asked = append(asked, size)
				switch size % 3 {
				case 0:
					return conn.Placement{Refuse: true}
				case 1:
					return into.accept(size)
				}
				return conn.Placement{}
			}})
			received := make(chan error, 1)
			go func() { // ends with the connection
				for m := range b.Inbox() {
					inbox = append(inbox, len(m))
				}
				received <- b.Err()
			}()
			var wantInbox []int
			cut := newCutter(1)
			for range messages {
				msg := cut.next()
				sizes = append(sizes, uint32(len(msg)))
				if err := a.Send(t.Context(), msg); (err != nil) != (len(msg)%3 == 0) {
					t.Fatalf("Send of %d bytes returned %v", len(msg), err)
				}
				if len(msg)%3 == 2 {
					wantInbox = append(wantInbox, len(msg))
				}
			}
			shutDown(t, a, b)
			if err := <-received; err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(sizes, asked); diff != "" {
				t.Errorf("the sizes that Accept was asked about (-sent +asked):\n%s", diff)
			}
			if diff := cmp.Diff(wantInbox, inbox); diff != "" {
				t.Errorf("the sizes in the Inbox (-sent +received):\n%s", diff)
			}
			written := slices.DeleteFunc(sizes, func(size uint32) bool { return size%3 != 1 })
			for _, size := range written {
				if c := <-into; c.size != size || c.moved != int64(size) || c.err != nil {
					t.Fatalf("Done of %d, %d moved, %v; expected %d", c.size, c.moved, c.err, size)
				}
			}
			into.checkNothingMore(t)
		})
	}
}

// An offer that came in one segment with the hello is an offer like all others.
func TestAcceptIsAskedAboutAnOfferThatCameWithTheHello(t *testing.T) {
	for _, size := range []int{0, 4} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			into := make(catcher, 2)
			nc, peer := tcpPair(t)
			p := played{peer, t}
			p.says(append([]byte{ok}, offerOf(size)...)...)
			c, err := conn.New(t.Context(), nc, &conn.Options{Accept: into.accept})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			p.hears(ok, ok)
			p.Write([]byte("data")[:size])
			(<-into).checkWhole(t, []byte("data")[:size])
		})
	}
}
