package tinyproto_test

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

func TestHandlerThatFailsEndsItsConnectionAlone(t *testing.T) {
	errBroken := errors.New("broken")
	for name, tt := range map[string]struct {
		fail  func() error
		check func(t *testing.T, err error, logged []record)
	}{
		"error": {func() error { return errBroken }, func(t *testing.T, err error, logged []record) {
			if !errors.Is(err, errBroken) {
				t.Errorf("Err is %v, expected the handler's error", err)
			}
			if len(logged) > 0 {
				t.Errorf("logged as an error: %v", logged)
			}
		}},
		"panic": {explode, func(t *testing.T, err error, logged []record) {
			var p *tinyproto.PanicError
			if !errors.As(err, &p) || p.Value != "boom" || !strings.Contains(string(p.Stack), "tinyproto_test.explode(") {
				t.Errorf("Err is %v, expected a PanicError with the value and the stack", err)
			} else if want := "handler panicked: boom"; p.Error() != want {
				t.Errorf("the error is %q, expected %q", p, want)
			}
			if len(logged) != 1 {
				t.Fatalf("%d errors logged for one panic: %v", len(logged), logged)
			}
			attrs := logged[0].attrs
			if stack, _ := attrs["stack"].(string); attrs["panic"] != "boom" || !strings.Contains(stack, "tinyproto_test.explode(") {
				t.Errorf("logged %v, expected the value and the stack", logged)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			var logged records
			failed := make(chan *tinyproto.Conn, 1)
			l := listen(t, "127.0.0.1:0")
			run := serve(t, &tinyproto.Server{
				Logger: logged.logger(),
				Conn:   tinyproto.Options{OutboxBuffer: 1},
				Handler: func(ctx context.Context, c *tinyproto.Conn) error {
					for msg := range c.Inbox() {
						c.Outbox() <- msg
						if string(msg) == "fail" {
							failed <- c
							return tt.fail()
						}
					}
					return nil
				},
			}, l)
			bystander, unlucky := dial(t, l.Addr().String()), dial(t, l.Addr().String())
			ask(t, bystander, "before")
			if err := unlucky.Send(t.Context(), []byte("fail")); err != nil {
				t.Fatal(err)
			}
			got, err := rest(t, unlucky)
			if diff := cmp.Diff([]string{"fail"}, got); diff != "" || err != nil {
				t.Errorf("the peer's Err is %v, and it received (-want +got):\n%s", err, diff)
			}
			c := receive(t, "the handler to fail", failed)
			_, err = rest(t, c)
			tt.check(t, err, logged.at(slog.LevelError))
			ask(t, bystander, "after")
			ask(t, dial(t, l.Addr().String()), "new")
			if err := run.stop(t); err != nil {
				t.Errorf("Serve returned %v", err)
			}
		})
	}
}

func TestPanicsAreLoggedByDefault(t *testing.T) {
	old, writer, flags := slog.Default(), log.Writer(), log.Flags()
	t.Cleanup(func() { slog.SetDefault(old); log.SetOutput(writer); log.SetFlags(flags) })
	var logged records
	slog.SetDefault(logged.logger())
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		l := newMemory()
		server := &tinyproto.Server{Handler: func(context.Context, *tinyproto.Conn) error { return explode() }}
		go func() { result <- server.Serve(ctx, l) }() // ends with ctx
		rawHello(t, l.connect(t))
		synctest.Wait()
		cancel()
		if err := receive(t, "the return of Serve", result); err != nil {
			t.Errorf("Serve returned %v", err)
		}
	})
	if got := logged.at(slog.LevelError); len(got) != 1 || got[0].attrs["panic"] != "boom" {
		t.Errorf("logged as errors: %v, expected the panic", got)
	}
}

// A connection with nothing to flush ends fast: not before it has got the
// handler's error, however often that is tried.
func TestErrorOfAHandlerIsThatOfItsConnectionEveryTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errBroken := errors.New("broken")
		conns := make(chan *tinyproto.Conn, 1)
		l := newMemory()
		serve(t, &tinyproto.Server{Handler: func(_ context.Context, c *tinyproto.Conn) error {
			conns <- c
			return errBroken
		}}, l)
		for range 500 {
			rawHello(t, l.connect(t))
			if _, err := rest(t, <-conns); !errors.Is(err, errBroken) {
				t.Fatalf("Err is %v, expected the handler's error", err)
			}
		}
	})
}

