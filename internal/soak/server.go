package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tinyproto-go/tinyproto"
)

// Limits of the server's connections.
const (
	inboxBuffer  = 4
	outboxBuffer = 4
	helloTimeout = 3 * time.Second
	stallTimeout = 5 * time.Second
	graceTime    = 3 * time.Second
)

// server is what runs in the server's process.
type server struct {
	number   int
	dir      string // for its socket and its files
	sabotage sabotage
	traffic  traffic
	hubs     map[string]*chat
	ending   atomic.Bool
	open     atomic.Int64   // connections whose account has not been reported
	settling sync.WaitGroup // those that wait for the end of their connection

	mu       sync.Mutex
	out      *bufio.Writer // guarded by mu
	reports  *json.Encoder // guarded by mu; into out
	counters counters      // guarded by mu
}

// serve is the server's process, from its first to its last word.
func serve(number int, dir string, s sabotage, stdin io.Reader, stdout io.Writer) error {
	srv := &server{number: number, dir: dir, sabotage: s, hubs: map[string]*chat{}}
	srv.counters.NoHello = map[string]uint64{}
	srv.out = bufio.NewWriterSize(stdout, 64<<10)
	srv.reports = json.NewEncoder(srv.out)
	return srv.run(stdin)
}

func (s *server) run(stdin io.Reader) error {
	listeners, err := s.listen()
	if err != nil {
		return err
	}
	serving, endServing := context.WithCancelCause(context.Background())
	defer endServing(nil)
	chatting, endChatting := context.WithCancelCause(context.Background())
	defer endChatting(nil)
	var chats errgroup.Group
	for name, policy := range policies {
		c := newChat(name, policy)
		s.hubs[name] = c
		chats.Go(func() error { return c.run(chatting) }) // ends with chatting
	}
	served := make(chan error, 1)
	srv := &tinyproto.Server{
		Handler: s.handle,
		Grace:   graceTime,
		Conn: tinyproto.Options{MaxMessage: maxMessage, InboxBuffer: inboxBuffer, OutboxBuffer: outboxBuffer,
			HelloTimeout: helloTimeout, StallTimeout: stallTimeout},
		Logger: slog.New(&observer{server: s}),
	}
	go func() { served <- srv.Serve(serving, listeners...) }() // ends with serving, or when a listener fails
	var ready []string
	for _, l := range listeners {
		ready = append(ready, l.Addr().Network()+"://"+l.Addr().String())
	}
	if err := s.say(report{Ready: ready}); err != nil {
		return err
	}
	controlled, stopControl := context.WithCancelCause(context.Background())
	defer stopControl(nil)
	go func() { // ends with the server
		err := <-served
		stopControl(cmp.Or(err, errors.New("it ended by itself")))
		served <- err
	}()
	if err := orders(controlled, stdin, s.say, s.usage); err != nil {
		return err
	}
	s.ending.Store(true)
	endChatting(errEnding) // first, so that what is queued for the members is flushed
	err = chats.Wait()
	endServing(errEnding)
	err = errors.Join(err, <-served)
	s.settling.Wait()
	u := s.usage(orderUsage)
	return errors.Join(err, s.say(report{Final: &u.Counters}))
}

// sourceAddresses is how many addresses of the loopback network are listened
// on, each of which has as many ports for its clients as one address has.
const sourceAddresses = 4

func (s *server) listen() ([]net.Listener, error) {
	ctx := context.Background()
	socket, err := tinyproto.Listen(ctx, "unix://"+filepath.Join(s.dir, fmt.Sprintf("%d.sock", s.number)))
	if err != nil {
		return nil, err
	}
	listeners := []net.Listener{socket}
	for i := range sourceAddresses {
		l, err := tinyproto.Listen(ctx, fmt.Sprintf("127.0.0.%d:0", i+1))
		if err != nil && i == 0 {
			return nil, err
		}
		if err == nil { // not every system has more than the first
			listeners = append(listeners, l)
		}
	}
	return listeners, nil
}

// say writes a report.
func (s *server) say(r report) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sayLocked(r)
}

func (s *server) sayLocked(r report) error {
	if err := s.reports.Encode(r); err != nil {
		return err
	}
	if r.Account != nil {
		return nil // one write for many: a usage is asked for often enough
	}
	return s.out.Flush()
}

// usage is asked for over the control connection.
func (s *server) usage(order string) serverUsage {
	var u usage
	open := s.open.Load()
	if order == orderCollect {
		u = collectedUsage(open)
	} else {
		u = currentUsage(open)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counters
	c.NoHello, c.Faults = maps.Clone(c.NoHello), slices.Clone(c.Faults)
	c.Hubs = s.hubStats()
	return serverUsage{u, c}
}

// handle is the server's handler.
func (s *server) handle(ctx context.Context, c *tinyproto.Conn) error {
	s.open.Add(1)
	g := &guest{endpoint: &endpoint{Conn: c, traffic: &s.traffic}, server: s}
	g.account.Room = inboxBuffer + 1
	returned := make(chan struct{})
	defer close(returned)
	s.settling.Add(1)
	// ctx ends when the connection has, or when the server does; what the
	// library counts is final when nothing of the connection is left.
	context.AfterFunc(ctx, func() {
		defer s.settling.Done()
		<-returned
		s.report(g)
	})
	return g.serve(ctx)
}

// report accounts for a connection that has ended, or is ending.
func (s *server) report(g *guest) {
	g.note(func(a *account) { a.Gaps = g.in.gaps })
	a := g.settle()
	a.Server = s.number
	a.Ending = s.ending.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &s.counters
	t.add(&a)
	if err := s.sayLocked(report{Account: &a}); err != nil {
		t.fault("an account can't be reported: " + err.Error())
	}
	s.open.Add(-1)
}

// maxFaults are reported: the others are only counted by their absence.
const maxFaults = 10

func (c *counters) fault(text string) {
	if len(c.Faults) < maxFaults {
		c.Faults = append(c.Faults, text)
	}
}

// observer is the server's log: it counts the connections that have no hello,
// and keeps what should not happen.
type observer struct{ server *server }

func (o *observer) Enabled(context.Context, slog.Level) bool { return true }
func (o *observer) WithAttrs([]slog.Attr) slog.Handler       { return o }
func (o *observer) WithGroup(string) slog.Handler            { return o }

// Handle counts a record.
func (o *observer) Handle(_ context.Context, r slog.Record) error {
	noHello := r.Message == "tinyproto: no hello"
	if !noHello && r.Level < slog.LevelWarn {
		return nil
	}
	var text string
	var cause error
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok && a.Key == "err" {
			cause = err
		}
		text += " " + a.String()
		return true
	})
	s := o.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if noHello {
		s.counters.NoHello[kindOf(cause)]++
		return nil
	}
	s.counters.fault(r.Message + text)
	return nil
}
