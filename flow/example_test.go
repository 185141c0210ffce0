package flow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/flow"
)

// Messages come from one connection, are worked on in parallel, and go to two
// others in the same order. The first failure ends the group's context, and that
// ends the rest.
func Example() {
	source, from := examplePair()
	first, firstSink := examplePair()
	second, secondSink := examplePair()
	go exampleSend(source, "one", "two", "three") // ends with the messages

	g, ctx := errgroup.WithContext(context.Background())
	results := flow.Map(ctx, from.Inbox(), 4, bytes.ToUpper)
	copies := flow.Tee(ctx, results, 2)
	for i, to := range []*conn.Conn{first, second} {
		g.Go(func() error {
			for msg := range copies[i] {
				select {
				case to.Outbox() <- msg:
				case <-to.Done():
					return fmt.Errorf("sink %d is gone: %w", i, conn.ErrClosed)
				}
			}
			return to.Shutdown(ctx) // flushes what was sent
		})
	}
	received := make([][]string, 2)
	for i, sink := range []*conn.Conn{firstSink, secondSink} {
		g.Go(func() error {
			for msg := range sink.Inbox() {
				received[i] = append(received[i], string(msg))
			}
			return sink.Err()
		})
	}
	fmt.Println(g.Wait(), from.Err())
	fmt.Println(received[0])
	fmt.Println(received[1])
	// Output:
	// <nil> <nil>
	// [ONE TWO THREE]
	// [ONE TWO THREE]
}

func ExampleMerge() {
	north, a := examplePair()
	south, b := examplePair()
	go exampleSend(north, "snow", "ice") // ends with the messages
	go exampleSend(south, "sun")         // ends with the messages

	for msg := range flow.Merge(context.Background(), a.Inbox(), b.Inbox()) {
		fmt.Printf("%s\n", msg)
	}
	fmt.Println(a.Err(), b.Err()) // why the channel was closed
	// Unordered output:
	// snow
	// ice
	// sun
	// <nil> <nil>
}

func ExampleTee() {
	words := make(chan string)
	go func() { // ends with the words
		defer close(words)
		for _, word := range strings.Fields("each of us sees all of it") {
			words <- word
		}
	}()

	outs := flow.Tee(context.Background(), words, 2)
	count := make(chan int)
	go func() { // ends with the first output
		n := 0
		for range outs[0] {
			n++
		}
		count <- n
	}()
	longest := ""
	for word := range outs[1] {
		if len(word) > len(longest) {
			longest = word
		}
	}
	fmt.Println(<-count, longest)
	// Output:
	// 7 each
}

// An f that can fail ends the work with the error as the cause of the context.
func ExampleMap() {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	words := make(chan string)
	go func() { // ends with the words or ctx
		defer close(words)
		for _, word := range []string{"1", "2", "3", "four", "5"} {
			select {
			case words <- word:
			case <-ctx.Done():
			}
		}
	}()

	for n := range flow.Map(ctx, words, 1, func(word string) int {
		n, err := strconv.Atoi(word)
		if err != nil {
			cancel(err)
		}
		return n * n
	}) {
		fmt.Println(n)
	}
	fmt.Println(context.Cause(ctx))
	// Output:
	// 1
	// 4
	// 9
	// strconv.Atoi: parsing "four": invalid syntax
}

// When the connection that it sends to is over, Forward goes on with another,
// and no message is lost.
func ExampleForward() {
	source, from := examplePair()
	first, _ := examplePair()
	spare, sink := examplePair()
	go exampleSend(source, "one", "two", "three") // ends with the messages
	first.Close()

	ctx := context.Background()
	go func() { // ends with from
		err := flow.Forward(ctx, from, first)
		if errors.Is(err, conn.ErrClosed) {
			for _, msg := range first.Unsent() {
				spare.Outbox() <- msg
			}
			if e, ok := errors.AsType[*flow.ForwardError](err); ok {
				spare.Outbox() <- e.Message
			}
			err = flow.Forward(ctx, from, spare)
		}
		fmt.Println("source:", err)
		spare.Shutdown(ctx)
	}()
	var received []string
	for msg := range sink.Inbox() {
		received = append(received, string(msg))
	}
	fmt.Println("sink:", received, sink.Err())
	// Output:
	// source: <nil>
	// sink: [one two three] <nil>
}

// examplePair joins two connections without a network.
func examplePair() (a, b *conn.Conn) {
	x, y := net.Pipe()
	var g errgroup.Group
	g.Go(func() (err error) { a, err = conn.New(context.Background(), x, nil); return err })
	g.Go(func() (err error) { b, err = conn.New(context.Background(), y, nil); return err })
	if err := g.Wait(); err != nil {
		log.Fatal(err)
	}
	return a, b
}

// exampleSend sends messages and ends the connection.
func exampleSend(c *conn.Conn, messages ...string) {
	for _, msg := range messages {
		if err := c.Send(context.Background(), []byte(msg)); err != nil {
			log.Fatal(err)
		}
	}
	if err := c.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
}
