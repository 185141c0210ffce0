package tinyproto_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// patience bounds what has to happen soon: only a failing test takes that long.
const patience = 20 * time.Second

// receive returns the next value of a channel, or fails the test.
func receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("still waiting after %v for %s", patience, what)
		panic("unreachable")
	}
}

// serving is a call of Serve.
type serving struct {
	cancel context.CancelCauseFunc
	result chan error
}

// serve calls Serve, and ends it when the test ends.
func serve(t testing.TB, s *tinyproto.Server, listeners ...net.Listener) *serving {
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	run := &serving{cancel, make(chan error, 1)}
	ended := make(chan struct{})
	go func() { // ends with ctx
		defer close(ended)
		run.result <- s.Serve(ctx, listeners...)
	}()
	t.Cleanup(func() {
		cancel(nil)
		receive(t, "the end of Serve", ended)
	})
	return run
}

// stop ends the context and returns what Serve returned.
func (run *serving) stop(t testing.TB) error {
	t.Helper()
	run.cancel(nil)
	return receive(t, "the return of Serve", run.result)
}

// listen announces on an address, and closes the listener when the test ends.
func listen(t testing.TB, address string) net.Listener {
	t.Helper()
	l, err := tinyproto.Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// dial connects, and closes the connection when the test ends.
func dial(t testing.TB, address string) *tinyproto.Conn {
	t.Helper()
	c, err := tinyproto.Dial(context.Background(), address, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// echo is a Handler that answers every message with itself.
func echo(_ context.Context, c *tinyproto.Conn) error {
	for msg := range c.Inbox() {
		select {
		case c.Outbox() <- msg:
		case <-c.Done():
		}
	}
	return c.Err()
}

// ask sends a message to an echo and expects it back.
func ask(t testing.TB, c *tinyproto.Conn, msg string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Send(ctx, []byte(msg)); err != nil {
		t.Fatal(err)
	}
	reply, err := c.Receive(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(msg, string(reply)); diff != "" {
		t.Errorf("reply (-sent +received):\n%s", diff)
	}
}

// rest receives until the connection ends, and returns what came and why it
// ended.
func rest(t testing.TB, c *tinyproto.Conn) ([]string, error) {
	t.Helper()
	var got []string
	late := time.After(patience)
	for {
		select {
		case msg, ok := <-c.Inbox():
			if !ok {
				receive(t, "Done of a connection whose Inbox is closed", c.Done())
				return got, c.Err()
			}
			got = append(got, string(msg))
		case <-late:
			t.Fatalf("the connection has not ended after %v", patience)
		}
	}
}

// rawHello exchanges the hellos over a connection that the test drives byte by
// byte from there on, as no peer of this project would.
func rawHello(t testing.TB, nc net.Conn) {
	t.Helper()
	written := make(chan error, 1)
	go func() { // ends when the server has read the byte, or closed
		_, err := nc.Write([]byte{0xff})
		written <- err
	}()
	hello := make([]byte, 1)
	if _, err := io.ReadFull(nc, hello); err != nil || hello[0] != 0xff {
		t.Fatalf("the server's hello is %x, error %v", hello, err)
	}
	if err := receive(t, "the server to read the hello", written); err != nil {
		t.Fatal(err)
	}
}

// memory is a listener without a network, for what a server does by the clock:
// its connections work in a synctest bubble.
type memory struct {
	accepts chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func newMemory() *memory {
	return &memory{accepts: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *memory) Accept() (net.Conn, error) {
	select {
	case nc := <-l.accepts:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memory) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *memory) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "memory"} }

// connect returns a peer's end of a new connection, once it has been accepted.
func (l *memory) connect(t testing.TB) net.Conn {
	t.Helper()
	peer, served := net.Pipe()
	t.Cleanup(func() { peer.Close() })
	select {
	case l.accepts <- served:
	case <-time.After(patience):
		t.Fatal("the connection was not accepted")
	}
	return peer
}

// record is what was logged, with its attributes as they were given.
type record struct {
	level   slog.Level
	message string
	attrs   map[string]any
}

// records keeps what is logged.
type records struct {
	mu  sync.Mutex
	all []record
}

func (r *records) logger() *slog.Logger                     { return slog.New(r) }
func (r *records) Enabled(context.Context, slog.Level) bool { return true }
func (r *records) WithAttrs([]slog.Attr) slog.Handler       { panic("nobody calls With") }
func (r *records) WithGroup(string) slog.Handler            { panic("nobody calls WithGroup") }

func (r *records) Handle(_ context.Context, logged slog.Record) error {
	rec := record{logged.Level, logged.Message, map[string]any{}}
	for a := range logged.Attrs {
		rec.attrs[a.Key] = a.Value.Any()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, rec)
	return nil
}

// at returns the records of one level.
func (r *records) at(level slog.Level) []record {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []record
	for _, rec := range r.all {
		if rec.level == level {
			found = append(found, rec)
		}
	}
	return found
}

// saying returns the records with one message.
func (r *records) saying(message string) []record {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []record
	for _, rec := range r.all {
		if rec.message == message {
			found = append(found, rec)
		}
	}
	return found
}
