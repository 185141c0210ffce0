package conn_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/wire"
)

// In these tests nobody calls the connection at first, or any more, and what comes
// has to be read nevertheless (R6 of PROTOCOL.md).

// callsBefore are what the application may have done before it turned to something else.
var callsBefore = map[string]func(*stage){
	"nothing":              func(*stage) {},
	"a Receive":            (*stage).receivesOne,
	"a Send":               (*stage).sendsOne,
	"a Receive that ended": (*stage).receivesNone,
}

func TestOffersAreAnsweredWhileTheApplicationIsBusy(t *testing.T) {
	for name, before := range callsBefore {
		t.Run(name, func(t *testing.T) {
			s := newShared(t, conn.Options{InboxBuffer: 1})
			before(s)
			s.delivers("one") // into the Inbox
			s.delivers("two") // held
			s.c.Outbox() <- []byte("out")
			s.peer.hears(offerOf(3)...)
			s.peer.says(append(offerOf(5), ok)...) // no room, and the payload is due (R4)
			s.peer.hears(append([]byte{conflict}, "out"...)...)
			s.peer.says(offerOf(5)...)
			s.receives("one")
			s.peer.hears(ok)
			s.peer.says([]byte("three")...)
			s.receives("two", "three")
		})
	}
}

func TestMessagesOfTheOutboxAreAnsweredForAnApplicationThatOnlyReceivesNowAndThen(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		for name, before := range callsBefore {
			t.Run(name, func(t *testing.T) {
				s := newShared(t, conn.Options{})
				before(s)
				for _, m := range []string{"one", "two", "three"} { // without buffer: each is next
					s.c.Outbox() <- []byte(m)
					s.takes(m)
					if inPipelined() {
						s.peer.says(ok)
					}
				}
			})
		}
	})
}

func TestAPINGIsAnsweredWhileTheApplicationIsBusy(t *testing.T) {
	inPipelinedMode(t)
	for name, before := range callsBefore {
		t.Run(name, func(t *testing.T) {
			s := newShared(t, conn.Options{})
			before(s)
			for range 5 {
				s.peer.says(byte(wire.Ping))
				s.peer.hears(byte(wire.Pong))
			}
		})
	}
}

func TestAPeerIsAskedForASignOfLifeWhoeverReads(t *testing.T) {
	inPipelinedMode(t)
	for name, before := range map[string]func(*stage){
		"a Receive waits": func(s *stage) { go s.c.Receive(context.Background()) }, // ends with the connection
		"a Send waits": func(s *stage) {
			s.send("sent")
			s.peer.hears(dataOf("sent")...)
		},
		"nobody reads": func(*stage) {},
		"after a Send": (*stage).sendsOne,
	} {
		t.Run(name, func(t *testing.T) {
			s := newShared(t, conn.Options{PeerTimeout: 100 * time.Millisecond})
			before(s)
			for range 3 {
				s.peer.hears(byte(wire.Ping))
				s.peer.says(byte(wire.Pong))
			}
			s.peer.hears(byte(wire.Ping))
			if !closesWithin(s.c.Done(), patience) {
				t.Fatal("the connection does not end")
			}
			if err := s.c.Shutdown(t.Context()); !isStall(err, "waiting for a sign of life") {
				t.Errorf("Err is %v", err)
			}
		})
	}
}

func TestAPeerThatStallsIsNoticedWhoeverReads(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		for name, before := range map[string]func(*stage){
			"a Receive waits": func(s *stage) { go s.c.Receive(context.Background()) }, // ends with the connection
			"nobody reads":    func(*stage) {},
			"after a Receive": (*stage).receivesOne,
		} {
			t.Run(name, func(t *testing.T) {
				s := newShared(t, conn.Options{StallTimeout: 50 * time.Millisecond})
				before(s)
				s.peer.says(offerOf(10)...)
				if !inPipelined() {
					s.peer.hears(ok)
				}
				s.peer.says([]byte("half")...)
				if !closesWithin(s.c.Done(), patience) {
					t.Fatal("the connection does not end")
				}
				if err := s.c.Shutdown(t.Context()); !isStall(err, "reading") {
					t.Errorf("Err is %v", err)
				}
			})
		}
	})
}

func TestAPeerThatDoesNotAnswerIsNoticedWhileSendReads(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		s := newShared(t, conn.Options{AnswerTimeout: 50 * time.Millisecond})
		err := sendSoon(s.c, "never answered")
		if !errors.Is(err, conn.ErrClosed) {
			t.Errorf("Send returned %v", err)
		}
		if err := s.c.Err(); !isStall(err, "waiting for the answer to ") {
			t.Errorf("Err is %v", err)
		}
	})
}

func isStall(err error, doing string) bool {
	var stall *conn.StallError
	return errors.As(err, &stall) && bytes.HasPrefix([]byte(stall.Doing), []byte(doing))
}

// A handler that takes its time between messages, at the least longer than a
// connection is left unread, loses none, in either direction.
func TestASlowHandlerEchoesEveryMessage(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		x, y := tcpPair(t)
		a, b := joinBounded(t, x, y, nil, nil)
		random := newRandom(t)
		const n = 60
		go func() { // ends with the connection
			for msg, err := range b.Messages(context.Background()) {
				if err != nil {
					return
				}
				aMoment(random)
				if b.Send(context.Background(), msg) != nil {
					return
				}
			}
		}()
		sent := make(chan error, 1)
		go func() { // ends with the last message
			for i := range n {
				if err := a.Send(context.Background(), []byte{byte(i)}); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		for i := range n {
			if msg, err := receiveSoon(a); err != nil || len(msg) != 1 || msg[0] != byte(i) {
				t.Fatalf("echo %d is %v, %v", i, msg, err)
			}
		}
		if err := <-sent; err != nil {
			t.Errorf("Send returned %v", err)
		}
		shutDown(t, a, b)
	})
}

// What has come but was not read when the peer ended is not lost.
func TestReceiveHasAllThatCameBeforeTheEndWhileNobodyRead(t *testing.T) {
	inPipelinedMode(t)
	for range 10 {
		s := newShared(t, conn.Options{})
		want := []string{"one", "two", "three"}
		s.peer.says(dataOf(want...)...)
		s.peer.Conn.(*net.TCPConn).CloseWrite()
		<-s.c.Done()
		s.receives(want...)
		if msg, err := receiveSoon(s.c); err == nil {
			t.Errorf("then Receive returned %q", msg)
		}
	}
}
