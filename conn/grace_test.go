package conn_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
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

// A legacy peer leaves its socket open for ever after our end of stream.
func TestShutdownTowardsAPeerThatNeverClosesEndsAfterASecond(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{InboxBuffer: 1})
		s.send("question")
		s.peer.hearsMessage("question")
		s.peer.saysMessage("reply")
		start := time.Now()
		if err := s.c.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown returned %v", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("Shutdown took %v, expected 1s", took)
		}
		if diff := cmp.Diff([]string{"reply"}, s.received()); diff != "" {
			t.Errorf("the Inbox yields (-want +got):\n%s", diff)
		}
	})
}

func TestShutdownWaitsForWhatWasAcceptedToArriveAndToBeTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{})
		s.peer.says(offerOf(8)...)
		s.peer.hears(ok)
		shut := make(chan error, 1)
		go func() { shut <- s.c.Shutdown(context.Background()) }() // ends with the receive
		time.Sleep(20 * time.Second)
		s.peer.says([]byte("accepted")...)
		s.peer.says(offerOf(4)...) // comes too late
		time.Sleep(time.Hour)
		if len(shut) > 0 {
			t.Errorf("Shutdown returned %v before the message was taken", <-shut)
		}
		if diff := cmp.Diff([]string{"accepted"}, s.received()); diff != "" {
			t.Errorf("the Inbox yields (-want +got):\n%s", diff)
		}
		if err := <-shut; err != nil {
			t.Errorf("Shutdown returned %v", err)
		}
		if got := make([]byte, 1); s.peer.reads(got) {
			t.Errorf("the peer heard % x after the end, expected no answer to its late offer", got)
		}
	})
}

func TestBothEndsShutDownAtOnce(t *testing.T) {
	for name, transport := range duplexTransports {
		for _, n := range []int{0, 10} {
			t.Run(fmt.Sprintf("%s, %d messages queued", name, n), func(t *testing.T) {
				leaktest.Check(t)
				opts := conn.Options{InboxBuffer: n, OutboxBuffer: n}
				x, y := transport(t)
				a, b := joinBounded(t, x, y, &opts, &opts)
				for i := range n {
					a.Outbox() <- []byte{byte(i)}
					b.Outbox() <- []byte{byte(i)}
				}
				start := time.Now()
				var work sync.WaitGroup
				for _, c := range []*conn.Conn{a, b} {
					for range 2 {
						work.Go(func() { c.Shutdown(context.Background()) }) // ends with the connection
					}
				}
				work.Wait()
				// One of both may be the first to have said all, and then nothing
				// answers the other any more: but nothing is lost silently.
				for _, ends := range [][2]*conn.Conn{{a, b}, {b, a}} {
					from, to := ends[0], ends[1]
					received := 0
					for m := range to.Inbox() {
						if want := byte(received); len(m) != 1 || m[0] != want {
							t.Errorf("received % x, expected %02x", m, want)
						}
						received++
					}
					if unsent := len(from.Unsent()); received+unsent != n || (unsent > 0) != (from.Err() != nil) {
						t.Errorf("%d of %d received, %d unsent; Err: %v", received, n, unsent, from.Err())
					}
				}
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		}
	}
}

func TestShutdownWithAContextThatHasEndedEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sends := queued(t)
		cause := errors.New("no time")
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		start := time.Now()
		if err := s.c.Shutdown(ctx); !errors.Is(err, cause) || !errors.Is(err, conn.ErrUnsent) {
			t.Errorf("Shutdown returned %v, expected %v and ErrUnsent", err, cause)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("Shutdown took %v", took)
		}
		for _, sent := range sends {
			if err := <-sent; !errors.Is(err, conn.ErrClosed) {
				t.Errorf("a Send in progress returned %v, expected ErrClosed", err)
			}
		}
		if diff := cmp.Diff([]string{"0", "1", "2", "3", "4"}, s.unsent()); diff != "" {
			t.Errorf("Unsent (-want +got):\n%s", diff)
		}
	})
}

// C5: the ends can be called from a callback.
func TestTheConnectionCanBeEndedInItsContextsCallback(t *testing.T) {
	for _, e := range []end{byClose, byShutdown} {
		t.Run(e.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				nc, peer := memPair(t, 1<<10)
				c, _ := greetPlayed(t, ctx, nc, peer, nil)
				called := make(chan struct{})
				context.AfterFunc(ctx, func() {
					defer close(called)
					e.do(&stage{c: c})
				})
				start := time.Now()
				cancel()
				<-called
				if took := time.Since(start); took > time.Second {
					t.Errorf("it took %v", took)
				}
				if err := c.Err(); err == nil {
					t.Error("Err is nil")
				}
			})
		})
	}
}

func TestAPeerThatEndsWhileItReadsGetsWhatItAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, writing.options)
		writing.reach(s)
		s.peerEnds()
		if !s.isDone() {
			t.Error("Done is not closed")
		}
		s.peer.hears([]byte(large[1:])...)
		<-s.ended
		// Nothing can prove any more that it read that.
		s.checkEnd(endState{unsent: []string{"second"}}, []string{"unsent", "in doubt", "incomplete"})
		if n := s.c.Stats().MessagesSent; n != 1 {
			t.Errorf("MessagesSent is %d, expected 1", n)
		}
	})
}

func TestOnlyTheLastMessageWrittenIsInDoubt(t *testing.T) {
	for _, c := range []struct {
		name    string
		then    func(*stage)
		inDoubt int // its size
	}{
		{"written", func(*stage) {}, 4},
		{"and a later offer accepted", func(s *stage) {
			s.send("later")
			s.peer.hears(offerOf(5)...)
			s.peer.says(ok)
			s.peer.hears([]byte("late")...)
		}, 0},
		{"and a later offer refused", func(s *stage) {
			s.send("later")
			s.peer.refuses(5)
			synctest.Wait()
		}, 0},
		{"and a later one written", func(s *stage) {
			s.send("later")
			s.peer.hearsMessage("later")
		}, 5},
		{"and an empty one", func(s *stage) {
			s.send("")
			s.peer.hearsMessage("")
			synctest.Wait()
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 0) // so that what is not heard is not written
				s := newStage(t, nc, peer, conn.Options{})
				s.send("last")
				s.peer.hearsMessage("last")
				if err := <-s.sent; err != nil {
					t.Errorf("Send returned %v", err)
				}
				c.then(s)
				s.c.Close()
				var e *conn.Error
				if err := s.c.Err(); !errors.As(err, &e) || e.InDoubt != errors.Is(err, conn.ErrInDoubt) {
					t.Fatalf("Err is %v", err)
				}
				if e.InDoubt != (c.inDoubt > 0) || e.InDoubt && e.InDoubtSize != c.inDoubt {
					t.Errorf("in doubt: %t, %d bytes; expected %d bytes; Err: %v", e.InDoubt, e.InDoubtSize, c.inDoubt, e)
				}
			})
		})
	}
}
