//go:build unix

package faults

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tinyproto-go/tinyproto"
)

// serverOrders are what a server is started with.
type serverOrders struct {
	Address      string        // "" is a port of this machine that is free
	MaxFiles     uint64        // RLIMIT_NOFILE; 0 leaves it
	HelloTimeout time.Duration // of the connections, as StallTimeout; 0 is the default
	StallTimeout time.Duration
	Grace        time.Duration // 0 means 1 s
}

// serverReport is what a server says of itself.
type serverReport struct {
	Address        string
	Open           int64            // connections that are being served
	Replied        int64            // requests
	Received       int64            // requests in pipelined mode
	Ends           map[string]int64 // connections that ended with an error, by its name
	Unnamed        []string         // errors without a name
	AcceptFailures int64
	ClockSteps     int64 // of a wall clock that has to jump
}

// tally counts errors by their names.
type tally struct {
	mu      sync.Mutex
	names   map[string]int64 // guarded by mu
	unnamed []string         // guarded by mu
}

func (c *tally) note(err error) {
	if name := nameOf(err); name != "" {
		c.add(name, err.Error())
	}
}

// add counts what has a name, or keeps the text of what has none.
func (c *tally) add(name, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.names == nil {
		c.names = map[string]int64{}
	}
	c.names[name]++
	if name == unnamed {
		c.unnamed = append(c.unnamed, text)
	}
}

func (c *tally) copy() (map[string]int64, []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := map[string]int64{}
	for name, n := range c.names {
		names[name] = n
	}
	return names, append([]string(nil), c.unnamed...)
}

// beServer serves until ctx ends.
func beServer(ctx context.Context, o serverOrders) (report func() any, wait func() error, err error) {
	if o.MaxFiles > 0 {
		var limit syscall.Rlimit
		set(&limit.Cur, o.MaxFiles)
		set(&limit.Max, o.MaxFiles)
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			return nil, nil, err
		}
	}
	l, err := listenAgain(cmp.Or(o.Address, "127.0.0.1:0"))
	if err != nil {
		return nil, nil, err
	}
	var open, replied, received, failures atomic.Int64
	var ends tally
	server := &tinyproto.Server{
		Grace:  cmp.Or(o.Grace, time.Second),
		Conn:   tinyproto.Options{HelloTimeout: o.HelloTimeout, StallTimeout: o.StallTimeout},
		Logger: slog.New(&acceptFailures{n: &failures}),
		Handler: func(_ context.Context, c *tinyproto.Conn) error {
			open.Add(1)
			defer open.Add(-1)
			for msg := range c.Inbox() {
				if c.Stats().Pipelined {
					received.Add(1)
				}
				select {
				case c.Outbox() <- msg:
					replied.Add(1)
				case <-c.Done():
				}
			}
			ends.note(c.Err())
			return c.Err()
		},
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }() // ends with ctx
	report = func() any {
		r := serverReport{Address: l.Addr().String(), Open: open.Load(), Replied: replied.Load(), Received: received.Load(),
			AcceptFailures: failures.Load(), ClockSteps: wallClock.steps()}
		r.Ends, r.Unnamed = ends.copy()
		return r
	}
	return report, func() error { return <-served }, nil
}

// set sets a limit, whose type depends on the system.
func set[T int64 | uint64](limit *T, n uint64) { *limit = T(n) }

// listenAgain listens where a server was killed a moment ago.
func listenAgain(address string) (net.Listener, error) {
	for late := time.Now().Add(patience); ; {
		l, err := net.Listen("tcp", address)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(late) {
			return l, err
		}
		<-time.After(time.Millisecond)
	}
}

// acceptFailures is a slog.Handler that counts warnings of failures to accept,
// and prints whatever else is worth a warning.
type acceptFailures struct{ n *atomic.Int64 }

func (a *acceptFailures) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}
func (a *acceptFailures) WithAttrs([]slog.Attr) slog.Handler { return a }
func (a *acceptFailures) WithGroup(string) slog.Handler      { return a }

func (a *acceptFailures) Handle(_ context.Context, r slog.Record) error {
	noFiles := false
	r.Attrs(func(attr slog.Attr) bool {
		err, ok := attr.Value.Any().(error)
		noFiles = ok && errors.Is(err, syscall.EMFILE)
		return !noFiles
	})
	if noFiles {
		a.n.Add(1)
		return nil
	}
	_, err := fmt.Fprintln(os.Stderr, r.Message)
	return err
}
