package transform_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"net"

	"golang.org/x/sync/errgroup"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/transform"
)

// Both ends of a connection compress their messages and then seal them. They
// have the key from elsewhere.
func Example() {
	var key [32]byte
	rand.Read(key[:])
	opts := &conn.Options{Transforms: func() []conn.Transform {
		return []conn.Transform{&transform.Zlib{}, transform.NewSeal(key)}
	}}

	ctx := context.Background()
	x, y := net.Pipe()
	var client, server *conn.Conn
	var g errgroup.Group
	g.Go(func() (err error) { client, err = conn.New(ctx, x, opts); return err })
	g.Go(func() (err error) { server, err = conn.New(ctx, y, opts); return err })
	if err := g.Wait(); err != nil {
		log.Fatal(err)
	}

	g.Go(func() error { // ends with the message
		return client.Send(ctx, bytes.Repeat([]byte("hello "), 1000))
	})
	msg, err := server.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("received %d bytes: %.11s...\n", len(msg), msg)
	if err := g.Wait(); err != nil {
		log.Fatal(err)
	}
	if err := client.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// received 6000 bytes: hello hello...
}

func ExampleZlib() {
	var z transform.Zlib
	encoded, err := z.Encode(nil, bytes.Repeat([]byte("hello "), 1000))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(encoded) < 100)

	msg, err := z.Decode(nil, encoded, 1<<20)
	fmt.Println(len(msg), err)

	// A message that becomes too long is given up when it does.
	_, err = z.Decode(nil, encoded, 1000)
	fmt.Println(errors.Is(err, transform.ErrTooLong))
	// Output:
	// true
	// 6000 <nil>
	// true
}

func ExampleSeal() {
	var key [32]byte
	rand.Read(key[:])
	ours, theirs := transform.NewSeal(key), transform.NewSeal(key)

	sealed, err := ours.Encode(nil, []byte("hello"))
	if err != nil {
		log.Fatal(err)
	}
	msg, err := theirs.Decode(nil, sealed, 100)
	fmt.Printf("%s, in %d bytes, %v\n", msg, len(sealed), err)

	_, err = theirs.Decode(nil, sealed, 100)
	fmt.Println(err)

	sealed[len(sealed)-1]++
	_, err = theirs.Decode(nil, sealed, 100)
	fmt.Println(errors.Is(err, transform.ErrDamaged))
	// Output:
	// hello, in 49 bytes, <nil>
	// seal: message repeated or out of order: number 1, expected one above 1
	// true
}
