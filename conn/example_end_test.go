package conn_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"sync"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// A Send with a bound. After ErrInDoubt the message may still arrive.
func ExampleConn_Send() {
	ctx := context.Background()
	c, handled := connect(ctx, nil, func(peer *conn.Conn) {
		// This peer receives nothing: its connection accepts one message, and
		// leaves the offer of the next unanswered.
		<-peer.Done()
	})
	if err := c.Send(ctx, []byte("first")); err != nil {
		log.Fatal(err)
	}

	bounded, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	switch err := c.Send(bounded, []byte("second")); {
	case err == nil:
		fmt.Println("accepted and written")
	case errors.Is(err, conn.ErrInDoubt):
		fmt.Println("on its way, and may still arrive")
	case errors.Is(err, conn.ErrClosed):
		fmt.Println("not sent: the connection is over")
	case errors.Is(err, context.DeadlineExceeded):
		fmt.Println("not sent in time")
	}

	c.Close()
	fmt.Printf("unsent: %s\n", c.Unsent())
	handled.Wait()
	// Output:
	// on its way, and may still arrive
	// unsent: [second]
}

// The peer decides how large a message may be.
func ExampleTooLargeError() {
	ctx := context.Background()
	ours, theirs := net.Pipe()
	received := make(chan int)
	go func() { // ends with the connection
		defer close(received)
		peer, err := conn.New(ctx, theirs, &conn.Options{MaxMessage: 1000})
		if err != nil {
			log.Print(err)
			return
		}
		for msg := range peer.Inbox() {
			received <- len(msg)
		}
	}()
	c, err := conn.New(ctx, ours, nil)
	if err != nil {
		log.Fatal(err)
	}
	err = c.Send(ctx, make([]byte, 1001))
	if large, ok := errors.AsType[*conn.TooLargeError](err); ok {
		fmt.Println("too large:", large.Size)
	}
	if err := c.Send(ctx, make([]byte, 1000)); err != nil { // the connection lives on
		log.Fatal(err)
	}
	fmt.Println("received:", <-received)
	c.Close()
	<-received
	// Output:
	// too large: 1001
	// received: 1000
}

// The context that a connection is made with is its life: what is queued when
// it ends is still sent.
func ExampleNew_context() {
	ctx, cancel := context.WithCancelCause(context.Background())
	c, handled := connect(ctx, &conn.Options{OutboxBuffer: 3}, func(peer *conn.Conn) {
		for msg := range peer.Inbox() {
			fmt.Println("received", string(msg))
		}
	})
	for _, word := range []string{"one", "two", "three"} {
		c.Outbox() <- []byte(word)
	}
	cancel(errors.New("closing time"))
	for range c.Inbox() {
	}
	handled.Wait()
	fmt.Println("ended:", errors.Unwrap(c.Err()))
	// Output:
	// received one
	// received two
	// received three
	// ended: closing time
}

// What a connection could not send is not lost: send it on the next.
func ExampleConn_Unsent() {
	ctx := context.Background()
	c, handled := connect(ctx, &conn.Options{OutboxBuffer: 3}, func(peer *conn.Conn) {
		fmt.Println("first connection:", string(<-peer.Inbox()))
	})
	for _, word := range []string{"one", "two", "three"} {
		c.Outbox() <- []byte(word)
	}
	handled.Wait()
	for range c.Inbox() {
	}
	if errors.Is(c.Err(), conn.ErrUnsent) {
		next, handled := connect(ctx, nil, func(peer *conn.Conn) {
			n := 0
			for range peer.Inbox() {
				n++
			}
			fmt.Println("second connection:", n > 0)
		})
		for _, msg := range c.Unsent() {
			if err := next.Send(ctx, msg); err != nil {
				log.Fatal(err)
			}
		}
		next.Shutdown(ctx)
		handled.Wait()
	}
	// Output:
	// first connection: one
	// second connection: true
}

// End gracefully, but not at any price.
func ExampleConn_Shutdown() {
	ctx := context.Background()
	c, handled := connect(ctx, nil, func(peer *conn.Conn) {
		fmt.Println(string(<-peer.Inbox()))
		<-peer.Done()
	})
	if err := c.Send(ctx, []byte("goodbye")); err != nil {
		log.Fatal(err)
	}
	bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	fmt.Println(c.Shutdown(bounded))
	handled.Wait()
	// Unordered output:
	// goodbye
	// <nil>
}

// One slice may be sent on many connections: none writes to it.
func ExampleConn_broadcast() {
	ctx := context.Background()
	var all []*conn.Conn
	var handlers []*sync.WaitGroup
	for i := range 3 {
		c, handled := connect(ctx, nil, func(peer *conn.Conn) {
			fmt.Println(i, string(<-peer.Inbox()))
		})
		all, handlers = append(all, c), append(handlers, handled)
	}
	news := []byte("news")
	var sends sync.WaitGroup
	for _, c := range all {
		sends.Go(func() {
			if err := c.Send(ctx, news); err != nil {
				log.Print(err)
			}
		})
	}
	sends.Wait()
	for i, c := range all {
		handlers[i].Wait()
		c.Close()
	}
	// Unordered output:
	// 0 news
	// 1 news
	// 2 news
}

// Turn a client away, so that it knows why.
func ExampleRefuse() {
	ctx := context.Background()
	theirs, ours := net.Pipe()
	refused := make(chan error, 1)
	go func() { refused <- conn.Refuse(ctx, ours) }() // ends within a second
	_, err := conn.New(ctx, theirs, nil)
	fmt.Println(errors.Is(err, conn.ErrConnLimit), <-refused)
	// Output: true <nil>
}
