package tinyproto_test

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

const logRefused = "tinyproto: connection limit reached, refused"

func TestConnectionsOverTheLimitAreToldSo(t *testing.T) {
	unix, _ := socket(t)
	for _, tt := range []struct{ name, listen string }{
		{"TCP", "127.0.0.1:0"},
		{"Unix socket", unix},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leaktest.Check(t)
			l := listen(t, tt.listen)
			address := tt.listen
			if l.Addr().Network() == "tcp" {
				address = l.Addr().String()
			}
			serve(t, &tinyproto.Server{Handler: echo, MaxConns: 2}, l)
			served := []*tinyproto.Conn{dial(t, address), dial(t, address)}
			for range 20 {
				c, err := tinyproto.Dial(t.Context(), address, nil)
				if err == nil {
					c.Close()
				}
				if !errors.Is(err, tinyproto.ErrConnLimit) || !errors.Is(err, tinyproto.ErrRefused) {
					t.Errorf("Dial over the limit: %v, expected ErrConnLimit and ErrRefused", err)
				}
			}
			for _, c := range served {
				ask(t, c, "those within it are served")
			}
		})
	}
}

// Closing a socket with unread input destroys what was written to it last, so
// a server that just wrote CONLIMIT and closed would be seen to break off.
func TestRefusalReachesAPeerThatHasWrittenALotAlready(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	// These wait to be accepted until Serve is called, in their order.
	first, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	refused, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer refused.Close()
	refused.SetDeadline(time.Now().Add(patience))
	written := 0
	write := func(p []byte) {
		t.Helper()
		n, err := refused.Write(p)
		if written += n; err != nil {
			t.Fatalf("after %d bytes: %v", written, err)
		}
	}
	write([]byte{0xff, 0, 0x10, 0, 0}) // hello, and an offer of 1 MiB
	write(make([]byte, 16<<10))        // as much of it as fits into any buffer
	var logged records
	serve(t, &tinyproto.Server{Handler: echo, MaxConns: 1, Logger: logged.logger()}, l)
	rawHello(t, first)
	write(make([]byte, 256<<10)) // and on, though the refusal may have come
	got, err := io.ReadAll(refused)
	if err != nil {
		t.Errorf("reading the refusal: %v", err)
	}
	if diff := cmp.Diff("fe", hex.EncodeToString(got)); diff != "" {
		t.Errorf("the server wrote (-want +got):\n%s", diff)
	}
	refused.Close()
	_, err = tinyproto.Dial(t.Context(), l.Addr().String(), nil)
	if !errors.Is(err, tinyproto.ErrConnLimit) {
		t.Errorf("Dial over the limit: %v", err)
	}
}

