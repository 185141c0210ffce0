package tinyproto_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// pattern returns n bytes of which no two records' worth are the same.
func pattern(n int, seed byte) []byte {
	p := make([]byte, n)
	x := uint32(seed) + 1
	for i := range p {
		x = x*1664525 + 1013904223
		p[i] = byte(x >> 24)
	}
	return p
}

func TestBigMessagesGoBothWaysAtOnceOverTLS(t *testing.T) {
	leaktest.Check(t)
	const size, count = 16 << 20, 2
	exchange := func(ctx context.Context, c *tinyproto.Conn, ours, theirs []byte) error {
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { // ends with the last message, or with ctx
			for range count {
				if err := c.Send(ctx, ours); err != nil {
					return err
				}
			}
			return nil
		})
		g.Go(func() error { // ends with the last message, or with ctx
			for range count {
				got, err := c.Receive(ctx)
				if err != nil {
					return err
				}
				if !bytes.Equal(got, theirs) {
					t.Errorf("of %d bytes sent, %d arrived, or others", len(theirs), len(got))
				}
			}
			return nil
		})
		return g.Wait()
	}
	up, down := pattern(size, 1), pattern(size, 2)
	handled := make(chan error, 1)
	at, _ := serveAt(t, &tinyproto.Server{TLS: serverTLS(), Handler: func(ctx context.Context, c *tinyproto.Conn) error {
		err := exchange(ctx, c, down, up)
		handled <- err
		return err
	}}, "127.0.0.1:0")
	c := dialWith(t, at, trusting())
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	if err := exchange(ctx, c, up, down); err != nil {
		t.Errorf("at the client: %v", err)
	}
	if err := receive(t, "the return of the handler", handled); err != nil {
		t.Errorf("at the server: %v", err)
	}
	if err := c.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown returned %v", err)
	}
}

// tls.Conn.Close alone may take 5 s.
func TestEndsOverTLSTakeNoTime(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*testing.T, *tinyproto.Conn)
	}{
		{"Shutdown", func(t *testing.T, c *tinyproto.Conn) {
			if err := c.Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown returned %v", err)
			}
		}},
		{"Close", func(_ *testing.T, c *tinyproto.Conn) { c.Close() }},
		{"the end of Serve", func(*testing.T, *tinyproto.Conn) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				l := newMemory()
				run := serve(t, &tinyproto.Server{Handler: echo}, tls.NewListener(l, serverTLS()))
				c, err := conn.New(t.Context(), overTLS(l.connect(t)), nil)
				if err != nil {
					t.Fatal(err)
				}
				ask(t, c, "hello")
				start := time.Now()
				tt.end(t, c)
				if err := run.stop(t); err != nil {
					t.Errorf("Serve returned %v", err)
				}
				rest(t, c)
				if took := time.Since(start); took > 0 {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestTheEndOfServeFlushesWhatIsQueuedOverTLS(t *testing.T) {
	leaktest.Check(t)
	queued := make(chan struct{})
	at, run := serveAt(t, &tinyproto.Server{
		TLS: serverTLS(), Conn: tinyproto.Options{OutboxBuffer: 3},
		Handler: func(_ context.Context, c *tinyproto.Conn) error {
			for _, msg := range []string{"one", "two", "three"} {
				c.Outbox() <- []byte(msg)
			}
			close(queued)
			for range c.Inbox() {
				t.Error("the server received something")
			}
			return c.Err()
		},
	}, "127.0.0.1:0")
	c := dialWith(t, at, trusting())
	receive(t, "the handler to queue its messages", queued)
	run.cancel(errStopped)
	got, err := rest(t, c)
	if len(got) != 3 || err != nil {
		t.Errorf("received %q, %v", got, err)
	}
	if err := receive(t, "the return of Serve", run.result); err != nil {
		t.Errorf("Serve returned %v", err)
	}
}
