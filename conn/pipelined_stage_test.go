package conn_test

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/wire"
)

const (
	ping = byte(wire.Ping)
	pong = byte(wire.Pong)
	bye  = byte(wire.Bye)
)

// request asks for pipelined mode.
var request = []byte(wire.PipelinedRequest)

// generous are terms that nothing here exhausts.
var generous = wire.Terms{MaxMessage: 16 << 20, WindowMessages: 100, WindowBytes: 16 << 20}

// termsOf are the terms that an end with these options grants.
func termsOf(o conn.Options) []byte {
	t := wire.Terms{MaxMessage: 16 << 20, WindowMessages: 4096, WindowBytes: 1 << 20}
	if o.MaxMessage > 0 {
		t.MaxMessage = min(o.MaxMessage, largestMessage)
	}
	if o.Accept != nil || o.HoldOffers {
		t.MaxMessage = wire.MaxSize // it may go to a Writer
	}
	if o.WindowMessages > 0 {
		t.WindowMessages = o.WindowMessages
	}
	if o.WindowBytes != 0 {
		t.WindowBytes = uint32(max(o.WindowBytes, 0))
	}
	return t.Append(nil)
}

// dataOf are messages as they go in pipelined mode.
func dataOf(msgs ...string) []byte {
	var p []byte
	for _, m := range msgs {
		p = append(wire.AppendSize(p, uint32(len(m))), m...)
	}
	return p
}

// times is an item that is said so many times.
func times(n int, b byte) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = b
	}
	return p
}

// sides are the two sides of an agreement on pipelined mode, by the Mode of the
// Conn. From then on there is no difference between them.
var sides = map[string]conn.Mode{"asking": conn.Pipelined, "asked": conn.Either}

// newPipelined is newStage in pipelined mode, with a peer that grants these
// terms. The Conn asks for it if its Mode is Pipelined; otherwise the peer does.
func newPipelined(t testing.TB, nc, peer net.Conn, opts conn.Options, theirs wire.Terms) *stage {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &stage{t: t, cancel: cancel, ended: make(endRecorder, 2), peer: played{peer, t}}
	opts.Logger = slog.New(s.ended)
	made := s.begin(ctx, nc, opts)
	if opts.Mode == conn.Pipelined {
		s.peer.hears(request...)
		s.peer.says(theirs.Append([]byte{ok})...)
		made()
		s.peer.hears(termsOf(opts)...)
	} else {
		made()
		s.peer.says(request...)
		s.peer.hears(append([]byte{ok}, termsOf(opts)...)...)
		s.peer.says(theirs.Append(nil)...)
	}
	return s
}

// begin begins to make the connection, up to the hellos. The function that it
// returns waits until it is made.
func (s *stage) begin(ctx context.Context, nc net.Conn, opts conn.Options) (made func()) {
	s.t.Helper()
	finish := begin(ctx, nc, &opts)
	s.peer.says(ok)
	s.peer.hears(ok)
	return func() {
		s.t.Helper()
		c, err := finish()
		if err != nil {
			s.t.Fatal(err)
		}
		s.c = c
		s.t.Cleanup(func() { c.Close() })
	}
}

// begin begins to make a connection. The function that it returns waits for that.
func begin(ctx context.Context, nc net.Conn, opts *conn.Options) (finish func() (*conn.Conn, error)) {
	type result struct {
		c   *conn.Conn
		err error
	}
	made := make(chan result, 1)
	go func() { // ends with the greeting
		c, err := conn.New(ctx, nc, opts)
		made <- result{c, err}
	}()
	return func() (*conn.Conn, error) {
		r := <-made
		return r.c, r.err
	}
}

// sends begins Sends, one after the other, and returns how each ends. It is for
// synctest.
func (s *stage) sends(msgs ...string) []chan error {
	var ends []chan error
	for _, m := range msgs {
		s.send(m)
		synctest.Wait()
		ends = append(ends, s.sent)
	}
	return ends
}
