package conn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// These are faults that users of other libraries paid for, where no other test
// of this package is about the same.

// Paid by users of golang.org/x/crypto/ssh: the answer to a request that its
// sender had given up on was taken for the answer to the next one. Here the
// refusal and the end of the Send's context come at the same moment, or one just
// before the other: the Send knows of one or of the other, the message is in one
// place, and the next message gets its own answer.
func TestARefusalThatRacesWithTheEndOfItsSendsContextIsSettledOnce(t *testing.T) {
	leaktest.Check(t)
	cause := errors.New("changed my mind")
	nc, peer := tcpPair(t)
	s := newStage(t, nc, peer, conn.Options{})
	var unsent []string
	refused, cancelled := 0, 0
	for i := range 500 {
		msg := fmt.Sprintf("message %03d", i)
		ctx, cancel := context.WithCancelCause(t.Context())
		sent := make(chan error, 1)
		go func() { sent <- s.c.Send(ctx, []byte(msg)) }() // ends with cancel
		s.peer.hears(offerOf(len(msg))...)
		both, told := make(chan struct{}), make(chan struct{})
		before := s.c.Stats().Refused
		var race sync.WaitGroup
		race.Go(func() { // ends at once
			<-both
			for range i % 100 { // or the end of the context is always the first
				runtime.Gosched()
			}
			for i%3 == 1 && s.c.Stats().Refused == before { // the refusal is the first
				runtime.Gosched()
			}
			cancel(cause)
		})
		race.Go(func() { // ends at once, or with the Send
			<-both
			if i%3 == 2 { // the end of the context is the first
				<-told
			}
			s.peer.Write([]byte{tooLarge})
		})
		close(both)
		err := <-sent
		close(told)
		switch {
		case errors.Is(err, conn.ErrTooLarge) && !errors.Is(err, conn.ErrInDoubt):
			refused++
		case errors.Is(err, cause) && errors.Is(err, conn.ErrInDoubt):
			cancelled++
			unsent = append(unsent, msg)
		default:
			t.Fatalf("Send returned %v, expected ErrTooLarge, or %v and ErrInDoubt", err, cause)
		}
		race.Wait()
		s.send("next") // waits for the answer to the one before
		s.peer.hearsMessage("next")
		if err := <-s.sent; err != nil {
			t.Fatalf("the Send behind it returned %v", err)
		}
	}
	if diff := cmp.Diff(unsent, s.unsent()); diff != "" {
		t.Errorf("Unsent (-want +got):\n%s", diff)
	}
	if refused == 0 || cancelled == 0 {
		t.Errorf("%d were refused, %d cancelled: that was no race", refused, cancelled)
	}
	if n := s.c.Stats().Refused; n != 500 {
		t.Errorf("%d refusals are counted, expected 500", n)
	}
}

// Paid by users of websocket libraries whose context of a read is the life of
// the connection: a read that times out kills it, and with it a message that was
// on its way.
func TestAContextThatEndsInsideAMessageLeavesTheMessageWhole(t *testing.T) {
	for name, receive := range map[string]func(context.Context, *conn.Conn) error{
		"Receive": func(ctx context.Context, c *conn.Conn) error { _, err := c.Receive(ctx); return err },
		"Messages": func(ctx context.Context, c *conn.Conn) (last error) {
			for _, err := range c.Messages(ctx) {
				last = err
			}
			return last
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1)
				s := newStage(t, nc, peer, conn.Options{})
				s.peer.says(offerOf(6)...)
				s.peer.hears(ok)
				cause := errors.New("no longer")
				for _, piece := range []string{"w", "ho", "le"} { // the context ends in several places
					ctx, cancel := context.WithCancelCause(t.Context())
					ended := make(chan error, 1)
					go func() { ended <- receive(ctx, s.c) }() // ends with cancel
					s.peer.says([]byte(piece)...)
					synctest.Wait()
					cancel(cause)
					if err := <-ended; !errors.Is(err, cause) || errors.Is(err, conn.ErrClosed) {
						t.Errorf("it returned %v, expected %v alone", err, cause)
					}
				}
				s.peer.says('!')
				if msg, err := s.c.Receive(t.Context()); string(msg) != "whole!" || err != nil {
					t.Errorf("then Receive returned %q, %v", msg, err)
				}
			})
		})
	}
}

// Paid by nearly everybody who has a buffer size of zero as an option: nothing
// buffers anything here, and there is no byte that would wake a reader.
func TestEmptyMessagesGoBothWaysAtOnceThroughNoBuffersAtAll(t *testing.T) {
	eachMode(t, testEmptyMessagesGoBothWaysAtOnceThroughNoBuffersAtAll)
}

