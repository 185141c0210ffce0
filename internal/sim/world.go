package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/tinytest"
)

// world is one run of a plan, inside a bubble.
type world struct {
	plan  *plan
	net   *tinytest.Network
	began time.Time
	ctx   context.Context // of everything
	end   context.CancelCauseFunc
	all   sync.WaitGroup // everything that the run started
	chat  *chat          // of a hub; else nil

	mu       sync.Mutex
	log      eventLog              // guarded by mu
	violated []string              // guarded by mu: what the checks found
	links    map[string]*link      // guarded by mu: by the address of the end that dialled
	order    []*link               // guarded by mu: the same
	netEnds  map[[2]string]*netEnd // guarded by mu: by addresses, local and remote
	refused  map[string]bool       // guarded by mu: names that a fault refused
	ready    chan struct{}         // closed when a gentle hub has all its members
	brought  map[fault]int         // guarded by mu: faults
	termless int                   // guarded by mu: ends that waited for terms in vain
	lasted   time.Duration         // set at the end

	// For tests of the checks: spoil changes what an end has received.
	spoil func(e *endpoint, body []byte) [][]byte
}

// link is a connection: the end that dialled, and the one that was accepted.
// Either is nil as long as its hello is not complete, or if it never was.
type link struct {
	name             string // the address of the end that dialled
	dialer, accepted *endpoint
}

// pipelined reports whether an end of it knows that both agreed to that.
func (l *link) pipelined() bool {
	return l.dialer != nil && l.dialer.conn.Stats().Pipelined || l.accepted != nil && l.accepted.conn.Stats().Pipelined
}

// Causes of the contexts that a run ends.
var (
	errLimit    = errors.New("sim: the time of the run is over")
	errServer   = errors.New("sim: the server's context ended")
	errFinish   = errors.New("sim: this end's context ended")
	errWithin   = errors.New("sim: the time for Shutdown is over")
	errPatience = errors.New("sim: the time for this Send is over")
	errStop     = errors.New("sim: the application receives no more")
	errHandler  = errors.New("sim: the handler's own error")
	errMember   = errors.New("sim: the program ends this member")
	errUpstream = errors.New("sim: the relay has no connection to the origin")
	errReader   = errors.New("sim: the Reader failed")
	errWriter   = errors.New("sim: the Writer failed")
	panicValue  = "sim: the handler panics"
)

func newWorld(p *plan) *world {
	w := &world{plan: p, began: time.Now(), links: map[string]*link{}, netEnds: map[[2]string]*netEnd{},
		refused: map[string]bool{}, brought: map[fault]int{}, ready: make(chan struct{})}
	w.ctx, w.end = context.WithCancelCause(context.Background())
	w.net = tinytest.NewNetwork(tinytest.Config{Seed: p.seed, Conditions: p.network, Trace: w.trace})
	return w
}

// run lets the plan happen, and checks what came of it.
func (w *world) run() {
	time.AfterFunc(w.plan.limit, func() { w.end(errLimit) })
	switch w.plan.topology {
	case pairTopology:
		w.runPair()
	case serverTopology:
		w.runServer()
	case hubTopology:
		w.runHub()
	case relayTopology:
		w.runRelay()
	}
	w.all.Go(w.weather) // ends with the last fault, or with everything
	for _, at := range w.plan.probes {
		time.Sleep(time.Until(w.began.Add(at)))
		synctest.Wait()
		w.checkMemory()
	}
	over := make(chan struct{})
	go func() { // ends when everything has
		w.all.Wait()
		close(over)
	}()
	select {
	case <-over:
	case <-time.After(time.Until(w.began.Add(w.plan.limit + patience))):
		w.violate("hang: %v after the end of everything this is still there:\n%s", patience, bubbleStacks())
		select {
		case <-over: // it was only late
		case <-time.After(time.Hour):
		}
		return
	}
	w.lasted = w.now()
	w.end(nil)
	w.awaitWriters()
	w.check()
}

// awaitWriters waits for those Writers that the end of their connection did not
// wait for.
func (w *world) awaitWriters() {
	for range 100 {
		busy := false
		for _, e := range w.endpoints() {
			e.mu.Lock()
			busy = busy || e.accepts != e.dones
			e.mu.Unlock()
		}
		if !busy {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// endpoints returns all ends that have greeted.
func (w *world) endpoints() (all []*endpoint) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.order {
		for _, e := range []*endpoint{l.dialer, l.accepted} {
			if e != nil {
				all = append(all, e)
			}
		}
	}
	return all
}

// patience is what may pass between the end of the context of everything and
// the end of everything: every Grace is shorter.
const patience = 30 * time.Second

// The names on the network, besides those of the clients.
const (
	serverName = "server"
	relayName  = "relay"
	originName = "origin"
)

// sleep waits, and reports whether ctx has not ended meanwhile.
func (w *world) sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// now is the time since the run began.
func (w *world) now() time.Duration { return time.Since(w.began) }

func (w *world) logf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log.add(w.now(), format, args...)
}

// violate notes what must not happen.
func (w *world) violate(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	what := fmt.Sprintf(format, args...)
	w.violated = append(w.violated, what)
	w.log.add(w.now(), "VIOLATION: %s", strings.SplitN(what, "\n", 2)[0])
}

// logger shows what the library logs.
func (w *world) logger() *slog.Logger { return slog.New(&libraryLog{w: w}) }

type libraryLog struct{ w *world }

func (l *libraryLog) Enabled(context.Context, slog.Level) bool { return true }
func (l *libraryLog) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *libraryLog) WithGroup(string) slog.Handler            { return l }

func (l *libraryLog) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	for a := range r.Attrs {
		if a.Key != "stack" {
			fmt.Fprintf(&b, " %v", a)
		}
	}
	l.w.logf("log: %s%s", r.Message, b.String())
	return nil
}

// attach makes a connection known, as one end of a link.
func (w *world) attach(e *endpoint, c *conn.Conn, accepted bool) {
	name := c.LocalAddr().String()
	if accepted {
		name = c.RemoteAddr().String()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	e.conn = c
	l := w.links[name]
	if l == nil {
		l = &link{name: name}
		w.links[name] = l
		w.order = append(w.order, l)
	}
	e.link, e.attached = l, time.Now()
	if accepted {
		l.accepted = e
	} else {
		l.dialer = e
	}
	w.log.add(w.now(), "%s: connected as %v to %v", e.name, c.LocalAddr(), c.RemoteAddr())
}
