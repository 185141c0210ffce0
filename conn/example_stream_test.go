package conn_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/tinyproto-go/tinyproto/conn"
)

// connectOverTCP returns a connection with a peer that has these options. (Over
// TCP the operating system copies from file to file.)
func connectOverTCP(ctx context.Context, opts, peerOpts *conn.Options) (c, peer *conn.Conn) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	var greeting sync.WaitGroup
	greeting.Go(func() {
		nc, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		if peer, err = conn.New(ctx, nc, peerOpts); err != nil {
			log.Fatal(err)
		}
	})
	nc, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	if c, err = conn.New(ctx, nc, opts); err != nil {
		log.Fatal(err)
	}
	greeting.Wait()
	return c, peer
}

// Send a file as one message. The other end writes it to a file of its own,
// and neither has more of it in memory than a buffer.
func ExampleConn_SendFrom() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "original"), make([]byte, 1_000_000), 0o600); err != nil {
		log.Fatal(err)
	}

	arrived := make(chan error, 1)
	c, peer := connectOverTCP(ctx, nil, &conn.Options{Accept: func(size uint32) conn.Placement {
		file, err := os.Create(filepath.Join(dir, "copy"))
		if err != nil {
			return conn.Placement{Refuse: true}
		}
		return conn.Placement{Writer: file, Done: func(moved int64, err error) {
			fmt.Printf("%d of %d bytes came\n", moved, size)
			if closeErr := file.Close(); err == nil {
				err = closeErr
			}
			arrived <- err
		}}
	}})
	defer peer.Close()

	file, err := os.Open(filepath.Join(dir, "original"))
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		log.Fatal(err)
	}
	if err := c.SendFrom(ctx, file, info.Size()); err != nil {
		log.Fatal(err)
	}
	if err := <-arrived; err != nil {
		log.Fatal(err)
	}
	if err := c.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 1000000 of 1000000 bytes came
}

// Small messages go into the Inbox, large ones into a file, and what is too
// large for that is refused.
func ExampleOptions_accept() {
	ctx := context.Background()
	file, err := os.CreateTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(file.Name())
	defer file.Close()

	const small, large = 1 << 10, 1 << 30
	c, peer := connectOverTCP(ctx, nil, &conn.Options{InboxBuffer: 1, Accept: func(size uint32) conn.Placement {
		switch {
		case size <= small:
			return conn.Placement{} // into the Inbox
		case size <= large:
			return conn.Placement{Writer: file, Done: func(moved int64, err error) {
				fmt.Println("into the file:", moved, "bytes,", err)
			}}
		}
		return conn.Placement{Refuse: true}
	}})

	for _, size := range []int{10, 100_000} {
		if err := c.Send(ctx, make([]byte, size)); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(c.SendFrom(ctx, file, large+1) != nil) // refused before a byte of it is read
	if err := c.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	for msg := range peer.Inbox() {
		fmt.Println("into the Inbox:", len(msg), "bytes")
	}
	// Output:
	// into the file: 100000 bytes, <nil>
	// true
	// into the Inbox: 10 bytes
}

// upside is a Transform that turns a message around. (Package transform has
// useful ones.)
type upside struct{}

func (upside) Encode(dst, src []byte) ([]byte, error) {
	for i := len(src) - 1; i >= 0; i-- {
		dst = append(dst, src[i])
	}
	return dst, nil
}

func (t upside) Decode(dst, src []byte, limit int) ([]byte, error) {
	if len(src) > limit {
		return nil, fmt.Errorf("%d bytes are over the limit of %d", len(src), limit)
	}
	return t.Encode(dst, src)
}

// Both ends need the same transforms, in the same order; each connection gets
// its own.
func ExampleOptions_transforms() {
	ctx := context.Background()
	opts := &conn.Options{InboxBuffer: 1, Transforms: func() []conn.Transform {
		return []conn.Transform{upside{}}
	}}
	c, peer := connectOverTCP(ctx, opts, opts)
	defer peer.Close()
	if err := c.Send(ctx, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	msg, err := peer.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", bytes.ToUpper(msg))
	if err := c.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// HELLO
}