func testEmptyMessagesGoBothWaysAtOnceThroughNoBuffersAtAll(t *testing.T) {
	leaktest.Check(t)
	const n = 600
	sends := map[string]func(*conn.Conn) error{
		"Send":     func(c *conn.Conn) error { return c.Send(context.Background(), nil) },
		"Outbox":   func(c *conn.Conn) error { return put(c, []byte{}) },
		"SendFrom": func(c *conn.Conn) error { return c.SendFrom(context.Background(), bytes.NewReader(nil), 0) },
	}
	for name, transport := range map[string]func(testing.TB) (net.Conn, net.Conn){
		"net.Pipe":        pipePair,
		"with half-close": func(t testing.TB) (net.Conn, net.Conn) { return memPair(t, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			x, y := transport(t)
			a, b := joinBounded(t, x, y, nil, nil)
			var work sync.WaitGroup
			for _, c := range []*conn.Conn{a, b} {
				for how, send := range sends {
					work.Go(func() { // ends with its messages, or with the connection
						for range n / len(sends) {
							if err := send(c); err != nil {
								t.Errorf("%s: %v", how, err)
								return
							}
						}
					})
				}
				work.Go(func() { // ends with the other's messages, or with the connection
					for i := range n {
						if msg, err := c.Receive(context.Background()); err != nil || msg == nil || len(msg) > 0 {
							t.Errorf("message %d is %v, %v", i, msg, err)
							return
						}
					}
				})
			}
			work.Wait()
			endBoth(t, a, b)
		})
	}
}

// Paid by users of golang.org/x/crypto/ssh, whose channels stand still unless
// somebody drains all of the others: an application that never receives.
func TestWhoNeverReceivesSendsAllTheSame(t *testing.T) {
	eachMode(t, testWhoNeverReceivesSendsAllTheSame)
}

func testWhoNeverReceivesSendsAllTheSame(t *testing.T) {
	leaktest.Check(t)
	const n = 200
	for name, transport := range transports {
		t.Run(name, func(t *testing.T) {
			x, y := transport(t)
			a, b := joinBounded(t, x, y, nil, nil)
			talking := make(chan struct{})
			go func() { // ends with the connection
				defer close(talking)
				for b.Send(context.Background(), []byte("nobody listens")) == nil {
				}
			}()
			received := make(chan int, 1)
			go func() { // ends with the connection
				i := 0
				for msg := range b.Inbox() {
					if want := fmt.Sprint(i); string(msg) != want {
						t.Errorf("received %q, expected %q", msg, want)
					}
					i++
				}
				received <- i
			}()
			for i := range n {
				if err := a.Send(t.Context(), fmt.Append(nil, i)); err != nil {
					t.Fatal(err)
				}
			}
			a.Close() // which nobody who receives is needed for either
			<-talking
			if got := <-received; got < n-1 { // the last one is in doubt
				t.Errorf("%d messages were received of %d", got, n)
			}
		})
	}
}

// Paid by users of SMTP and HTTP/1.0 libraries that take the end of the peer's
// stream for the end of its interest. It accepted a message, and reads on.
func TestAPeerThatHalfClosesOverTCPReadsOnAndGetsWhatItAccepted(t *testing.T) {
	leaktest.Check(t)
	nc, peer := tcpPair(t)
	s := newStage(t, nc, peer, conn.Options{})
	s.send(large)
	s.peer.hears(offerOf(len(large))...)
	s.peer.says(ok)
	peer.(*net.TCPConn).CloseWrite()
	<-s.c.Done() // we know that it has ended its stream
	got, err := io.ReadAll(peer)
	if diff := cmp.Diff(summary([]byte(large)), summary(got)); err != nil || diff != "" {
		t.Errorf("the peer read (-want +got), %v:\n%s", err, diff)
	}
	if err := <-s.sent; err != nil {
		t.Errorf("Send returned %v", err)
	}
}

// Paid by everybody who has closed a channel that somebody else sends to: the
// sole producer closes the Outbox while Sends are in progress. Each of them
// knows whether its message went out.
func TestClosingTheOutboxRacesWithSendsAndEachKnowsItsFate(t *testing.T) {
	eachMode(t, testClosingTheOutboxRacesWithSendsAndEachKnowsItsFate)
}

func testClosingTheOutboxRacesWithSendsAndEachKnowsItsFate(t *testing.T) {
	leaktest.Check(t)
	for range 50 {
		x, y := tcpPair(t)
		a, b := joinBounded(t, x, y, &conn.Options{OutboxBuffer: 1}, nil)
		a.Outbox() <- []byte("queued")
		var work sync.WaitGroup
		sent := make(chan string, 8)
		for i := range cap(sent) {
			work.Go(func() { // ends with the connection
				msg := fmt.Sprint("sent ", i)
				switch err := a.Send(context.Background(), []byte(msg)); {
				case err == nil:
					sent <- msg
				case !errors.Is(err, conn.ErrClosed) || errors.Is(err, conn.ErrInDoubt):
					t.Errorf("Send returned %v", err)
				}
			})
		}
		close(a.Outbox())
		var got []string
		for msg := range b.Inbox() {
			got = append(got, string(msg))
		}
		work.Wait()
		close(sent)
		want := append([]string{"queued"}, slices.Collect(chanValues(sent))...)
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("received (-sent +received):\n%s", diff)
		}
		endBoth(t, a, b)
	}
}

func chanValues[T any](c <-chan T) func(func(T) bool) {
	return func(yield func(T) bool) {
		for v := range c {
			if !yield(v) {
				return
			}
		}
	}
}
