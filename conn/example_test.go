package conn_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// A server that echoes, and a client. (Package tinyproto has both in short.)
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()

	served := make(chan struct{})
	go func() { // ends with the client's connection
		defer close(served)
		nc, err := listener.Accept()
		if err != nil {
			log.Print(err)
			return
		}
		c, err := conn.New(ctx, nc, nil)
		if err != nil {
			log.Print(err)
			return
		}
		defer c.Close()
		for msg := range c.Inbox() {
			select {
			case c.Outbox() <- msg:
			case <-c.Done():
			}
		}
		fmt.Println("server: the client left:", c.Err())
	}()

	nc, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	c, err := conn.New(ctx, nc, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Send(ctx, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	reply, err := c.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("client: received %s\n", reply)
	if err := c.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	<-served
	// Output:
	// client: received hello
	// server: the client left: <nil>
}

// connect returns a connection with a peer for which handle runs.
func connect(ctx context.Context, opts *conn.Options, handle func(peer *conn.Conn)) (c *conn.Conn, handled *sync.WaitGroup) {
	ours, theirs := net.Pipe()
	handled = new(sync.WaitGroup)
	handled.Go(func() {
		peer, err := conn.New(context.Background(), theirs, nil)
		if err != nil {
			log.Fatal(err)
		}
		defer peer.Close()
		handle(peer)
	})
	c, err := conn.New(ctx, ours, opts)
	if err != nil {
		log.Fatal(err)
	}
	return c, handled
}

// Receive until the connection ends, and then ask why it did.
func ExampleConn_Inbox() {
	ctx := context.Background()
	c, handled := connect(ctx, nil, func(peer *conn.Conn) {
		for _, word := range []string{"one", "two", "three"} {
			peer.Send(ctx, []byte(word))
		}
		peer.Shutdown(ctx)
	})
	for msg := range c.Inbox() {
		fmt.Println(string(msg))
	}
	if err := c.Err(); err != nil {
		log.Fatal(err)
	}
	handled.Wait()
	// Output:
	// one
	// two
	// three
}

// A sole producer closes the Outbox: what it has sent is flushed, and the
// connection ends gracefully.
func ExampleConn_Outbox() {
	ctx := context.Background()
	c, handled := connect(ctx, &conn.Options{OutboxBuffer: 8}, func(peer *conn.Conn) {
		for msg := range peer.Inbox() {
			fmt.Println(string(msg))
		}
	})
	for _, word := range []string{"one", "two", "three"} {
		select {
		case c.Outbox() <- []byte(word):
		case <-c.Done():
			log.Fatal(c.Err())
		}
	}
	close(c.Outbox())
	handled.Wait()
	// Output:
	// one
	// two
	// three
}

// Both directions at once: one goroutine sends while another receives.
func ExampleConn_Outbox_bothDirections() {
	ctx := context.Background()
	c, handled := connect(ctx, nil, func(peer *conn.Conn) {
		for msg := range peer.Inbox() {
			select {
			case peer.Outbox() <- []byte(strings.ToUpper(string(msg))):
			case <-peer.Done():
			}
		}
	})
	words := []string{"one", "two", "three"}
	go func() { // ends with the last word, or with the connection
		for _, word := range words {
			select {
			case c.Outbox() <- []byte(word):
			case <-c.Done():
				return
			}
		}
	}()
	for range words {
		fmt.Println(string(<-c.Inbox()))
	}
	// All replies are here, so now the connection may end.
	if err := c.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	handled.Wait()
	// Output:
	// ONE
	// TWO
	// THREE
}

// Ticks, messages and the end of the connection in one select.
func ExampleConn_Done() {
	ctx := context.Background()
	c, handled := connect(ctx, nil, func(peer *conn.Conn) {
		for msg := range peer.Inbox() {
			peer.Send(ctx, append([]byte("seen "), msg...))
			peer.Shutdown(ctx)
		}
	})
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	inbox, tick := c.Inbox(), ticker.C
	for inbox != nil {
		select {
		case msg, ok := <-inbox:
			if !ok {
				inbox = nil // ended, and nothing is left to receive
				break
			}
			fmt.Println(string(msg))
		case <-tick:
			tick = nil // once is enough here
			select {
			case c.Outbox() <- []byte("tick"):
			case <-c.Done():
			}
		}
	}
	fmt.Println("ended:", c.Err())
	handled.Wait()
	// Output:
	// seen tick
	// ended: <nil>
}

// Receive one message at a time, with a context for each.
func ExampleConn_Receive() {
	ctx := context.Background()
	c, handled := connect(ctx, nil, func(peer *conn.Conn) {
		peer.Send(ctx, []byte("hello"))
		<-peer.Done()
	})
	msg, err := c.Receive(ctx)
	fmt.Println(string(msg), err)

	bounded, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	_, err = c.Receive(bounded)
	fmt.Println(errors.Is(err, context.DeadlineExceeded)) // and the connection lives on

	c.Close()
	handled.Wait()
	// Output:
	// hello <nil>
	// true
}

// Range over messages, and their errors.
func ExampleConn_Messages() {
	ctx := context.Background()
	c, handled := connect(ctx, nil, func(peer *conn.Conn) {
		peer.Send(ctx, []byte("one"))
		peer.Send(ctx, []byte("two"))
		peer.Shutdown(ctx)
	})
	for msg, err := range c.Messages(ctx) {
		if err != nil {
			log.Fatal(err) // never after a clean end
		}
		fmt.Println(string(msg))
	}
	handled.Wait()
	// Output:
	// one
	// two
}
