package conn_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

var errPoison = errors.New("poison")

// squeamish is a Transform that can't encode some messages, and makes the others ten
// times as long.
func squeamish() conn.Transform {
	return codec{encode: func(dst, src []byte) ([]byte, error) {
		if bytes.HasPrefix(src, []byte("poison")) {
			return nil, errPoison
		}
		return append(dst, bytes.Repeat(src, 10)...), nil
	}}
}

func TestAMessageThatCannotBeEncodedFailsItsSendAlone(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		s := transformStage(t, conn.Options{}, squeamish(), tag('a'))
		for range 3 {
			err := s.c.Send(t.Context(), []byte("poison"))
			checkError(t, err, conn.ErrTransform, errPoison)
			if errors.Is(err, conn.ErrClosed) || errors.Is(err, conn.ErrInDoubt) {
				t.Errorf("Send returned %v, but nothing happened to the connection", err)
			}
			s.send("fine")
			s.peer.hearsMessage("a" + strings.Repeat("fine", 10))
			if err := <-s.sent; err != nil {
				t.Error(err)
			}
		}
		if stats := s.c.Stats(); stats.Refused != 3 || stats.MessagesSent != 3 {
			t.Errorf("Stats are %+v, expected 3 refused and 3 sent", stats)
		}
		if unsent := s.unsent(); unsent != nil {
			t.Errorf("Unsent lists %q", unsent)
		}
	})
}

func TestAMessageOfTheOutboxThatCannotBeEncodedEndsTheConnection(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		s := transformStage(t, conn.Options{OutboxBuffer: 3}, squeamish())
		s.queue("fine")
		s.peer.hearsMessage(strings.Repeat("fine", 10))
		s.queue("poison", "behind it", "and more")
		<-s.c.Done()
		synctest.Wait()
		byPeer.do(s)
		s.received()
		<-s.ended
		checkError(t, s.c.Err(), conn.ErrTransform, errPoison, conn.ErrUnsent)
		if diff := cmp.Diff([]string{"poison", "behind it", "and more"}, s.unsent()); diff != "" {
			t.Errorf("Unsent (-want +got):\n%s", diff)
		}
	})
}

// MaxRefused allows for some, as for those that the peer refuses.
func TestMaxRefusedCountsMessagesThatCannotBeEncoded(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		s := transformStage(t, conn.Options{OutboxBuffer: 3, MaxRefused: 1}, squeamish())
		s.queue("poison", "fine")
		s.peer.hearsMessage(strings.Repeat("fine", 10))
		if diff := cmp.Diff([]string{"poison"}, s.unsent()); diff != "" {
			t.Errorf("Unsent (-want +got):\n%s", diff)
		}
		s.queue("poison 2", "behind it")
		<-s.c.Done()
		byPeer.do(s)
		s.received()
		checkError(t, s.c.Err(), conn.ErrTransform, errPoison, conn.ErrUnsent)
		if diff := cmp.Diff([]string{"poison", "poison 2", "behind it"}, s.unsent()); diff != "" {
			t.Errorf("Unsent (-want +got):\n%s", diff)
		}
	})
}

func TestAMessageThatCannotBeDecodedEndsTheConnection(t *testing.T) {
	for _, c := range []struct {
		name, wire string
		end        bool // the peer ends behind it
	}{
		{"the outer transform fails", "ab-", false},
		{"the inner transform fails", "bx-", false},
		{"empty", "", false},
		{"the last one, and the peer has ended", "bx-", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				s := transformStage(t, conn.Options{InboxBuffer: 1}, tag('a'), tag('b'))
				s.peer.saysMessage("bagood")
				s.peer.saysFrom(len(c.wire), []byte(c.wire))
				if c.end {
					byPeer.do(s)
				}
				if diff := cmp.Diff([]string{"good"}, s.received()); diff != "" {
					t.Errorf("received (-want +got):\n%s", diff)
				}
				<-s.ended
				checkError(t, s.c.Err(), conn.ErrTransform, errTag)
				if stats := s.c.Stats(); stats.MessagesReceived != 2 {
					t.Errorf("Stats count %d messages, expected 2 that arrived", stats.MessagesReceived)
				}
			})
		})
	}
}

