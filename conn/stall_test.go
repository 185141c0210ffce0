package conn_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/wire"
)

func TestAStalledPeerEndsTheConnection(t *testing.T) {
	const never = time.Duration(0)
	unwritten := fmt.Sprintf("unfinished: the %d bytes that the peer had accepted were not wholly written", len(large))
	silentInside := func(s *stage) {
		s.peer.says(offerOf(10)...)
		s.peer.hears(ok)
	}
	inSize := func(s *stage) { s.peer.says(0) }
	unread := func(s *stage) {
		s.send(large)
		s.peer.hears(offerOf(len(large))...)
		s.peer.says(ok)
		s.peer.hears(large[0])
	}
	offered := func(s *stage) {
		s.send("offered")
		s.peer.hears(offerOf(7)...)
	}
	for _, c := range []struct {
		name        string
		options     conn.Options
		stall       func(*stage)
		from, until time.Duration
		doing       string
		what        string
	}{
		{"in a size, default", conn.Options{}, inSize, 30 * time.Second, 30 * time.Second,
			"reading", "unfinished: 1 of 4 bytes of a size had arrived"},
		{"in a payload, default", conn.Options{}, silentInside, 30 * time.Second, 30 * time.Second,
			"reading", "unfinished: 0 of 10 payload bytes had arrived"},
		{"in a payload, given", conn.Options{StallTimeout: time.Second}, silentInside, time.Second, time.Second,
			"reading", "unfinished: 0 of 10 payload bytes had arrived"},
		{"in a payload, for ever", conn.Options{StallTimeout: -1}, silentInside, never, never, "", ""},
		// Progress within the first period is noticed at its end, so it may take two.
		{"not reading, default", conn.Options{}, unread, 30 * time.Second, time.Minute,
			"writing", unwritten},
		{"not reading, given", conn.Options{StallTimeout: time.Second}, unread, time.Second, 2 * time.Second,
			"writing", unwritten},
		{"not reading, for ever", conn.Options{StallTimeout: -1}, unread, never, never, "", ""},
		{"not answering, default", conn.Options{}, offered, never, never, "", ""},
		{"not answering, given", conn.Options{AnswerTimeout: 3 * time.Second}, offered, 3 * time.Second, 3 * time.Second,
			"waiting for the answer to an offer", "unfinished: our offer of 7 bytes was not answered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newStage(t, nc, peer, c.options)
				start := time.Now()
				c.stall(s)
				select {
				case <-s.c.Done():
					if took := time.Since(start); took < c.from || took > c.until {
						t.Errorf("the stall was noticed after %v, expected %v to %v", took, c.from, c.until)
					}
				case <-time.After(24 * time.Hour):
					if c.until != never {
						t.Error("the stall was not noticed")
					}
					return
				}
				s.received()
				err := s.c.Err()
				var stall *conn.StallError
				var timeout net.Error
				if !errors.As(err, &stall) || !errors.As(err, &timeout) || !timeout.Timeout() {
					t.Fatalf("Err is %v, expected a StallError that is a timeout", err)
				}
				after := c.options.StallTimeout + c.options.AnswerTimeout // one of them is given, if any
				if after == 0 {
					after = 30 * time.Second
				}
				if stall.Doing != c.doing || stall.After != after {
					t.Errorf("stalled %s after %v, expected %s after %v", stall.Doing, stall.After, c.doing, after)
				}
				var what *wire.IncompleteError
				if !errors.As(err, &what) || what.Error() != c.what {
					t.Errorf("Err is %v, expected %s", err, c.what)
				}
			})
		})
	}
}

func TestASlowPeerIsNoStalledPeer(t *testing.T) {
	const pause = 29 * time.Second
	t.Run("that sends slowly", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			nc, peer := memPair(t, 1<<10)
			s := newStage(t, nc, peer, conn.Options{InboxBuffer: 1})
			for _, b := range offerOf(4) {
				time.Sleep(pause)
				s.peer.says(b)
			}
			s.peer.hears(ok)
			for _, b := range []byte("slow") {
				time.Sleep(pause)
				s.peer.says(b)
			}
			if msg, err := s.c.Receive(t.Context()); string(msg) != "slow" || err != nil {
				t.Errorf("Receive returned %q, %v", msg, err)
			}
		})
	})
	t.Run("that reads slowly", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			nc, peer := memPair(t, 1)
			s := newStage(t, nc, peer, conn.Options{})
			s.send("slow, slow, slow")
			s.peer.hears(offerOf(16)...)
			time.Sleep(time.Hour) // the answer may take as long as it likes
			s.peer.says(ok)
			for _, b := range []byte("slow, slow, slow") {
				time.Sleep(pause)
				s.peer.hears(b)
			}
			if err := <-s.sent; err != nil {
				t.Error(err)
			}
		})
	})
	// What we wait for is not due before the peer can know of it.
	for name, c := range map[string]struct {
		options conn.Options
		says    []byte
	}{
		"that reads slowly what stands before our OK":    {conn.Options{StallTimeout: time.Second}, append([]byte{ok}, offerOf(4)...)},
		"that reads slowly what stands before our offer": {conn.Options{AnswerTimeout: time.Second, OutboxBuffer: 1}, []byte{ok}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 16)
				s := newStage(t, nc, peer, c.options)
				const pieces = 20
				piece := []byte("slow, slow, slow")
				s.queue(strings.Repeat(string(piece), pieces))
				s.peer.hears(offerOf(pieces * len(piece))...)
				if c.options.OutboxBuffer > 0 {
					s.queue("next")
					synctest.Wait()
				}
				s.peer.says(c.says...)
				for range pieces {
					time.Sleep(900 * time.Millisecond)
					s.peer.hears(piece...)
				}
				if c.options.OutboxBuffer > 0 {
					s.peer.hearsMessage("next")
					return
				}
				s.peer.hears(ok)
				s.peer.says([]byte("next")...)
				if msg, err := s.c.Receive(t.Context()); string(msg) != "next" || err != nil {
					t.Errorf("Receive returned %q, %v", msg, err)
				}
			})
		})
	}
	t.Run("that answers slowly, but in time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			nc, peer := memPair(t, 1<<10)
			s := newStage(t, nc, peer, conn.Options{AnswerTimeout: 30 * time.Second})
			for range 5 {
				s.send("message")
				s.peer.hears(offerOf(7)...)
				time.Sleep(pause)
				s.peer.says(ok)
				s.peer.hears([]byte("message")...)
				if err := <-s.sent; err != nil {
					t.Error(err)
				}
				time.Sleep(time.Hour) // nothing is due between messages
			}
		})
	})
}
