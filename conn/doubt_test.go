package conn_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
)

func TestSendIsNotSentIfItsContextEndsBeforeTheOffer(t *testing.T) {
	cause := errors.New("changed my mind")
	for _, useOutbox := range []bool{false, true} {
		t.Run(fmt.Sprintf("Outbox in use: %t", useOutbox), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newStage(t, nc, peer, conn.Options{})
				if useOutbox {
					s.c.Outbox()
				}
				s.send("first")
				s.peer.hears(offerOf(5)...)
				ctx, cancel := context.WithCancelCause(t.Context())
				sent := make(chan error, 1)
				go func() { sent <- s.c.Send(ctx, []byte("second")) }() // ends with cancel
				synctest.Wait()
				cancel(cause)
				if err := <-sent; !errors.Is(err, cause) || errors.Is(err, conn.ErrInDoubt) || errors.Is(err, conn.ErrClosed) {
					t.Errorf("Send returned %v, expected only %v", err, cause)
				}
				if err := s.c.Send(ctx, []byte("third")); !errors.Is(err, cause) || errors.Is(err, conn.ErrInDoubt) {
					t.Errorf("Send with a context that has ended returned %v, expected only %v", err, cause)
				}
				s.peer.says(ok)
				s.peer.hears([]byte("first")...)
				s.send("fourth")
				s.peer.hearsMessage("fourth") // neither second nor third came between
				if err := <-s.sent; err != nil {
					t.Error(err)
				}
				if n := s.c.Stats().MessagesSent; n != 2 {
					t.Errorf("MessagesSent is %d, expected 2", n)
				}
			})
		})
	}
}

func TestSendIsInDoubtIfItsContextEndsAfterTheOffer(t *testing.T) {
	cause := errors.New("changed my mind")
	abandon := func(t *testing.T) *stage {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{})
		ctx, cancel := context.WithCancelCause(t.Context())
		sent := make(chan error, 1)
		go func() { sent <- s.c.Send(ctx, []byte("doubtful")) }() // ends with cancel
		s.peer.hears(offerOf(8)...)
		cancel(cause)
		if err := <-sent; !errors.Is(err, cause) || !errors.Is(err, conn.ErrInDoubt) {
			t.Errorf("Send returned %v, expected %v and ErrInDoubt", err, cause)
		}
		return s
	}
	t.Run("even if it is written already in part", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := abandon(t)
			msg := []byte(large)
			s.peer.says(ok)
			s.peer.hears([]byte("doubtful")...)
			ctx, cancel := context.WithCancelCause(t.Context())
			sent := make(chan error, 1)
			go func() { sent <- s.c.Send(ctx, msg) }() // ends with cancel
			s.peer.hears(offerOf(len(msg))...)
			s.peer.says(ok)
			synctest.Wait()
			cancel(cause)
			if err := <-sent; !errors.Is(err, cause) || !errors.Is(err, conn.ErrInDoubt) {
				t.Errorf("Send returned %v, expected %v and ErrInDoubt", err, cause)
			}
			s.peer.hears(msg...) // the connection lives on, and so does the message
		})
	})
	t.Run("and the message arrives if the peer accepts it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := abandon(t)
			s.peer.says(ok)
			s.peer.hears([]byte("doubtful")...)
			s.send("next")
			s.peer.hearsMessage("next")
			if err := <-s.sent; err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff([]string(nil), s.unsent()); diff != "" {
				t.Errorf("Unsent (-want +got):\n%s", diff)
			}
		})
	})
	t.Run("and Unsent lists the message if the connection ends before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := abandon(t)
			s.c.Close()
			if diff := cmp.Diff([]string{"doubtful"}, s.unsent()); diff != "" {
				t.Errorf("Unsent (-want +got):\n%s", diff)
			}
			if err := s.c.Err(); !errors.Is(err, conn.ErrUnsent) {
				t.Errorf("Err is %v, expected ErrUnsent", err)
			}
		})
	})
	t.Run("and Unsent lists the message if the peer refuses it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := abandon(t)
			s.peer.says(tooLarge)
			synctest.Wait()
			if diff := cmp.Diff([]string{"doubtful"}, s.unsent()); diff != "" {
				t.Errorf("Unsent (-want +got):\n%s", diff)
			}
			if s.isDone() {
				t.Errorf("the refusal of a Send ended the connection: %v", s.c.Err())
			}
		})
	})
}

func TestOnlyTheLastMessageWrittenIsInDoubt(t *testing.T) {
	const none = -1
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
		}, none},
		{"and a later offer refused", func(s *stage) {
			s.send("later")
			s.peer.refuses(5)
			synctest.Wait()
		}, none},
		{"and a later one written", func(s *stage) {
			s.send("later")
			s.peer.hearsMessage("later")
		}, 5},
		{"and an empty one", func(s *stage) {
			s.send("")
			s.peer.hearsMessage("")
			synctest.Wait() // the peer may wait for something else before it takes it (R3)
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
				if e.InDoubt != (c.inDoubt >= 0) || e.InDoubt && e.InDoubtSize != int64(c.inDoubt) {
					t.Errorf("in doubt: %t, %d bytes; expected %d bytes; Err: %v", e.InDoubt, e.InDoubtSize, c.inDoubt, e)
				}
			})
		})
	}
}

func TestAnAnswerProvesEvenIfItComesBeforeTheWriteReturns(t *testing.T) {
	for range 300 {
		synctest.Test(t, func(t *testing.T) {
			nc, peer := memPair(t, 0) // so that the end of the write and the answer race
			s := newStage(t, nc, peer, conn.Options{OutboxBuffer: 2, MaxRefused: 1})
			s.queue("first", "other")
			s.peer.hears(offerOf(5)...)
			synctest.Wait()
			s.peer.says(ok)
			s.peer.hears(append([]byte("first"), offerOf(5)...)...)
			s.peer.says(tooLarge)
			synctest.Wait()
			s.c.Close()
			if err := s.c.Err(); errors.Is(err, conn.ErrInDoubt) {
				t.Errorf("Err is %v, but the answer proves that the peer has read the first", err)
			}
		})
	}
}
