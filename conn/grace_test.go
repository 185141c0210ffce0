package conn_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// queued is a stage with the Outbox's buffer and two Sends full of messages,
// of which the first is offered: "0" to "4" and twice "sent".
func queued(t *testing.T) (s *stage, sends []chan error) {
	nc, peer := memPair(t, 1<<10)
	s = newStage(t, nc, peer, conn.Options{OutboxBuffer: 5})
	for i := range 5 {
		s.queue(strconv.Itoa(i))
	}
	s.peer.hears(offerOf(1)...)
	for range 2 {
		s.send("sent")
		sends = append(sends, s.sent)
	}
	synctest.Wait()
	return s, sends
}

// What is queued when the end begins is sent: C5 for the context, and what
// Shutdown says.
func TestWhatIsQueuedIsFlushedBeforeTheEnd(t *testing.T) {
	for _, e := range []end{byContext, byShutdown} {
		t.Run(e.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				s, sends := queued(t)
				go e.do(s) // ends with the connection
				synctest.Wait()
				if !s.isDone() {
					t.Error("Done is not closed")
				}
				if err := s.c.Send(context.Background(), []byte("late")); !errors.Is(err, conn.ErrClosed) {
					t.Errorf("a Send after Done returned %v, expected ErrClosed", err)
				}
				for i, want := range []string{"0", "1", "2", "3", "4", "sent", "sent"} {
					if i > 0 {
						s.peer.hears(offerOf(len(want))...)
					}
					time.Sleep(500 * time.Millisecond) // 3.5 s in all, of the 5 s of grace
					s.peer.says(ok)
					s.peer.hears([]byte(want)...)
				}
				for _, sent := range sends {
					if err := <-sent; err != nil {
						t.Errorf("a Send in progress returned %v", err)
					}
				}
				s.peerEnds()
				<-s.ended
				var wantErr []string
				if e.name == byContext.name {
					wantErr = []string{"canceled"}
				}
				s.sent = nil
				s.checkEnd(endState{}, wantErr)
			})
		})
	}
}

func TestWhatIsSentAfterTheContextsEndIsUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{OutboxBuffer: 2})
		s.queue("before")
		s.peer.hears(offerOf(6)...)
		s.cancel()
		<-s.c.Done()
		s.queue("after", "wards") // nobody takes them, but there is room in the buffer
		s.peer.says(ok)
		s.peer.hears([]byte("before")...)
		if n, err := s.peer.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("the peer heard %d bytes, %v, expected the end of the stream", n, err)
		}
		s.peerEnds()
		<-s.ended
		s.checkEnd(endState{unsent: []string{"after", "wards"}}, []string{"canceled", "unsent"})
	})
}

func TestWithoutAnAnswerGraceEndsAndUnsentListsAll(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		s, sends := queued(t)
		s.queue("5") // "0" has left room for it
		start := time.Now()
		s.cancel()
		if took := (<-s.ended).Sub(start); took != 5*time.Second {
			t.Errorf("ended after %v, expected 5s", took)
		}
		for _, sent := range sends {
			if err := <-sent; !errors.Is(err, conn.ErrClosed) || !errors.Is(err, conn.ErrGrace) || errors.Is(err, conn.ErrInDoubt) {
				t.Errorf("a Send in progress returned %v, expected ErrClosed and ErrGrace", err)
			}
		}
		s.sent = nil
		s.checkEnd(endState{unsent: []string{"0", "1", "2", "3", "4", "5"}}, []string{"canceled", "unsent", "grace"})
		var e *conn.Error
		if !errors.As(s.c.Err(), &e) || e.Unsent != 6 || e.InDoubt || e.Remote != s.c.RemoteAddr() {
			t.Errorf("Err is %#v", e)
		}
	})
}

func TestTheContextsCauseIsTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(context.Background())
		nc, peer := memPair(t, 1<<10)
		c, _ := greetPlayed(t, ctx, nc, peer, nil)
		if err := c.Err(); err != nil {
			t.Errorf("Err of a connection that lives is %v", err)
		}
		cancel(cause)
		if err := c.Shutdown(context.Background()); !errors.Is(err, cause) {
			t.Errorf("Shutdown returned %v, expected %v", err, cause)
		}
		if err := c.Send(context.Background(), nil); !errors.Is(err, cause) || !errors.Is(err, conn.ErrClosed) {
			t.Errorf("Send returned %v, expected %v and ErrClosed", err, cause)
		}
	})
}
