package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/internal/testcert"
)

// settings are those of the server that is attacked.
type settings struct {
	Address      string // to listen on
	MaxMessage   uint32
	MaxConns     int
	MaxHellos    int
	HelloTimeout time.Duration
	StallTimeout time.Duration
	PeerTimeout  time.Duration
	TLS          bool
}

// listening is what the server says first.
type listening struct{ Address string }

// What the first byte of a message asks the server for. Any other message it
// drops.
const (
	askEcho  = '?' // the same message
	askReply = '!' // a message of replySize bytes
)

const replySize = 1 << 20

// reply is one slice for all connections, so that what is measured is the
// library's memory.
var reply = make([]byte, replySize)

// serve is the Handler.
func serve(_ context.Context, c *tinyproto.Conn) error {
	for msg := range c.Inbox() {
		if len(msg) == 0 {
			continue
		}
		if msg[0] == askReply {
			msg = reply
		} else if msg[0] != askEcho {
			continue
		}
		select {
		case c.Outbox() <- msg:
		case <-c.Done():
		}
	}
	return c.Err()
}

// beServer serves until its input ends: with the process that started it, at
// the latest. A line of it asks for the usage.
func beServer(ctx context.Context, input string, stdin io.Reader, stdout io.Writer) error {
	var set settings
	if err := json.Unmarshal([]byte(input), &set); err != nil {
		return fmt.Errorf("settings %q: %w", input, err)
	}
	server := &tinyproto.Server{
		Handler:   serve,
		MaxConns:  set.MaxConns,
		MaxHellos: set.MaxHellos,
		Grace:     -1,
		Conn: tinyproto.Options{MaxMessage: set.MaxMessage, HelloTimeout: set.HelloTimeout,
			StallTimeout: set.StallTimeout, PeerTimeout: set.PeerTimeout},
	}
	if set.TLS {
		authority := testcert.New("attack")
		server.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Server("127.0.0.1")}}
	}
	l, err := server.Listen(ctx, set.Address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }() // ends with ctx
	if err := answer(stdin, stdout, l.Addr()); err != nil {
		return err
	}
	cancel()
	if err := <-served; err != nil && !errors.Is(err, tinyproto.ErrHandlers) {
		return err
	}
	return nil
}

// answer answers questions for the usage until stdin ends.
func answer(stdin io.Reader, stdout io.Writer, addr net.Addr) error {
	out := json.NewEncoder(stdout)
	if err := out.Encode(listening{addr.String()}); err != nil {
		return err
	}
	w := startWatch()
	defer w.stop()
	for in := bufio.NewScanner(stdin); in.Scan(); {
		var u usage
		switch in.Text() {
		case "now":
			u = currentUsage()
		case "collected":
			u = collectedUsage()
		case "peak": // since the last time, or the start
			u = w.take()
		default:
			return fmt.Errorf("unknown question %q", in.Text())
		}
		if err := out.Encode(u); err != nil {
			return err
		}
	}
	return nil
}