func TestSlotsAreFreedWhenConnectionsEnd(t *testing.T) {
	leaktest.Check(t)
	const maxConns, clients, atOnce = 10, 200, 19 // atOnce divides what is left beside maxConns
	var open, handled, refusals atomic.Int64
	var logged records
	l := listen(t, "127.0.0.1:0")
	run := serve(t, &tinyproto.Server{
		MaxConns: maxConns,
		Logger:   logged.logger(),
		Handler: func(ctx context.Context, c *tinyproto.Conn) error {
			handled.Add(1)
			if n := open.Add(1); n > maxConns {
				t.Errorf("%d connections are served at once", n)
			}
			defer open.Add(-1)
			return echo(ctx, c)
		},
	}, l)

	// The slots fill first, so that there are refusals for sure.
	var held []*tinyproto.Conn
	for range maxConns {
		held = append(held, dial(t, l.Addr().String()))
	}
	var full sync.WaitGroup
	full.Add(atOnce)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var g errgroup.Group
	for range atOnce {
		g.Go(func() error { // ends with its clients, or with ctx
			var once sync.Once
			for range (clients - maxConns) / atOnce {
				c, err := tinyproto.Dial(ctx, l.Addr().String(), nil)
				for ; errors.Is(err, tinyproto.ErrConnLimit); c, err = tinyproto.Dial(ctx, l.Addr().String(), nil) {
					refusals.Add(1)
					once.Do(full.Done)
				}
				if err != nil {
					once.Do(full.Done)
					return err
				}
				if err := c.Send(ctx, []byte("hello")); err != nil {
					return err
				}
				if _, err := c.Receive(ctx); err != nil {
					return err
				}
				if err := c.Shutdown(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	full.Wait()
	for _, c := range held {
		if err := c.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := run.stop(t); err != nil {
		t.Errorf("Serve returned %v", err)
	}
	if n := handled.Load(); n != clients {
		t.Errorf("%d connections were served of %d", n, clients)
	}
	if n := refusals.Load(); n < atOnce || n != int64(len(logged.saying(logRefused))) {
		t.Errorf("the clients saw %d refusals, the server logged %d, expected as many, and at least %d",
			n, len(logged.saying(logRefused)), atOnce)
	}
	if n := len(logged.saying("tinyproto: connection ended")); n != clients {
		t.Errorf("the server logged the end of %d connections, expected %d", n, clients)
	}
}

func TestListenersOfOneServeShareTheLimit(t *testing.T) {
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	serve(t, &tinyproto.Server{Handler: echo, MaxConns: 1}, a, b)
	ask(t, dial(t, a.Addr().String()), "hello")
	if _, err := tinyproto.Dial(t.Context(), b.Addr().String(), nil); !errors.Is(err, tinyproto.ErrConnLimit) {
		t.Errorf("Dial at the other listener: %v", err)
	}
}

func TestWithoutMaxConnsThereIsNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var handled atomic.Int64
		l := newMemory()
		serve(t, &tinyproto.Server{Handler: func(ctx context.Context, c *tinyproto.Conn) error {
			handled.Add(1)
			return echo(ctx, c)
		}}, l)
		for range 500 {
			rawHello(t, l.connect(t))
		}
		synctest.Wait()
		if n := handled.Load(); n != 500 {
			t.Errorf("%d of 500 connections are served at once", n)
		}
	})
}

func TestPeersThatDoNotGreetCountUntilTheHelloTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const helloTimeout = 3 * time.Second
		l := newMemory()
		serve(t, &tinyproto.Server{
			Handler: echo, MaxConns: 1,
			Conn: tinyproto.Options{HelloTimeout: helloTimeout},
		}, l)
		l.connect(t)
		synctest.Wait()
		time.Sleep(helloTimeout - time.Nanosecond)
		if _, err := conn.New(t.Context(), l.connect(t), nil); !errors.Is(err, tinyproto.ErrConnLimit) {
			t.Errorf("while the silent peer is waited for: %v", err)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		c, err := conn.New(t.Context(), l.connect(t), nil)
		if err != nil {
			t.Fatalf("after its time was over: %v", err)
		}
		defer c.Close()
		ask(t, c, "hello")
	})
}

// Each refusal takes a little memory, for up to a second if the peer does not
// go: a flood of such peers must not take it without bound.
func TestMoreRefusalsAtOnceThanTheServerBears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const peers = 1000
		l := newMemory()
		run := serve(t, &tinyproto.Server{Handler: echo, MaxConns: 1}, l)
		served, err := conn.New(t.Context(), l.connect(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer served.Close()

		var told []net.Conn // those that the server listens to while it refuses them
		cut := 0
		began := time.Now()
		for range peers {
			nc := l.connect(t)
			_, err := nc.Write([]byte{0xff})
			switch {
			case err == nil:
				told = append(told, nc)
			case errors.Is(err, io.ErrClosedPipe):
				cut++
			default:
				t.Fatal(err)
			}
		}
		if len(told) < 100 || cut < 100 {
			t.Errorf("%d peers are being refused and %d were cut off, expected at least 100 of each", len(told), cut)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("they held the server up for %v", took)
		}
		ask(t, served, "the connection within the limit is served")
		answered := told[:len(told)/2] // the others never read
		for _, nc := range answered {
			if got, err := io.ReadAll(nc); err != nil || len(got) != 1 || got[0] != 0xfe {
				t.Fatalf("a refused peer read %x, error %v", got, err)
			}
		}
		synctest.Wait()
		for range answered {
			if _, err := conn.New(t.Context(), l.connect(t), nil); !errors.Is(err, tinyproto.ErrConnLimit) {
				t.Fatalf("after some refusals are over: %v", err)
			}
		}
		for _, nc := range told[len(answered):] {
			if n, err := nc.Write([]byte{0xff}); err != nil {
				t.Fatalf("a peer that has time to read its refusal wrote %d bytes, error %v", n, err)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for _, nc := range told[len(answered):] {
			if _, err := nc.Write([]byte{0xff}); !errors.Is(err, io.ErrClosedPipe) {
				t.Fatalf("a peer that never read its refusal is connected after 1 s, error %v", err)
			}
		}
		if err := run.stop(t); err != nil {
			t.Errorf("Serve returned %v", err)
		}
	})
}

func TestEndOfContextDoesNotWaitForPeersThatAreBeingRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newMemory()
		run := serve(t, &tinyproto.Server{Handler: echo, MaxConns: 1}, l)
		l.connect(t)
		l.connect(t) // is refused, and does not read it
		synctest.Wait()
		stopped := time.Now()
		if err := run.stop(t); err != nil {
			t.Errorf("Serve returned %v", err)
		}
		if took := time.Since(stopped); took > 0 {
			t.Errorf("Serve took %v to end", took)
		}
	})
}
