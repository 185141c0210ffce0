package tinyproto_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

func TestServeNeedsAHandlerAndAListener(t *testing.T) {
	const want = "tinyproto: Serve needs a Handler and at least one listener"
	l := newMemory()
	for name, err := range map[string]error{
		"no handler":                   (&tinyproto.Server{}).Serve(t.Context(), l),
		"no listener":                  (&tinyproto.Server{Handler: echo}).Serve(t.Context()),
		"no address":                   (&tinyproto.Server{Handler: echo}).ListenAndServe(t.Context()),
		"no handler behind an address": (&tinyproto.Server{}).ListenAndServe(t.Context(), "127.0.0.1:0"),
	} {
		if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
			t.Errorf("%s: error (-want +got):\n%s", name, diff)
		}
	}
	receive(t, "the listener without a handler to be closed", l.closed)
}

func TestServeWithAContextThatHasEndedClosesItsListenersAndReturns(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := newMemory()
	if err := (&tinyproto.Server{Handler: echo}).Serve(ctx, l); err != nil {
		t.Errorf("Serve returned %v", err)
	}
	receive(t, "the listener to be closed", l.closed)
}

func TestOneServerServesTwiceAtOnce(t *testing.T) {
	server := &tinyproto.Server{Handler: echo}
	first, second := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	ending, staying := serve(t, server, first), serve(t, server, second)
	a, b := dial(t, first.Addr().String()), dial(t, second.Addr().String())
	ask(t, a, "one")
	ask(t, b, "two")
	if err := ending.stop(t); err != nil {
		t.Errorf("the first Serve returned %v", err)
	}
	if _, err := rest(t, a); err != nil {
		t.Errorf("the connection of the first Serve ended with %v", err)
	}
	ask(t, b, "the second goes on")
	ask(t, dial(t, second.Addr().String()), "and takes connections")
	if err := staying.stop(t); err != nil {
		t.Errorf("the second Serve returned %v", err)
	}
}

// flaky is a listener whose n-th Accept, counted from 1, fails with what fail
// returns for n; where that is nil it accepts.
type flaky struct {
	*memory
	fail  func(n int) error
	calls []time.Time // of Accept; read after Serve
}

func (l *flaky) Accept() (net.Conn, error) {
	l.calls = append(l.calls, time.Now())
	if err := l.fail(len(l.calls)); err != nil {
		return nil, err
	}
	return l.memory.Accept()
}

// errNoFiles is what a listener returns to a process without file descriptors.
var errNoFiles = &net.OpError{Op: "accept", Net: "memory", Err: os.NewSyscallError("accept4", syscall.EMFILE)}

func TestServeWaitsLongerAfterEachFailureToAcceptUpToOneSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &flaky{memory: newMemory(), fail: func(n int) error {
			if n <= 10 || n == 12 {
				return errNoFiles
			}
			return nil
		}}
		var logged records
		run := serve(t, &tinyproto.Server{Handler: echo, Logger: logged.logger()}, l)
		c, err := conn.New(t.Context(), l.connect(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ask(t, c, "the server has recovered")
		time.Sleep(time.Second)
		if err := run.stop(t); err != nil {
			t.Errorf("Serve returned %v", err)
		}
		var waits []time.Duration
		for i := range len(l.calls) - 1 {
			waits = append(waits, l.calls[i+1].Sub(l.calls[i]))
		}
		const ms = time.Millisecond
		want := []time.Duration{
			5 * ms, 10 * ms, 20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, time.Second, time.Second,
			0,      // it accepted, and does so again at once
			5 * ms, // a new failure begins anew
		}
		if diff := cmp.Diff(want, waits); diff != "" {
			t.Errorf("waits between calls of Accept (-want +got):\n%s", diff)
		}
		warnings := logged.at(slog.LevelWarn)
		if len(warnings) != 11 {
			t.Fatalf("%d warnings for 11 failures", len(warnings))
		}
		if got := warnings[0].attrs; got["err"] != error(errNoFiles) || fmt.Sprint(got["addr"]) != "memory" {
			t.Errorf("the warning does not say what failed where: %v", got)
		}
	})
}

