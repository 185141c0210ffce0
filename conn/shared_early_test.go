package conn_test

import (
	"errors"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
)

// A legacy client takes the hello for the answer to its first offer (R3 of
// PROTOCOL.md), and waits for the reply.
func TestAMessageThatCameWithTheHelloIsReceivedAtOnce(t *testing.T) {
	for range 20 {
		nc, peer := tcpPair(t)
		p := played{peer, t}
		p.says(append(append([]byte{ok}, offerOf(5)...), "early"...)...)
		c, err := conn.New(t.Context(), nc, nil)
		if err != nil {
			t.Fatal(err)
		}
		if msg, err := receiveSoon(c); string(msg) != "early" || err != nil {
			t.Errorf("Receive returned %q, %v, expected the message", msg, err)
		}
		c.Close()
	}
}

func TestWhatCameBeforeItsTimeIsParsedByWhoeverReadsNext(t *testing.T) {
	newEarly := func(t *testing.T, early string) *stage {
		s := newShared(t, conn.Options{})
		s.peer.says(offerOf(5)...)
		received := make(chan string, 1)
		go func() { // ends with the message
			msg, _ := receiveSoon(s.c)
			received <- string(msg)
		}()
		s.peer.hears(ok)
		s.peer.says(append(append([]byte("first"), offerOf(1)...), early...)...)
		if got := <-received; got != "first" {
			t.Fatalf("received %q first", got)
		}
		return s
	}
	t.Run("a Receive", func(t *testing.T) {
		s := newEarly(t, "2")
		s.receives("2")
	})
	t.Run("a Send, whose answer is in it", func(t *testing.T) {
		for range 20 {
			s := newEarly(t, "2\xff")
			// An answer that nobody asked for, if it is parsed before the Send.
			if err := sendSoon(s.c, "out"); err != nil && !errors.Is(err, conn.ErrProtocol) {
				t.Errorf("Send returned %v", err)
			}
		}
	})
	t.Run("nobody", func(t *testing.T) {
		s := newEarly(t, "2"+string(offerOf(3)))
		s.peer.hears(ok)
		s.receives("2")
		s.peer.hears(ok)
	})
}
