package tinyproto

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tinyproto-go/tinyproto/conn"
)

// A Handler serves one connection, in a goroutine of its own. Its return ends
// the connection gracefully: what it has queued is flushed, what it has not
// received is dropped. An error it returns is the connection's from then on. A
// panic ends that connection alone.
//
// ctx ends with the server, or when the handler has returned. With the server, the
// connection flushes what is queued at that moment and ends, so a handler that ranges
// over the Inbox needs no case for it.
type Handler func(ctx context.Context, c *Conn) error

// Server accepts connections and hands them to a Handler. Its fields must not
// be changed while it serves. One Server may serve several times, at once too.
type Server struct {
	// Handler serves each connection. It must be set.
	Handler Handler

	// MaxConns is how many connections of one call of Serve may be open at
	// once; more are turned away with CONLIMIT. Connections that have not greeted
	// count. Zero means no limit.
	MaxConns int

	// MaxHellos is how many connections of one call of Serve may be greeting at
	// once, TLS handshakes included. With one more, the one that has been at it
	// for longest is ended, if that is 100 ms; until then, Serve accepts no other.
	// Zero means 1024, or 128 for each processor with TLS, or half of MaxConns if
	// that is less, but no less than 16; negative means no limit.
	MaxHellos int

	// MaxBuffered is how many bytes the messages that are arriving may take
	// together, on the connections of one call of Serve, for each what exceeds 64
	// KiB. Beyond it, the connection whose message arrives the slowest is ended,
	// with an error that matches ErrBudget: see [conn.Budget]. Zero means 1 GiB;
	// negative means no limit. It does not matter if Conn.Budget is set.
	MaxBuffered int64

	// Grace is how long the connections may take to flush what is queued, and
	// the handlers to return, after ctx has ended; and one connection after its
	// handler has returned. Then they are closed. Zero means 5 s; negative
	// means no time at all. It takes the place of Conn.Grace.
	Grace time.Duration

	// Conn are the options of the connections. Each client chooses the mode of
	// its own; with the Mode Classic those who ask for pipelined mode are refused.
	Conn Options

	// TLS is for addresses of the form "tls://host:port" of Listen and
	// ListenAndServe, which need it, and if it is set, for "host:port" as well;
	// "tcp://" and "unix://" are always plain. It must have Certificates,
	// GetCertificate or GetConfigForClient. It is copied, and never changed; in
	// the copy, empty NextProtos become [ALPN]. A client that offers other
	// protocols alone is refused, one that offers none at all is accepted. For
	// client certificates, set ClientAuth and ClientCAs: a Handler finds them in
	// [Conn.TLS].
	//
	// The handshake of a connection is part of its hello: Options.HelloTimeout
	// bounds both together, a peer that is silent in it holds up no other, and it
	// counts as a connection that has not greeted.
	TLS *tls.Config

	// Logger receives a handler's panic at level Error, failures to accept at
	// Warn, and all that peers cause at Debug. Nil means slog.Default.
	Logger *slog.Logger
}

// DefaultMaxBuffered is the default of Server.MaxBuffered, in bytes.
const DefaultMaxBuffered = 1 << 30

// PanicError is the error of a connection whose handler panicked, unless the
// connection had ended before.
type PanicError struct {
	Value any    // what was given to panic
	Stack []byte // of the goroutine that panicked
}

// Error returns the value, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("handler panicked: %v", e.Value) }

// ErrHandlers matches the error of a Serve that ended while handlers had not
// returned within the grace period: they go on with closed connections.
var ErrHandlers = errors.New("handlers did not return within the grace period")

// Serve accepts connections from all the listeners, and blocks until ctx ends
// or a listener fails. It then closes the listeners, ends the contexts of the
// handlers, lets the connections flush what is queued and the handlers return,
// within Grace, and closes what is left: all in all it may take 2 s longer than
// Grace, for connections whose peers do not end theirs. It returns nil if ctx
// ended and all handlers returned; [ErrHandlers] if some did not; otherwise the
// listener's error. Errors of connections do not end it.
//
// Plain listeners and those of TLS may be mixed. Whether there is TLS is up to
// the listener, made by [Server.Listen] or [tls.NewListener]; the field TLS does
// not matter here.
//
// When a listener has no resources (EMFILE), Serve ends the connections that
// have not greeted for 1 s, waits a little, longer each time up to 1 s, and tries
// again.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	run := &serving{Server: s, log: s.Logger, grace: s.Grace, greeting: newGreeting(s.maxHellos())}
	if run.log == nil {
		run.log = slog.Default()
	}
	if run.grace == 0 {
		run.grace = conn.DefaultGrace
	}
	opts := s.Conn
	opts.Grace = run.grace
	if opts.Mode == conn.Pipelined {
		opts.Mode = conn.Either // it is the client who asks
	}
	switch {
	case opts.Budget != nil || s.MaxBuffered < 0:
	case s.MaxBuffered == 0:
		opts.Budget = conn.NewBudget(DefaultMaxBuffered)
	default:
		opts.Budget = conn.NewBudget(s.MaxBuffered)
	}
	run.opts = opts.Shared()
	run.grace = max(run.grace, 0)
	if s.Handler == nil || len(listeners) == 0 {
		for _, l := range listeners {
			l.Close()
		}
		return errors.New("tinyproto: Serve needs a Handler and at least one listener")
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range listeners {
		g.Go(func() error { return run.accept(ctx, l) }) // ends with ctx, or when l fails
	}
	err := g.Wait()
	if !run.wait() {
		err = errors.Join(err, fmt.Errorf("tinyproto: %w: %d still run", ErrHandlers, run.handlers.Load()))
	}
	return err
}