func TestServeEndsAtOnceWhileItWaitsToAcceptAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &flaky{memory: newMemory(), fail: func(int) error { return errNoFiles }}
		run := serve(t, &tinyproto.Server{Handler: echo}, l)
		time.Sleep(10 * time.Second)
		stopped := time.Now()
		if err := run.stop(t); err != nil {
			t.Errorf("Serve returned %v", err)
		}
		if took := time.Since(stopped); took > 0 {
			t.Errorf("Serve took %v to end", took)
		}
	})
}

func TestListenerThatFailsForGoodEndsServeAndAllConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("the network is gone")
		failing := make(chan struct{})
		bad := &flaky{memory: newMemory(), fail: func(int) error { <-failing; return broken }}
		good := newMemory()
		ends := make(chan error, 1)
		run := serve(t, &tinyproto.Server{Handler: func(ctx context.Context, c *tinyproto.Conn) error {
			err := echo(ctx, c)
			ends <- err
			return err
		}}, good, bad)
		c, err := conn.New(t.Context(), good.connect(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ask(t, c, "hello")
		close(failing)
		err = receive(t, "the return of Serve", run.result)
		if want := "tinyproto: accept on memory: the network is gone"; fmt.Sprint(err) != want || !errors.Is(err, broken) {
			t.Errorf("Serve returned %q, expected %q", err, want)
		}
		if err := receive(t, "the return of the handler", ends); !errors.Is(err, broken) {
			t.Errorf("the connection ended with %v, expected the listener's error as its cause", err)
		}
		receive(t, "the listener to be closed", bad.closed)
		receive(t, "the other listener to be closed", good.closed)
		if _, err := rest(t, c); err != nil {
			t.Errorf("the peer's end of the connection says %v", err)
		}
	})
}

func TestEndOfContextFlushesWhatIsQueued(t *testing.T) {
	leaktest.Check(t)
	var want []string
	for i := range 50 {
		want = append(want, strings.Repeat("x", i*i*10)+fmt.Sprint(i))
	}
	queued := make(chan struct{})
	ends := make(chan error, 5)
	l := listen(t, "127.0.0.1:0")
	run := serve(t, &tinyproto.Server{
		Conn: tinyproto.Options{OutboxBuffer: len(want)},
		Handler: func(ctx context.Context, c *tinyproto.Conn) error {
			for _, msg := range want {
				c.Outbox() <- []byte(msg)
			}
			queued <- struct{}{}
			for range c.Inbox() {
				t.Error("the server received something")
			}
			ends <- c.Err()
			return c.Err()
		},
	}, l)
	var peers []*tinyproto.Conn
	for range cap(ends) {
		peers = append(peers, dial(t, l.Addr().String()))
		receive(t, "the handler to queue its messages", queued)
	}
	run.cancel(errStopped) // nobody has received anything
	for _, c := range peers {
		got, err := rest(t, c)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("received (-want +got):\n%s", diff)
		}
		if err != nil {
			t.Errorf("the peer's end of the connection says %v", err)
		}
	}
	if err := receive(t, "the return of Serve", run.result); err != nil {
		t.Errorf("Serve returned %v", err)
	}
	for range peers {
		if err := receive(t, "the return of the handler", ends); !errors.Is(err, errStopped) || errors.Is(err, tinyproto.ErrUnsent) {
			t.Errorf("Err in the handler is %v, expected the context's cause and nothing unsent", err)
		}
	}
}

