package transform_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"

	"golang.org/x/sync/errgroup"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/transform"
)

// Zlib, Seal and chains of them on connections.

// over runs a test over a pipe on virtual time, and over TCP. It fails if the
// test leaves goroutines.
func over(t *testing.T, test func(t *testing.T, x, y net.Conn)) {
	t.Run("pipe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			leaktest.Check(t)
			x, y := net.Pipe()
			test(t, x, y)
		})
	})
	t.Run("tcp", func(t *testing.T) {
		leaktest.Check(t)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		x, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		y, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		test(t, x, y)
	})
}

// join greets over the two ends of a transport, and closes the connections when
// the test ends.
func join(t *testing.T, x, y net.Conn, xOpts, yOpts *conn.Options) (a, b *conn.Conn) {
	t.Helper()
	var greetings errgroup.Group
	greetings.Go(func() (err error) { a, err = conn.New(context.Background(), x, xOpts); return err }) // ends with the hello
	greetings.Go(func() (err error) { b, err = conn.New(context.Background(), y, yOpts); return err }) // as well
	if err := greetings.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// with are options with the transforms of a chain.
func with(make1 func() chain) *conn.Options {
	return &conn.Options{InboxBuffer: 1, Transforms: func() []conn.Transform { return make1() }}
}

func TestMessagesOfAConnectionAreTransformedBothWays(t *testing.T) {
	for name, make1 := range chains {
		t.Run(name, func(t *testing.T) {
			over(t, func(t *testing.T, x, y net.Conn) {
				a, b := join(t, x, y, with(make1), with(make1))
				ctx := t.Context()
				const messages = 30
				var all errgroup.Group
				for seed, c := range []*conn.Conn{a, b} {
					all.Go(func() error { // ends with its messages
						r := rand.New(rand.NewPCG(0, uint64(seed)))
						for range messages {
							if err := c.Send(ctx, content(r.IntN(3000))); err != nil {
								return err
							}
						}
						return c.Send(ctx, nil)
					})
					all.Go(func() error { // ends with the other's messages
						r := rand.New(rand.NewPCG(0, uint64(1-seed)))
						for range messages {
							msg, err := c.Receive(ctx)
							if err != nil {
								return err
							}
							if want := content(r.IntN(3000)); !bytes.Equal(msg, want) {
								t.Errorf("received %.50q (%d bytes), expected %.50q (%d bytes)", msg, len(msg), want, len(want))
							}
						}
						msg, err := c.Receive(ctx)
						if len(msg) != 0 {
							t.Errorf("received %.50q, expected an empty message", msg)
						}
						return err
					})
				}
				if err := all.Wait(); err != nil {
					t.Fatal(err)
				}
				if err := a.Shutdown(ctx); err != nil {
					t.Errorf("Shutdown: %v", err)
				}
			})
		})
	}
}

func TestWhatCanNotBeDecodedEndsTheConnection(t *testing.T) {
	seal := func(key [32]byte) func() chain {
		return func() chain { return chain{transform.NewSeal(key)} }
	}
	for name, v := range map[string]struct {
		sending, receiving func() chain
		message            []byte
		want               error
	}{
		"wrong key":      {seal(otherKey), seal(testKey), []byte("hello"), transform.ErrKey},
		"nothing sealed": {chains["none"], seal(testKey), []byte("hello"), transform.ErrDamaged},
		"not zlib":       {chains["none"], chains["zlib"], []byte("hello"), transform.ErrDamaged},
		"bomb":           {chains["zlib"], chains["zlib"], make([]byte, 1<<20), transform.ErrTooLong},
		"sealed bomb":    {chains["zlib seal"], chains["zlib seal"], make([]byte, 1<<20), transform.ErrTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			over(t, func(t *testing.T, x, y net.Conn) {
				receiving := with(v.receiving)
				receiving.MaxMessage = 64 << 10
				a, b := join(t, x, y, with(v.sending), receiving)
				if err := a.Send(t.Context(), v.message); err != nil {
					t.Fatalf("Send: %v", err)
				}
				for msg := range b.Inbox() {
					t.Errorf("received %.50q, expected nothing", msg)
				}
				if err := b.Err(); !errors.Is(err, v.want) || !errors.Is(err, conn.ErrTransform) {
					t.Errorf("the connection ended with %v, expected one that matches %v and ErrTransform", err, v.want)
				}
				for range a.Inbox() { // its end is over, too
				}
			})
		})
	}
}

// It was numbered, so the receiver sees a gap.
func TestARefusedMessageDoesNotDisturbTheSealsBehindIt(t *testing.T) {
	over(t, func(t *testing.T, x, y net.Conn) {
		small := with(chains["zlib seal"])
		small.MaxMessage = 1000
		a, b := join(t, x, y, with(chains["zlib seal"]), small)
		noise := make([]byte, 2000)
		contents["noise"](rand.New(rand.NewPCG(2, 2)), noise)
		for range 3 {
			if err := a.Send(t.Context(), noise); !errors.Is(err, conn.ErrTooLarge) {
				t.Errorf("Send of what the peer does not take: %v, expected ErrTooLarge", err)
			}
			if err := a.Send(t.Context(), []byte("hello")); err != nil {
				t.Fatal(err)
			}
			if msg, err := b.Receive(t.Context()); err != nil || string(msg) != "hello" {
				t.Fatalf("received %.50q, %v; expected hello", msg, err)
			}
		}
	})
}

// Who shares a Seal by mistake learns of it, from the second peer's first
// message.
func TestASealOfTwoConnectionsFails(t *testing.T) {
	over(t, func(t *testing.T, x, y net.Conn) {
		shared := transform.NewSeal(testKey)
		expectDecoded(t, shared, encode(t, transform.NewSeal(testKey), []byte("elsewhere")), []byte("elsewhere"))
		a, b := join(t, x, y, with(chains["seal"]), with(func() chain { return chain{shared} }))
		if err := a.Send(t.Context(), []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if msg, err := b.Receive(t.Context()); !errors.Is(err, transform.ErrSender) {
			t.Errorf("received %.50q, %v; expected ErrSender", msg, err)
		}
	})
}
