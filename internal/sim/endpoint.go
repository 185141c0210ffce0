package main

import (
	"context"
	"sync"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/hub"
)

// endpoint is one end of a connection, with what its application sent and
// received over it, and what was done to it.
type endpoint struct {
	w        *world
	plan     *endPlan
	name     string
	link     *link
	conn     *conn.Conn
	attached time.Time
	asks     bool     // for pipelined mode
	isServer bool     // a Server ends it when its handler returns
	opaque   bool     // what its application sends and receives is not recorded
	relayed  *relayed // guarded by w.mu; the relay that it belongs to
	member   *hub.Member

	cancel  context.CancelCauseFunc // of its context; nil if it has none of its own
	senders sync.WaitGroup
	arrival chan struct{} // cap 1: something was received, or settled

	mu       sync.Mutex // guards what follows
	sent     []*message
	done     int      // of these, settled
	took     [][]byte // from the Inbox, in order
	streamed [][]byte // by Writers, in order
	spoilt   int      // arrived, but for a Writer that failed
	accepts  int      // Placements with a Writer
	dones    int      // their Dones
	doneAt   time.Time
	goneAt   time.Time
	ended    struct{ ctx, closed, late, handler bool } // how it was ended by its own application
	noDrain  bool                                      // a Server takes what is left
	noticed  []error                                   // errors that its application saw
	endedBy  []finish                                  // what its application did to end it
	endedAt  time.Time                                 // when it did so first
}

// message is what became of a message, as far as its sender knows.
type message struct {
	body     []byte
	producer int
	way      way
	outcome  outcome
	err      error
}

type outcome string

const (
	pending  outcome = "in progress"
	sent     outcome = "sent"     // Send returned nil
	queued   outcome = "queued"   // the Outbox took it
	inDoubt  outcome = "in doubt" // Send returned ErrInDoubt
	failed   outcome = "failed"   // Send, or the way to the Outbox, did
	possible outcome = "possible" // whether it was sent at all is not known
)

// record notes a message that is about to be sent.
func (e *endpoint) record(body []byte, producer int, way way) *message {
	m := &message{body: body, producer: producer, way: way, outcome: pending}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sent = append(e.sent, m)
	return m
}

// settle notes what became of it.
func (e *endpoint) settle(m *message, o outcome, err error) {
	e.mu.Lock()
	m.outcome, m.err = o, err
	if err != nil {
		e.noticed = append(e.noticed, err)
	}
	e.done++
	e.mu.Unlock()
	e.w.logf("%s: %s of %s: %s, %v", e.name, m.way, lazy(m.body), o, err)
	e.arrived()
}

// settled returns of how many messages it is known what became of them.
func (e *endpoint) settled() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.done
}

// take notes a message that was received.
func (e *endpoint) take(body []byte, streamed bool) {
	bodies := [][]byte{body}
	if e.w.spoil != nil {
		bodies = e.w.spoil(e, body)
	}
	e.mu.Lock()
	if streamed {
		e.streamed = append(e.streamed, bodies...)
	} else {
		e.took = append(e.took, bodies...)
	}
	e.mu.Unlock()
	e.w.logf("%s: received %s", e.name, lazy(body))
	e.arrived()
}

func (e *endpoint) arrived() {
	select {
	case e.arrival <- struct{}{}:
	default:
	}
}

// arrivals returns how many messages have been received.
func (e *endpoint) arrivals() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.took) + len(e.streamed) + e.spoilt
}

// greeted returns the connection, nil as long as New has not returned it: what
// the reader calls may come before that.
func (e *endpoint) greeted() *conn.Conn {
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	return e.conn
}

func (e *endpoint) notice(err error) {
	if err != nil {
		e.mu.Lock()
		e.noticed = append(e.noticed, err)
		e.mu.Unlock()
	}
}

// lazy is a message that is described when the log is read.
type lazy []byte

func (l lazy) String() string { return describe(l) }

// peer returns the other end, nil if it never greeted.
func (e *endpoint) peer() *endpoint {
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	if e.link.dialer == e {
		return e.link.accepted
	}
	return e.link.dialer
}

// watch notes when the connection ends. Its goroutine ends then.
func (e *endpoint) watch() {
	e.w.all.Go(func() {
		<-e.conn.Done()
		e.mu.Lock()
		e.doneAt = time.Now()
		e.mu.Unlock()
		e.conn.Shutdown(context.Background()) // it has begun to end: this only waits
		e.mu.Lock()
		e.goneAt = time.Now()
		e.mu.Unlock()
		e.w.logf("%s: gone: %v", e.name, e.conn.Err())
	})
}

// newEndpoint returns an end that has no connection yet.
func (w *world) newEndpoint(p *endPlan) *endpoint {
	return &endpoint{w: w, plan: p, name: p.name, asks: p.options.pipelined, arrival: make(chan struct{}, 1)}
}

// bound checks that something took no longer than it may.
func (e *endpoint) bound(what string, since time.Time, limit time.Duration) {
	if took := time.Since(since); took > limit {
		e.w.violate("%s: %s took %v, expected at most %v", e.name, what, took, limit)
	}
}
