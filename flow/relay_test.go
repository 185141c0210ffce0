package flow_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/flow"
)

// connect joins two connections without a network.
func connect(t *testing.T, aOpts, bOpts *conn.Options) (a, b *conn.Conn) {
	t.Helper()
	x, y := net.Pipe()
	greeted := make(chan error, 1)
	go func() { // ends with the hello
		var err error
		a, err = conn.New(context.Background(), x, aOpts)
		greeted <- err
	}()
	b, err := conn.New(context.Background(), y, bOpts)
	if err := errors.Join(err, <-greeted); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// relay is a Forward between two connections, and both their peers.
type relay struct {
	source, from, to, sink *conn.Conn
	cancel                 context.CancelCauseFunc
	result                 chan error
}

// newRelay makes the connections, with one buffer for all Inboxes and Outboxes.
func newRelay(t *testing.T, buffer int) *relay {
	r := &relay{result: make(chan error, 1)}
	opts := &conn.Options{InboxBuffer: buffer, OutboxBuffer: buffer}
	r.source, r.from = connect(t, opts, opts)
	r.to, r.sink = connect(t, opts, opts)
	return r
}

// forward starts the Forward.
func (r *relay) forward() {
	ctx, cancel := context.WithCancelCause(context.Background())
	r.cancel = cancel
	go func() { r.result <- flow.Forward(ctx, r.from, r.to) }() // ends with ctx, from or to
}

// feed sends messages and ends source.
func (r *relay) feed(messages []string) {
	go func() { // ends with the messages, or with source
		for _, msg := range messages {
			select {
			case r.source.Outbox() <- []byte(msg):
			case <-r.source.Done():
				return
			}
		}
		r.source.Shutdown(context.Background())
	}()
}

// numbered returns n messages.
func numbered(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("message %d", i))
	}
	return all
}

// rest receives until c ends.
func rest(c *conn.Conn) []string {
	var got []string
	for msg := range c.Inbox() {
		got = append(got, string(msg))
	}
	return got
}

// held returns the message in a ForwardError, if err is one.
func held(err error) []string {
	if e, ok := errors.AsType[*flow.ForwardError](err); ok {
		return []string{string(e.Message)}
	}
	return nil
}

// texts makes messages readable.
func texts(messages [][]byte) []string {
	var all []string
	for _, msg := range messages {
		all = append(all, string(msg))
	}
	return all
}
