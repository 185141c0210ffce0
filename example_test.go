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
	"path/filepath"
	"strings"
	"time"

	"github.com/tinyproto-go/tinyproto"
)

// A server that answers every message in upper case, and a client of it.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	l, err := tinyproto.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &tinyproto.Server{
		Handler: func(ctx context.Context, c *tinyproto.Conn) error {
			for msg := range c.Inbox() {
				if err := c.Send(ctx, []byte(strings.ToUpper(string(msg)))); err != nil {
					return err
				}
			}
			return c.Err()
		},
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }() // ends with ctx

	c, err := tinyproto.Dial(ctx, l.Addr().String(), nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, word := range []string{"hello", "world"} {
		if err := c.Send(ctx, []byte(word)); err != nil {
			log.Fatal(err)
		}
		reply, err := c.Receive(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", reply)
	}
	fmt.Println("client:", c.Shutdown(ctx))
	cancel()
	fmt.Println("server:", <-served)
	// Output:
	// HELLO
	// WORLD
	// client: <nil>
	// server: <nil>
}

// The context that is given to Dial is the life of the connection. What bounds
// the dialling is in the options.
func ExampleDial() {
	address, stop := serveExample(&tinyproto.Server{
		Handler: func(ctx context.Context, c *tinyproto.Conn) error {
			for i := range 3 {
				select {
				case c.Outbox() <- fmt.Appendf(nil, "message %d", i):
				case <-c.Done():
				}
			}
			return nil // what is queued is flushed, then the connection ends
		},
	})
	defer stop()

	c, err := tinyproto.Dial(context.Background(), address, &tinyproto.DialOptions{
		Timeout: 2 * time.Second, // to connect
		Conn: tinyproto.Options{
			HelloTimeout: 2 * time.Second, // to be greeted
			InboxBuffer:  16,
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for msg := range c.Inbox() {
		fmt.Printf("%s\n", msg)
	}
	fmt.Println("error:", c.Err())
	// Output:
	// message 0
	// message 1
	// message 2
	// error: <nil>
}

// Dial's errors tell apart why there is no connection.
func ExampleDial_errors() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	go func() { // a server of something else; ends with its first client
		nc, err := l.Accept()
		if err != nil {
			return
		}
		io.WriteString(nc, "220 mail server ready\r\n")
		io.Copy(io.Discard, nc)
		nc.Close()
	}()

	_, err = tinyproto.Dial(context.Background(), l.Addr().String(), nil)
	switch {
	case errors.Is(err, tinyproto.ErrConnLimit):
		fmt.Println("the server is full: try again later")
	case errors.Is(err, tinyproto.ErrRefused):
		fmt.Println("the server turned us away")
	case errors.Is(err, tinyproto.ErrNotTinyproto):
		fmt.Println("this is no tinyproto server")
	default:
		fmt.Println("nobody is there")
	}
	// Output:
	// this is no tinyproto server
}

// One server can listen on any number of addresses.
func ExampleServer_Serve() {
	dir, err := os.MkdirTemp("", "tinyproto")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	unix := "unix://" + filepath.Join(dir, "socket")

	ctx, cancel := context.WithCancel(context.Background())
	var listeners []net.Listener
	for _, address := range []string{"127.0.0.1:0", "tcp://127.0.0.1:0", unix} {
		l, err := tinyproto.Listen(ctx, address)
		if err != nil {
			log.Fatal(err)
		}
		listeners = append(listeners, l)
	}
	server := &tinyproto.Server{
		Handler: func(ctx context.Context, c *tinyproto.Conn) error {
			return c.Send(ctx, []byte("welcome by "+c.LocalAddr().Network()))
		},
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listeners...) }() // ends with ctx

	for _, address := range []string{listeners[0].Addr().String(), listeners[1].Addr().String(), unix} {
		c, err := tinyproto.Dial(ctx, address, nil)
		if err != nil {
			log.Fatal(err)
		}
		for msg := range c.Inbox() {
			fmt.Printf("%s\n", msg)
		}
	}
	cancel()
	fmt.Println(<-served)
	// Output:
	// welcome by tcp
	// welcome by tcp
	// welcome by unix
	// <nil>
}

// With MaxConns a server tells those it has no room for.
func ExampleServer_connectionLimit() {
	address, stop := serveExample(&tinyproto.Server{
		MaxConns: 1,
		Handler: func(ctx context.Context, c *tinyproto.Conn) error {
			for range c.Inbox() {
			}
			return c.Err()
		},
	})
	defer stop()

	first, err := tinyproto.Dial(context.Background(), address, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer first.Close()
	_, err = tinyproto.Dial(context.Background(), address, nil)
	fmt.Println(errors.Is(err, tinyproto.ErrConnLimit))
	// Output:
	// true
}

// When the context of Serve ends, for instance one of signal.NotifyContext,
// every connection flushes what is queued. A handler that ranges over the
// Inbox needs no case for it.
func ExampleServer_gracefulEnd() {
	ctx, cancel := context.WithCancel(context.Background())
	l, err := tinyproto.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	queued := make(chan struct{})
	server := &tinyproto.Server{
		Grace: 3 * time.Second,
		Conn:  tinyproto.Options{OutboxBuffer: 3},
		Handler: func(ctx context.Context, c *tinyproto.Conn) error {
			for _, word := range []string{"one", "two", "three"} {
				c.Outbox() <- []byte(word)
			}
			close(queued)
			for range c.Inbox() { // ends with ctx, or with the peer
			}
			return c.Err()
		},
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }() // ends with ctx

	c, err := tinyproto.Dial(context.Background(), l.Addr().String(), nil)
	if err != nil {
		log.Fatal(err)
	}
	<-queued
	cancel() // the server ends, and nothing is lost
	for msg := range c.Inbox() {
		fmt.Printf("%s\n", msg)
	}
	fmt.Println("client:", c.Err())
	fmt.Println("server:", <-served)
	// Output:
	// one
	// two
	// three
	// client: <nil>
	// server: <nil>
}

// A handler that panics ends its own connection and no other. The Logger gets
// the stack, and the connection's error is a PanicError.
func ExamplePanicError() {
	conns := make(chan *tinyproto.Conn, 1)
	address, stop := serveExample(&tinyproto.Server{
		Logger: slog.New(slog.DiscardHandler), // better: your own
		Handler: func(ctx context.Context, c *tinyproto.Conn) error {
			conns <- c
			for msg := range c.Inbox() {
				fmt.Println(msg[7:]) // of 5 bytes
			}
			return c.Err()
		},
	})
	defer stop()

	c, err := tinyproto.Dial(context.Background(), address, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Send(context.Background(), []byte("hello")); err != nil {
		log.Fatal(err)
	}
	for range c.Inbox() { // ends with the connection
	}
	served := <-conns
	for range served.Inbox() { // Err is final once the Inbox is closed
	}
	var p *tinyproto.PanicError
	if errors.As(served.Err(), &p) {
		fmt.Println(p)
	}
	// Output:
	// handler panicked: runtime error: slice bounds out of range [7:5]
}

// serveExample serves on a free port until stop is called.
func serveExample(server *tinyproto.Server) (address string, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	l, err := tinyproto.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }() // ends with ctx
	return l.Addr().String(), func() {
		cancel()
		if err := <-served; err != nil {
			log.Fatal(err)
		}
	}
}

// Messages follow each other without waiting; each Send returns when the server's
// handler has the message.
func ExampleDialOptions_pipelined() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l, err := tinyproto.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := tinyproto.Server{Handler: func(ctx context.Context, c *tinyproto.Conn) error {
		for msg := range c.Inbox() {
			fmt.Printf("%s\n", msg)
		}
		return c.Err()
	}}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }() // ends with ctx

	c, err := tinyproto.Dial(ctx, l.Addr().String(), &tinyproto.DialOptions{
		Fallback: true, // classic mode, if the server knows nothing else
		Conn:     tinyproto.Options{Mode: tinyproto.Pipelined},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, msg := range []string{"one", "two", "three"} {
		c.Outbox() <- []byte(msg)
	}
	close(c.Outbox())     // its sole producer ends the connection gracefully
	for range c.Inbox() { // until the server has ended, too
	}
	err = c.Shutdown(ctx) // waits for the end: nil says that the handler has all
	fmt.Println("pipelined:", c.Stats().Pipelined, "error:", err)
	cancel()
	if err := <-served; err != nil {
		log.Fatal(err)
	}
	// Output:
	// one
	// two
	// three
	// pipelined: true error: <nil>
}
