package tinyproto_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
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