// serving is one call of Serve.
type serving struct {
	*Server
	log   *slog.Logger
	opts  *conn.Options // shared
	grace time.Duration

	conns    sync.WaitGroup // goroutines of serve and refuse
	open     atomic.Int64   // connections, those that have not greeted included
	handlers atomic.Int64   // handlers that run
	refusals atomic.Int64   // connections being turned away
	greeting *greeting
}

// Bounds of accept's waits after a failure, and of the peers that are told
// that they are refused rather than just cut off.
const (
	minAcceptWait = 5 * time.Millisecond
	maxAcceptWait = time.Second
	maxRefusals   = 256
)

// accept accepts connections until ctx ends or the listener fails for good.
func (s *serving) accept(ctx context.Context, l net.Listener) error {
	closed := context.AfterFunc(ctx, func() { l.Close() })
	defer closed()
	defer l.Close()
	wait := minAcceptWait
	for {
		nc, err := l.Accept()
		if err == nil {
			wait = minAcceptWait
			s.start(ctx, nc)
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		if temporary, ok := err.(interface{ Temporary() bool }); !ok || !temporary.Temporary() {
			return fmt.Errorf("tinyproto: accept on %v: %w", l.Addr(), err)
		}
		s.log.Warn("tinyproto: accept failed, trying again", "addr", l.Addr(), "err", err, "wait", wait)
		s.greeting.evictAll(noFilesPatience)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, maxAcceptWait)
	}
}

// start serves a new connection, or turns it away.
func (s *serving) start(ctx context.Context, nc net.Conn) {
	if s.takeSlot() {
		hello := s.greeting.begin(ctx, nc) // in the order in which they come
		s.conns.Go(func() {                // ends with the handler, or within the hello timeout
			defer s.open.Add(-1)
			s.serve(ctx, hello, nc)
		})
		return
	}
	if s.refusals.Add(1) > maxRefusals {
		s.refusals.Add(-1)
		nc.Close()
		return
	}
	s.conns.Go(func() { // ends within about 1 s
		defer s.refusals.Add(-1)
		err := conn.Refuse(ctx, nc)
		s.log.Debug("tinyproto: connection limit reached, refused", "remote", nc.RemoteAddr(), "err", err)
	})
}

// takeSlot counts a connection, unless there are as many as there may be.
func (s *serving) takeSlot() bool {
	for {
		n := s.open.Load()
		if s.MaxConns > 0 && n >= int64(s.MaxConns) {
			return false
		}
		if s.open.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// serve is the life of one connection.
func (s *serving) serve(ctx context.Context, hello *greeter, nc net.Conn) {
	c, err := s.greet(ctx, hello)
	if err != nil {
		s.log.Debug("tinyproto: no hello", "remote", nc.RemoteAddr(), "err", err)
		return
	}
	s.handlers.Add(1)
	err = errHandlerExited
	defer func() { // also for a handler that panics, or calls runtime.Goexit
		s.handlers.Add(-1)
		if v := recover(); v != nil {
			p := &PanicError{Value: v, Stack: debug.Stack()}
			s.log.Error("tinyproto: handler panicked", "remote", c.RemoteAddr(), "panic", v, "stack", string(p.Stack))
			err = p
		}
		if err != nil {
			c.End(err)
		}
		s.end(c)
		s.log.Debug("tinyproto: connection ended", "remote", c.RemoteAddr(), "handler", err, "err", c.Err())
	}()
	handler := &handlerContext{server: ctx}
	defer handler.end()
	err = s.Handler(handler, c)
}

// errHandlerExited is the error of a connection whose handler called
// runtime.Goexit, as the FailNow of a test does.
var errHandlerExited = errors.New("handler exited its goroutine")

// end ends a connection whose handler has returned: nobody else takes what it
// has received.
func (s *serving) end(c *Conn) {
	left := func(n int) {
		if n > 0 {
			s.log.Debug("tinyproto: handler left messages", "remote", c.RemoteAddr(), "messages", n)
		}
	}
	select {
	case <-c.Ended():
		left(len(c.Inbox()))
		return
	default:
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), s.grace, conn.ErrGrace)
	defer cancel()
	dropped := make(chan int, 1)
	go func() { // ends with the connection, which Shutdown ends
		n := 0
		for range c.Inbox() {
			n++
		}
		dropped <- n
	}()
	c.Shutdown(ctx)
	left(<-dropped)
}

// wait waits for the connections to end, which their contexts make them do
// within the grace period, and for their handlers. It reports whether all did.
func (s *serving) wait() bool {
	done := make(chan struct{})
	go func() { // ends with the last handler: one that never returns keeps it
		s.conns.Wait()
		close(done)
	}()
	// A connection that has flushed waits for its peer's end of stream, for 1 s
	// and for the time that closing takes.
	timeout := time.NewTimer(s.grace + 2*time.Second)
	defer timeout.Stop()
	select {
	case <-done:
		return true
	case <-timeout.C:
		return false
	}
}
