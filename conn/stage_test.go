package conn_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/wire"
)

// played is the peer's end of a connection, played by the test byte by byte.
type played struct {
	net.Conn
	t testing.TB
}

func (p played) says(b ...byte) {
	p.t.Helper()
	if _, err := p.Write(b); err != nil {
		p.t.Fatalf("the peer could not say %d bytes, % x ...: %v", len(b), b[:min(len(b), 16)], err)
	}
}

func (p played) hears(want ...byte) {
	p.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(p, got)
	if err == nil && bytes.Equal(got, want) {
		return
	}
	if diff := cmp.Diff(want, got[:n]); diff != "" {
		p.t.Fatalf("the peer heard (-want +got), then %v:\n%s", err, diff)
	}
}

// hearsMessage plays the receiver of one message.
func (p played) hearsMessage(want string) {
	p.t.Helper()
	p.hears(offerOf(len(want))...)
	p.says(ok)
	p.hears([]byte(want)...)
}

// saysMessage plays the sender of one message to a receiver that has room.
func (p played) saysMessage(msg string) {
	p.t.Helper()
	p.says(offerOf(len(msg))...)
	p.hears(ok)
	p.says([]byte(msg)...)
}

const (
	ok       = byte(wire.OK)
	conflict = byte(wire.Conflict)
	tooLarge = byte(wire.TooLarge)
)

func offerOf(size int) []byte { return wire.AppendSize(nil, uint32(size)) }

// greetPlayed makes a connection with a peer that the test plays.
func greetPlayed(t testing.TB, ctx context.Context, nc, peer net.Conn, opts *conn.Options) (*conn.Conn, played) {
	t.Helper()
	p := played{peer, t}
	said := make(chan error, 1)
	go func() { // ends with the hello
		_, err := p.Write([]byte{ok})
		said <- err
	}()
	heard := make(chan error, 1)
	go func() { // ends with the hello
		_, err := io.ReadFull(p, make([]byte, 1))
		heard <- err
	}()
	c, err := conn.New(ctx, nc, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-said, <-heard); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, p
}

// stuckAfter bounds the tests that run in real time.
const stuckAfter = time.Minute

// joinBounded is join for tests in real time: what hangs ends with an error.
func joinBounded(t testing.TB, x, y net.Conn, xOpts, yOpts *conn.Options) (a, b *conn.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(context.Background(), stuckAfter, errors.New("the test got stuck"))
	t.Cleanup(cancel)
	return joinContext(t, ctx, ctx, x, y, xOpts, yOpts)
}

// shutDown ends both ends gracefully, at once: in pipelined mode one alone has to
// wait for what the other one may still reply.
func shutDown(t testing.TB, ends ...*conn.Conn) {
	t.Helper()
	ended := make(chan error, len(ends))
	for _, c := range ends {
		go func() { ended <- c.Shutdown(t.Context()) }() // ends with the connection
	}
	for range ends {
		if err := <-ended; err != nil {
			t.Errorf("Shutdown returned %v", err)
		}
	}
}

// put sends to the Outbox, as long as the connection lives.
func put(c *conn.Conn, msg []byte) error {
	select {
	case c.Outbox() <- msg:
		return nil
	case <-c.Done():
		return conn.ErrClosed
	}
}

// stage is a connection on the way to its end, with a peer played by the test.
type stage struct {
	t      testing.TB
	c      *conn.Conn
	peer   played
	cancel context.CancelFunc
	ended  endRecorder
	sent   chan error // how the Send that is in progress ended, if there is one
}

func newStage(t testing.TB, nc, peer net.Conn, opts conn.Options) *stage {
	ctx, cancel := context.WithCancel(t.Context())
	s := &stage{t: t, cancel: cancel, ended: make(endRecorder, 2)}
	opts.Logger = slog.New(s.ended)
	s.c, s.peer = greetPlayed(t, ctx, nc, peer, &opts)
	return s
}

// send begins a Send that nothing but the end of the connection ends.
func (s *stage) send(msg string) {
	sent := make(chan error, 1)
	s.sent = sent
	go func() { sent <- s.c.Send(context.Background(), []byte(msg)) }() // ends with the connection
}

func (s *stage) queue(msgs ...string) {
	for _, m := range msgs {
		s.c.Outbox() <- []byte(m)
	}
}

// isDone reports whether Done is closed.
func (s *stage) isDone() bool {
	select {
	case <-s.c.Done():
		return true
	default:
		return false
	}
}

// received ranges over the Inbox, until it is closed.
func (s *stage) received() []string {
	var msgs []string
	for m := range s.c.Inbox() {
		msgs = append(msgs, string(m))
	}
	return msgs
}

func (s *stage) unsent() []string {
	var msgs []string
	for _, m := range s.c.Unsent() {
		msgs = append(msgs, string(m))
	}
	return msgs
}

// endRecorder is a slog.Handler that says when a connection has ended wholly,
// which otherwise only Shutdown and Close wait for, and they end it.
type endRecorder chan time.Time

func (r endRecorder) Enabled(context.Context, slog.Level) bool { return true }
func (r endRecorder) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r endRecorder) WithGroup(string) slog.Handler            { return r }
func (r endRecorder) Handle(context.Context, slog.Record) error {
	r <- time.Now()
	return nil
}

// traits lists what an error can be told by, of all that ends connections.
func traits(err error) []string {
	var found []string
	for _, trait := range []struct {
		name string
		is   error
	}{
		{"canceled", context.Canceled},
		{"deadline", context.DeadlineExceeded},
		{"closed", conn.ErrClosed},
		{"unsent", conn.ErrUnsent},
		{"in doubt", conn.ErrInDoubt},
		{"grace", conn.ErrGrace},
		{"too large", conn.ErrTooLarge},
		{"protocol", conn.ErrProtocol},
		{"refused", conn.ErrRefused},
		{"incomplete", io.ErrUnexpectedEOF},
		{"reset", syscall.ECONNRESET},
	} {
		if errors.Is(err, trait.is) {
			found = append(found, trait.name)
		}
	}
	var stall *conn.StallError
	if errors.As(err, &stall) {
		found = append(found, "stall")
	}
	return found
}
