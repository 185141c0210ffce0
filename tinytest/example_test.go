package tinytest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/tinytest"
)

// echo is a Handler that answers every message with itself.
func echo(_ context.Context, c *tinyproto.Conn) error {
	for msg := range c.Inbox() {
		select {
		case c.Outbox() <- msg:
		case <-c.Done():
		}
	}
	return c.Err()
}

// A server and its client on a network whose link stalls: what the client asks
// meanwhile is answered when the stall is over. In a test, this belongs into a
// bubble of testing/synctest: see TestAnEchoSurvivesAStalledLink.
func Example() {
	n := tinytest.NewNetwork(tinytest.Config{Conditions: tinytest.Conditions{Buffer: 64 << 10}})
	l, err := n.Listen("server")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	server := tinyproto.Server{Handler: echo, Logger: slog.New(slog.DiscardHandler)}
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(ctx, l) }) // ends with ctx
	defer serving.Wait()
	defer cancel()

	nc, err := n.Dial(ctx, "server")
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := conn.New(ctx, nc, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	began := time.Now()
	n.Link(tinytest.Dialer, "server").Stall(tinytest.ToListener, 50*time.Millisecond)
	if err := c.Send(ctx, []byte("are you there?")); err != nil {
		fmt.Println(err)
	}
	reply, err := c.Receive(ctx)
	fmt.Printf("%s %v\n", reply, err)
	fmt.Println("it took at least 50 ms:", time.Since(began) >= 50*time.Millisecond)
	// Output:
	// are you there? <nil>
	// it took at least 50 ms: true
}

func TestAnEchoSurvivesAStalledLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const latency, stall = 30 * time.Millisecond, 20 * time.Second
		n := tinytest.NewNetwork(tinytest.Config{Seed: 1, Conditions: tinytest.Conditions{Latency: latency, Buffer: 64 << 10}})
		l, err := n.Listen("server")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error)
		server := &tinyproto.Server{Handler: echo, Logger: slog.New(slog.DiscardHandler)}
		go func() { served <- server.Serve(ctx, l) }() // ends with ctx

		nc, err := n.Dial(ctx, "server")
		if err != nil {
			t.Fatal(err)
		}
		c, err := conn.New(ctx, nc, nil)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		n.Link(tinytest.Dialer, "server").Stall(tinytest.Both, stall)
		if err := c.Send(ctx, []byte("are you there?")); err != nil {
			t.Fatal(err)
		}
		if reply, err := c.Receive(ctx); string(reply) != "are you there?" || err != nil {
			t.Errorf("received %q, %v", reply, err)
		}
		// The offer arrives at the end of the stall; its answer, the message, the
		// answer's offer, the answer to that and the reply take their way after it.
		if took := time.Since(began); took != stall+5*latency {
			t.Errorf("it took %v, expected the stall and five ways of %v", took, latency)
		}
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// Two ends without a server, and a link that breaks: the message that was
// written last is in doubt.
func ExampleNetwork_Pair() {
	n := tinytest.NewNetwork(tinytest.Config{Conditions: tinytest.Conditions{Buffer: 64 << 10}})
	x, y := n.Pair("alice", "bob")
	ctx := context.Background()
	var alice *conn.Conn
	var greeting sync.WaitGroup
	greeting.Go(func() { alice, _ = conn.New(ctx, x, nil) }) // ends with the hello
	bob, err := conn.New(ctx, y, nil)
	greeting.Wait()
	if err != nil || alice == nil {
		fmt.Println("no hello:", err)
		return
	}
	if err := alice.Send(ctx, []byte("hello, bob")); err != nil {
		fmt.Println(err)
		return
	}
	n.Link("alice", "bob").Reset()
	for range alice.Inbox() {
	}
	bob.Close()
	fmt.Println("in doubt:", errors.Is(alice.Err(), conn.ErrInDoubt))
	fmt.Println("reset:", errors.Is(alice.Err(), syscall.ECONNRESET))
	// Output:
	// in doubt: true
	// reset: true
}

// A partition holds up what is on its way, until it heals.
func ExampleLink_Partition() {
	n := tinytest.NewNetwork(tinytest.Config{Conditions: tinytest.Conditions{Buffer: 100}})
	a, b := n.Pair("a", "b")
	link := n.Link("a", "b")
	link.Partition(tinytest.Both)
	fmt.Fprint(a, "sent into the dark")
	a.Close()
	b.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, err := b.Read(make([]byte, 100))
	fmt.Println(err)
	link.Heal()
	b.SetReadDeadline(time.Time{})
	all, err := io.ReadAll(b)
	fmt.Printf("%s %v\n", all, err)
	b.Close()
	// Output:
	// read tinytest b->a:1: i/o timeout
	// sent into the dark <nil>
}

// Whatever takes a function to dial can dial here.
func ExampleNetwork_DialFrom() {
	n := tinytest.NewNetwork(tinytest.Config{})
	dial := func(ctx context.Context, _, addr string) (net.Conn, error) {
		return n.DialFrom(ctx, "browser", addr) // as of an http.Transport
	}
	_, err := dial(context.Background(), "tcp", "example.com:80")
	fmt.Println(errors.Is(err, syscall.ECONNREFUSED))
	// Output: true
}
