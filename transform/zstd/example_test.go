package zstd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"sync"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/transform"
	"github.com/tinyproto-go/tinyproto/transform/zstd"
)

func ExampleTransform() {
	var z zstd.Transform
	encoded, err := z.Encode(nil, bytes.Repeat([]byte("hello "), 1000))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(encoded) < 100)

	msg, err := z.Decode(nil, encoded, 1<<20)
	fmt.Println(len(msg), err)

	_, err = z.Decode(nil, encoded, 1000)
	fmt.Println(errors.Is(err, transform.ErrTooLong))
	// Output:
	// true
	// 6000 <nil>
	// true
}

// Both ends of a connection compress their messages.
func ExampleTransform_connection() {
	opts := &conn.Options{Transforms: func() []conn.Transform {
		return []conn.Transform{&zstd.Transform{Level: 7}}
	}}

	ctx := context.Background()
	x, y := net.Pipe()
	var client sync.WaitGroup
	client.Go(func() { // ends with its message
		c, err := conn.New(ctx, x, opts)
		if err != nil {
			log.Fatal(err)
		}
		if err := c.Send(ctx, bytes.Repeat([]byte("hello "), 1000)); err != nil {
			log.Fatal(err)
		}
		if err := c.Shutdown(ctx); err != nil {
			log.Fatal(err)
		}
	})
	server, err := conn.New(ctx, y, opts)
	if err != nil {
		log.Fatal(err)
	}
	for msg := range server.Inbox() {
		fmt.Printf("received %d bytes: %.11s...\n", len(msg), msg)
	}
	fmt.Println(server.Err())
	client.Wait()
	// Output:
	// received 6000 bytes: hello hello...
	// <nil>
}
