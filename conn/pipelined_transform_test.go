package conn_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/wire"
)

func TestTransformsInPipelinedMode(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{OutboxBuffer: 3, InboxBuffer: 1, Transforms: always(tag('a'), tag('b'))}, generous)
		s.queue("one", "", "three")
		s.peer.hears(dataOf("baone", "ba", "bathree")...)
		s.send("four")
		s.peer.hears(dataOf("bafour")...)
		s.peer.says(dataOf("baone", "ba", "bathree")...)
		for _, want := range []string{"one", "", "three"} {
			if got := <-s.c.Inbox(); string(got) != want || got == nil {
				t.Errorf("received %q, expected %q", got, want)
			}
		}
		s.peer.hears(ok, ok, ok)
		s.peer.says(ok, tooLarge)
		s.peer.says(ok, ok)
		if err := <-s.sent; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		// What was refused is given back as it was.
		if diff := cmp.Diff([]string{""}, s.unsent()); diff != "" {
			t.Errorf("Unsent (-want +got):\n%s", diff)
		}
	})
}

// The memory of a message that is encoded is used again only once it was answered.
func TestEncodedMessagesDoNotOverwriteEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{OutboxBuffer: 100, Transforms: always(tag('a'), tag('b'))}, generous)
		var want []string
		for i := range 100 {
			m := strings.Repeat(string(rune('0'+i)), 400)
			s.queue(m)
			want = append(want, "ba"+m)
			if i%7 == 0 {
				s.peer.hears(dataOf(want...)...)
				s.peer.says(times(len(want), ok)...)
				want = nil
			}
		}
		s.peer.hears(dataOf(want...)...)
	})
}

// What goes out is what counts: for the peer's limit, and for its window.
func TestTheSizeOfAnEncodedMessageCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{Transforms: always(doubling{})}, wire.Terms{MaxMessage: 9, WindowMessages: 10, WindowBytes: 9})
		s.send("large")
		if err := <-s.sent; !errors.Is(err, conn.ErrTooLarge) {
			t.Errorf("Send returned %v", err)
		}
		sent := s.sends("four", "x")
		s.peer.hears(dataOf("fourfour")...)
		s.peer.hearsNothing()
		s.peer.says(ok)
		s.peer.hears(dataOf("xx")...)
		s.peer.says(ok)
		for _, ended := range sent {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
}

// A message that can't be decoded is not answered, nor is any behind it; those
// before it can still be received.
func TestAMessageThatCannotBeDecodedEndsThePipelinedConnection(t *testing.T) {
	for name, c := range map[string]struct {
		says  []string
		inbox []string
		limit uint32
	}{
		"at once":               {[]string{"bad", "agood"}, nil, 0},
		"behind another":        {[]string{"agood", "bad", "agood"}, []string{"good"}, 0},
		"behind one not taken":  {[]string{"agood", "alate", "bad"}, []string{"good", "late"}, 0},
		"above the limit first": {[]string{"a too large", "bad"}, nil, 5},
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newPipelined(t, nc, peer, conn.Options{MaxMessage: c.limit, Transforms: always(tag('a'))}, generous)
				s.peer.says(dataOf(c.says...)...)
				time.Sleep(time.Second)
				if diff := cmp.Diff(c.inbox, s.received()); diff != "" {
					t.Errorf("received (-want +got):\n%s", diff)
				}
				<-s.ended
				if err := s.c.Err(); !errors.Is(err, conn.ErrTransform) || !errors.Is(err, errTag) {
					t.Errorf("Err is %v", err)
				}
				heard, _ := io.ReadAll(s.peer)
				if n := strings.Count(string(heard), string([]byte{ok})); n != len(c.inbox) {
					t.Errorf("the peer heard % x, expected %d answers", heard, len(c.inbox))
				}
			})
		})
	}
}

// BYE may come while a message is being decoded.
func TestWhatIsBeingDecodedIsHandedOverBeforeTheInboxCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		slow := codec{decode: func(dst, src []byte, _ int) ([]byte, error) {
			time.Sleep(10 * time.Second)
			return append(dst, src...), nil
		}}
		s := newPipelined(t, nc, peer, conn.Options{PeerTimeout: -1, Transforms: always(slow)}, generous)
		s.peer.says(append(dataOf("one", "two"), bye)...)
		if diff := cmp.Diff([]string{"one", "two"}, s.received()); diff != "" {
			t.Errorf("received (-want +got):\n%s", diff)
		}
		s.peer.hears(ok, ok, bye)
		s.peer.hearsEnd()
	})
}

// The context of a Send ends its wait, not the work on its slice: what is encoded is
// no other message.
func TestASendThatGivesUpWhileItsMessageIsEncodedDoesNotTakeTheNextOnesPlaceInPipelinedMode(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		slow, proceed := labour(true, false)
		s := newPipelined(t, nc, peer, conn.Options{OutboxBuffer: 1, Transforms: always(slow)}, generous)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		sent := make(chan error)
		go func() { sent <- s.c.Send(ctx, []byte("may arrive")) }() // ends with ctx
		synctest.Wait()
		s.queue("next")
		if err := <-sent; !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, conn.ErrInDoubt) {
			t.Errorf("Send returned %v, expected that it is in doubt", err)
		}
		synctest.Wait()
		close(proceed)
		s.peer.hears(dataOf("may arrive", "next")...)
		s.peer.says(ok, ok)
	})
}