func TestEndOfContextIsBoundedByGraceWhateverThePeersDo(t *testing.T) {
	queued := [][]byte{[]byte("one"), []byte("two"), []byte("three")}
	silent := func(*testing.T, net.Conn) {}
	greets := func(t *testing.T, nc net.Conn) { rawHello(t, nc) }
	reads := func(t *testing.T, nc net.Conn) {
		rawHello(t, nc)
		go io.Copy(io.Discard, nc) // ends with the connection
	}
	accepts := func(t *testing.T, nc net.Conn) {
		rawHello(t, nc)
		offer := make([]byte, 4)
		if _, err := io.ReadFull(nc, offer); err != nil || string(offer) != "\x00\x00\x00\x03" {
			t.Errorf("the server's offer is %x, error %v", offer, err)
		}
		if _, err := nc.Write([]byte{0xff}); err != nil {
			t.Error(err)
		}
	}
	graceOver := []error{errStopped, tinyproto.ErrGrace, tinyproto.ErrUnsent}
	for _, tt := range []struct {
		name  string
		peer  func(*testing.T, net.Conn)
		grace time.Duration
		takes time.Duration
		errs  []error // that the connection's matches; nil if there is none
	}{
		{"a peer that never greets", silent, 3 * time.Second, 0, nil},
		{"a peer that never reads", greets, 3 * time.Second, 3 * time.Second, graceOver},
		{"a peer that never answers", reads, 3 * time.Second, 3 * time.Second, graceOver},
		{"a peer that accepts and does not read", accepts, 3 * time.Second, 3 * time.Second, graceOver},
		{"the default", reads, 0, 5 * time.Second, graceOver},
		{"no grace", reads, -1, 0, []error{errStopped, tinyproto.ErrUnsent}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				handled := make(chan *tinyproto.Conn, 1)
				l := newMemory()
				run := serve(t, &tinyproto.Server{
					Grace: tt.grace,
					Conn:  tinyproto.Options{OutboxBuffer: len(queued)},
					Handler: func(_ context.Context, c *tinyproto.Conn) error {
						for _, msg := range queued {
							c.Outbox() <- msg
						}
						for range c.Inbox() {
							t.Error("the server received something")
						}
						handled <- c
						return c.Err()
					},
				}, l)
				tt.peer(t, l.connect(t))
				synctest.Wait()
				stopped := time.Now()
				run.cancel(errStopped)
				if err := receive(t, "the return of Serve", run.result); err != nil {
					t.Errorf("Serve returned %v", err)
				}
				if took := time.Since(stopped); took != tt.takes {
					t.Errorf("Serve took %v to end, expected %v", took, tt.takes)
				}
				if tt.errs == nil {
					if len(handled) > 0 {
						t.Error("the handler was called for a peer that did not greet")
					}
					return
				}
				c := receive(t, "the handler to return", handled)
				for _, target := range tt.errs {
					if !errors.Is(c.Err(), target) {
						t.Errorf("Err is %v, expected it to match %q", c.Err(), target)
					}
				}
				if diff := cmp.Diff(queued, c.Unsent()); diff != "" {
					t.Errorf("Unsent (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestServeReturnsErrHandlersWhileHandlersStillRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const grace = time.Second
		release := make(chan struct{})
		l := newMemory()
		run := serve(t, &tinyproto.Server{
			Grace: grace,
			Handler: func(ctx context.Context, c *tinyproto.Conn) error {
				if msg := <-c.Inbox(); string(msg) == "stay" {
					<-release
				}
				return nil
			},
		}, l)
		var stuck []*tinyproto.Conn
		for _, msg := range []string{"stay", "go", "stay"} {
			c, err := conn.New(t.Context(), l.connect(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Send(t.Context(), []byte(msg)); err != nil {
				t.Fatal(err)
			}
			if msg == "stay" {
				stuck = append(stuck, c)
			}
		}
		synctest.Wait()
		stopped := time.Now()
		err := run.stop(t)
		if want := "tinyproto: handlers did not return within the grace period: 2 still run"; fmt.Sprint(err) != want || !errors.Is(err, tinyproto.ErrHandlers) {
			t.Errorf("Serve returned %q, expected %q", err, want)
		}
		// The grace period, and the time that closing may take.
		if took := time.Since(stopped); took < grace || took > grace+2*time.Second {
			t.Errorf("Serve took %v to end, expected between %v and %v", took, grace, grace+2*time.Second)
		}
		for _, c := range stuck {
			if _, err := rest(t, c); err != nil {
				t.Errorf("the peer of a handler that stays says %v, expected its connection to have ended", err)
			}
		}
		close(release)
	})
}

func explode() error { panic("boom") }

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
