package zstd_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/transform"
	"github.com/tinyproto-go/tinyproto/transform/zstd"
)

// join joins two connections over TCP, and closes them when the test ends.
func join(t *testing.T, xOpts, yOpts *conn.Options) (a, b *conn.Conn) {
	t.Helper()
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
	var greetings errgroup.Group
	greetings.Go(func() (err error) { a, err = conn.New(context.Background(), x, xOpts); return err }) // ends with the hello
	greetings.Go(func() (err error) { b, err = conn.New(context.Background(), y, yOpts); return err }) // as well
	if err := greetings.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestMessagesOfAConnectionAreCompressed(t *testing.T) {
	key := [32]byte([]byte("0123456789abcdefghijklmnopqrstuv"))
	for name, chain := range map[string]func() []conn.Transform{
		"alone":     func() []conn.Transform { return []conn.Transform{&zstd.Transform{}} },
		"sealed":    func() []conn.Transform { return []conn.Transform{&zstd.Transform{}, transform.NewSeal(key)} },
		"with zlib": func() []conn.Transform { return []conn.Transform{&transform.Zlib{}, &zstd.Transform{Level: 1}} },
	} {
		t.Run(name, func(t *testing.T) {
			opts := &conn.Options{Transforms: chain}
			a, b := join(t, opts, opts)
			var sending errgroup.Group
			sending.Go(func() error { // ends with its messages
				for size := range 50 {
					if err := a.Send(t.Context(), content(97*size)); err != nil {
						return err
					}
				}
				return a.Shutdown(t.Context())
			})
			size := 0
			for msg := range b.Inbox() {
				if want := content(97 * size); !bytes.Equal(msg, want) {
					t.Errorf("received %.50q (%d bytes), expected %.50q (%d bytes)", msg, len(msg), want, len(want))
				}
				size++
			}
			if size != 50 || b.Err() != nil {
				t.Errorf("received %d messages and then %v, expected 50 and a clean end", size, b.Err())
			}
			if err := sending.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestABombEndsTheConnection(t *testing.T) {
	transforms := func() []conn.Transform { return []conn.Transform{&zstd.Transform{}} }
	a, b := join(t, &conn.Options{Transforms: transforms}, &conn.Options{Transforms: transforms, MaxMessage: 64 << 10})
	if err := a.Send(t.Context(), make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if msg, err := b.Receive(t.Context()); !errors.Is(err, transform.ErrTooLong) {
		t.Errorf("received %.50q, %v; expected ErrTooLong", msg, err)
	}
}