// runtime.Goexit is what t.FailNow does to a handler.
func TestHandlerThatExitsItsGoroutineEndsItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const grace = 3 * time.Second
		exited := make(chan *tinyproto.Conn, 1)
		l := newMemory()
		run := serve(t, &tinyproto.Server{
			Grace: grace,
			Conn:  tinyproto.Options{OutboxBuffer: 1},
			Handler: func(_ context.Context, c *tinyproto.Conn) error {
				c.Outbox() <- []byte("farewell")
				exited <- c
				runtime.Goexit()
				return nil
			},
		}, l)
		rawHello(t, l.connect(t)) // and never reads
		c := receive(t, "the handler to exit", exited)
		synctest.Wait()
		if err := run.stop(t); err != nil {
			t.Errorf("Serve returned %v", err)
		}
		select {
		case <-c.Inbox():
		default:
			t.Fatal("Serve returned while the connection still flushes")
		}
		if err := c.Err(); err == nil || !strings.Contains(err.Error(), ": handler exited its goroutine") {
			t.Errorf("Err is %v, expected it to say what the handler did", err)
		}
	})
}

func TestHandlerThatReturnsDropsWhatItHasNotReceived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged records
		leave := make(chan struct{})
		l := newMemory()
		serve(t, &tinyproto.Server{
			Logger:  logged.logger(),
			Conn:    tinyproto.Options{InboxBuffer: 10},
			Handler: func(context.Context, *tinyproto.Conn) error { <-leave; return nil },
		}, l)
		c, err := conn.New(t.Context(), l.connect(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 7 {
			if err := c.Send(t.Context(), []byte("unread")); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait() // all of it has arrived
		left := time.Now()
		close(leave)
		if _, err := rest(t, c); err != nil {
			t.Errorf("the peer's end of the connection says %v", err)
		}
		if took := time.Since(left); took > 0 {
			t.Errorf("the connection took %v to end", took)
		}
		synctest.Wait()
		dropped := logged.saying("tinyproto: handler left messages")
		if len(dropped) != 1 || dropped[0].attrs["messages"] != int64(7) {
			t.Errorf("logged %v, expected 7 messages", dropped)
		}
	})
}

func TestMessagesThatAHandlerLeftAreLoggedAlsoIfTheConnectionEndedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged records
		l := newMemory()
		serve(t, &tinyproto.Server{
			Logger:  logged.logger(),
			Conn:    tinyproto.Options{InboxBuffer: 10},
			Handler: func(_ context.Context, c *tinyproto.Conn) error { <-c.Ended(); return nil },
		}, l)
		c, err := conn.New(t.Context(), l.connect(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := c.Send(t.Context(), []byte("unread")); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		dropped := logged.saying("tinyproto: handler left messages")
		if len(dropped) != 1 || dropped[0].attrs["messages"] != int64(3) {
			t.Errorf("logged %v, expected 3 messages", dropped)
		}
	})
}

func TestHandlerThatReturnsEndsAPeerThatGoesOnSending(t *testing.T) {
	handler := func(_ context.Context, c *tinyproto.Conn) error {
		for range 3 {
			<-c.Inbox()
		}
		return nil
	}
	t.Run("by the rules", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newMemory()
			run := serve(t, &tinyproto.Server{Handler: handler}, l)
			began := time.Now()
			c, err := conn.New(t.Context(), l.connect(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			for open := true; open; {
				select {
				case c.Outbox() <- []byte("flood"):
				case <-c.Done():
					open = false
				}
			}
			if err := run.stop(t); err != nil {
				t.Errorf("Serve returned %v", err)
			}
			if took := time.Since(began); took > 0 {
				t.Errorf("it took %v to end", took)
			}
		})
	})
	// Zero bytes are offers of empty messages. This peer awaits no answer, reads
	// nothing, and minds no end of stream.
	t.Run("against the rules", func(t *testing.T) {
		leaktest.Check(t)
		l := listen(t, "127.0.0.1:0")
		run := serve(t, &tinyproto.Server{Handler: handler, Grace: time.Second}, l)
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		rawHello(t, nc)
		nc.SetDeadline(time.Now().Add(patience))
		zeros := make([]byte, 64<<10)
		for err == nil { // until the server has closed
			_, err = nc.Write(zeros)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the server still reads after %v", patience)
		}
		if err := run.stop(t); err != nil {
			t.Errorf("Serve returned %v", err)
		}
	})
}