// The peer sees the size of what is encoded, and so do we in its refusal.
func TestARefusalNamesTheEncodedSize(t *testing.T) {
	t.Run("Send", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := transformStage(t, conn.Options{}, squeamish())
			s.send("too large")
			s.peer.hears(offerOf(90)...)
			s.peer.says(tooLarge)
			err := <-s.sent
			if diff := diffError(err, &conn.TooLargeError{Size: 90, Peer: true}); diff != "" {
				t.Errorf("Send returned %v (-want +got):\n%s", err, diff)
			}
		})
	})
	t.Run("Outbox", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := transformStage(t, conn.Options{OutboxBuffer: 2, MaxRefused: 1}, squeamish())
			s.queue("too large")
			s.peer.hears(offerOf(90)...)
			s.peer.says(tooLarge)
			s.queue("fine")
			s.peer.hearsMessage(strings.Repeat("fine", 10))
			s.queue("and again")
			s.peer.hears(offerOf(90)...)
			s.peer.says(tooLarge)
			byPeer.do(s)
			s.received()
			err := s.c.Err()
			if diff := diffError(err, &conn.TooLargeError{Size: 90, Peer: true}); diff != "" {
				t.Errorf("Err is %v (-want +got):\n%s", err, diff)
			}
			if diff := cmp.Diff([]string{"too large", "and again"}, s.unsent()); diff != "" {
				t.Errorf("Unsent (-want +got):\n%s", diff)
			}
		})
	})
}

// A stateful transform sees each message once, however often it is offered.
func TestAMessageIsEncodedOnceThoughItIsOfferedAgain(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		encoded := 0
		counter := codec{encode: func(dst, src []byte) ([]byte, error) {
			encoded++
			return fmt.Appendf(dst, "%d:%s", encoded, src), nil
		}}
		s := transformStage(t, conn.Options{InboxBuffer: 10}, counter, tag('a'))
		for number := 1; number <= 3; number++ {
			s.send("ours")
			for range 3 {
				s.peer.hears(offerOf(len("a1:ours"))...)
				s.peer.saysFrom(2, []byte{conflict, 'a', 'x'})
			}
			s.peer.hearsMessage(fmt.Sprintf("a%d:ours", number))
			if err := <-s.sent; err != nil {
				t.Error(err)
			}
		}
	})
}

// What could not be sent is listed as it was given to us, whatever became of it.
func TestUnsentListsWhatWasGivenToTheOutbox(t *testing.T) {
	for _, c := range []struct {
		name  string
		reach func(*stage)
	}{
		{"offered", func(s *stage) { s.peer.hears(offerOf(60)...) }},
		{"accepted, and being written", func(s *stage) {
			s.peer.hears(offerOf(60)...)
			s.peer.Conn.(*memConn).stopReading()
			s.peer.says(ok)
		}},
		{"put off", func(s *stage) {
			s.peer.hears(offerOf(60)...)
			s.peer.saysFrom(5, []byte{conflict, 'h', 'a', 'l', 'f'})
		}},
	} {
		for _, e := range []end{byClose, byReset, byContext} {
			t.Run(c.name+"/"+e.name, func(t *testing.T) {
				leaktest.Check(t)
				synctest.Test(t, func(t *testing.T) {
					s := transformStage(t, conn.Options{OutboxBuffer: 3, InboxBuffer: 1}, squeamish())
					s.queue("unsent", "behind it")
					c.reach(s)
					synctest.Wait()
					go e.do(s) // ends with the connection
					s.received()
					<-s.ended
					if diff := cmp.Diff([]string{"unsent", "behind it"}, s.unsent()); diff != "" {
						t.Errorf("Unsent (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}

// As t.FailNow in a Transform does.
func TestATransformThatExitsItsGoroutineEndsTheConnection(t *testing.T) {
	for name, transform := range map[string]conn.Transform{
		"Encode": codec{encode: func([]byte, []byte) ([]byte, error) { runtime.Goexit(); return nil, nil }},
		"Decode": codec{decode: func([]byte, []byte, int) ([]byte, error) { runtime.Goexit(); return nil, nil }},
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				s := transformStage(t, conn.Options{}, transform)
				if name == "Encode" {
					s.send("ours")
				} else {
					s.peer.saysMessage("theirs")
				}
				if m := s.received(); m != nil {
					t.Errorf("received %q", m)
				}
				<-s.ended
				if s.c.Err() == nil {
					t.Error("Err is nil, expected the reason")
				}
				if name == "Encode" {
					if err := <-s.sent; !errors.Is(err, conn.ErrClosed) {
						t.Errorf("Send returned %v, expected ErrClosed", err)
					}
				}
			})
		})
	}
}
