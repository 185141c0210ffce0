package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/wire"
)

// kind is a way to serve a connection: it echoes messages until the connection
// ends, and between them is blocked where its description says.
type kind struct {
	name string
	does string
	echo func(ctx context.Context, nc net.Conn) error
}

var kinds = []kind{
	{"bare", "a goroutine blocked in Read", echoBare},
	{"receive", "conn.Conn, its handler blocked in Receive", echoReceive},
	{"range", "conn.Conn, its handler ranging over Inbox, Outbox used", echoRange},
}

// messageSize is small, so that what is measured are the connections.
const messageSize = 16

// echoBare is the protocol for messages of messageSize bytes, without a thought.
func echoBare(_ context.Context, nc net.Conn) error {
	buf := make([]byte, messageSize)
	if _, err := io.ReadFull(nc, buf[:1]); err != nil { // hello
		return err
	}
	if _, err := nc.Write(buf[:1]); err != nil {
		return err
	}
	for {
		if _, err := io.ReadFull(nc, buf[:wire.SizeLen]); err != nil {
			return err
		}
		buf[0] = byte(wire.OK)
		if _, err := nc.Write(buf[:1]); err != nil {
			return err
		}
		if _, err := io.ReadFull(nc, buf); err != nil {
			return err
		}
		if err := sendBare(nc, buf); err != nil {
			return err
		}
	}
}

// sendBare sends a message of messageSize bytes.
func sendBare(nc net.Conn, msg []byte) error {
	var head [wire.SizeLen]byte
	if _, err := nc.Write(wire.AppendSize(head[:0], messageSize)); err != nil {
		return err
	}
	if _, err := io.ReadFull(nc, head[:1]); err != nil {
		return err
	}
	if wire.Signal(head[0]) != wire.OK {
		return fmt.Errorf("answered %v", wire.Signal(head[0]))
	}
	_, err := nc.Write(msg)
	return err
}

func echoReceive(ctx context.Context, nc net.Conn) error {
	c, err := conn.New(ctx, nc, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		msg, err := c.Receive(ctx)
		if err != nil {
			return err
		}
		if err := c.Send(ctx, msg); err != nil {
			return err
		}
	}
}

func echoRange(ctx context.Context, nc net.Conn) error {
	c, err := conn.New(ctx, nc, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	for msg := range c.Inbox() {
		select {
		case c.Outbox() <- msg:
		case <-c.Done():
			return c.Err()
		}
	}
	return c.Err()
}

// usage is what a server process uses.
type usage struct {
	// Connections are being served.
	Connections int64
	// Heap and Stacks are in use, by the accounts of the runtime.
	Heap, Stacks int64
	// RSS is resident, by the accounts of the kernel; 0 where it does not say.
	RSS int64
}

// serve prints the address at which it serves connections of a kind, and then
// its usage for every line that it reads. It ends with its input: with the
// process that started it, at the latest.
func serve(name string, stdin io.Reader, stdout io.Writer) error {
	var k kind
	for _, candidate := range kinds {
		if candidate.name == name {
			k = candidate
		}
	}
	if k.echo == nil {
		return fmt.Errorf("no kind of connection is called %q", name)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var serving atomic.Int64
	failed := make(chan error, 1)
	go func() { // ends with the process
		for {
			nc, err := l.Accept()
			if err != nil {
				failed <- fmt.Errorf("accepting connection %d: %w", serving.Load()+1, err)
				return
			}
			serving.Add(1)
			go func() { // ends with the connection
				defer serving.Add(-1)
				defer nc.Close()
				k.echo(ctx, nc) // the client reports what goes wrong
			}()
		}
	}()
	lines := make(chan struct{})
	go func() { // ends with its input
		defer close(lines)
		for in := bufio.NewScanner(stdin); in.Scan(); {
			lines <- struct{}{}
		}
	}()
	fmt.Fprintln(stdout, l.Addr())
	for {
		select {
		case err := <-failed:
			return err
		case _, ok := <-lines:
			if !ok {
				return nil
			}
			u := currentUsage()
			u.Connections = serving.Load()
			if err := json.NewEncoder(stdout).Encode(u); err != nil {
				return err
			}
		}
	}
}

// collections is how many garbage collections it takes until memory in use is
// what is needed: pools let go of what they hold in the second, and each makes
// a stack only half as large as it was.
const collections = 4

func currentUsage() usage {
	for range collections {
		runtime.GC()
	}
	debug.FreeOSMemory() // else RSS is what was in use at the worst moment
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{Heap: int64(m.HeapInuse), Stacks: int64(m.StackInuse), RSS: residentSize()}
}

// residentSize returns 0 where the kernel does not say, or not in this way.
func residentSize() int64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(statm))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
