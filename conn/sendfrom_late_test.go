package conn_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/wire"
)

// lateWriter is a transport whose writer comes back from the system call that
// wrote the last of a payload only when the connection has been closed.
type lateWriter struct {
	net.Conn
	left         int // owned by the writer
	last, closed chan struct{}
	closing      sync.Once
}

func (w *lateWriter) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if w.left -= n; w.left == 0 {
		close(w.last)
		<-w.closed
	}
	return n, err
}

func (w *lateWriter) Close() error {
	defer w.closing.Do(func() { close(w.closed) })
	return w.Conn.Close()
}

func TestAStreamedMessageThatWasWhollyWrittenWasSent(t *testing.T) {
	eachMode(t, testAStreamedMessageThatWasWhollyWrittenWasSent)
}

func testAStreamedMessageThatWasWhollyWrittenWasSent(t *testing.T) {
	const size = 1000
	for name, end := range map[string]func(c *conn.Conn, cancel func()){
		"its context ended": func(_ *conn.Conn, cancel func()) { cancel() },
		"Close":             func(c *conn.Conn, _ func()) { c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			x, y := tcpPair(t)
			late := &lateWriter{Conn: x, left: 1 + 4 + size, last: make(chan struct{}), closed: make(chan struct{})}
			if inPipelined() {
				late.left += len(wire.PipelinedRequest) + wire.TermsLen
			}
			a, b := join(t, late, y, nil, nil)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			sent := make(chan error, 1)
			go func() { sent <- a.SendFrom(ctx, bytes.NewReader(make([]byte, size)), size) }() // ends with the connection
			<-late.last
			end(a, cancel)
			if msg := <-b.Inbox(); len(msg) != size {
				t.Fatalf("%d bytes arrived", len(msg))
			}
			err := <-sent
			if inPipelined() { // the peer did not come to say so
				if !errors.Is(err, conn.ErrInDoubt) || a.Stats().MessagesSent != 0 {
					t.Errorf("it arrived, but was not answered; %d messages were sent, and SendFrom returned %v", a.Stats().MessagesSent, err)
				}
				return
			}
			if err != nil || a.Stats().MessagesSent != 1 {
				t.Errorf("it arrived, but %d messages were sent, and SendFrom returned %v", a.Stats().MessagesSent, err)
			}
		})
	}
}
