// Package hub joins many connections: what the members send arrives in one
// stream of events, and what the program sends goes to all of them, to some or
// to one. A member that does not keep up delays nobody else: each has a bounded
// queue, and a policy for when it is full.
//
// The connections fetch what is queued themselves, as they can send it, so what is
// sent in bursts, or faster than it can be written, goes together in few writes. A
// few goroutines, no more than run at once, have them begin when they were idle:
// each member has one goroutine alone, which receives.
//
// A hub starts with New and ends with the context of Run. It knows nothing of
// how connections come about: Handler plugs it into a server, and a client may
// join the connections that it has dialled.
package hub

import (
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// ID names a member: 26 random letters and digits, different for each.
type ID string

// Hub is a set of connections. All its methods may be called concurrently, at
// any time, and none waits for a connection, but for those that say so.
type Hub struct {
	opts   Options       // immutable after New
	events chan Event    // sent to by the members' goroutines; closed by Run
	deaf   chan struct{} // closed when nobody may be waited for to take an event

	mu      sync.Mutex
	members map[ID]*Member                  // guarded by mu
	all     []*Member                       // guarded by mu: the same
	rooms   map[string]map[*Member]struct{} // guarded by mu; no room is empty
	closed  bool                            // guarded by mu: nobody may join
	running sync.WaitGroup                  // the members' goroutines; Add with mu held

	senders senders
	totals  totals
}

// New returns a hub without members. A nil opts stands for the defaults.
func New(opts *Options) *Hub {
	o := opts.resolved()
	h := &Hub{
		opts:    o,
		events:  make(chan Event, o.EventBuffer),
		deaf:    make(chan struct{}),
		members: map[ID]*Member{},
		rooms:   map[string]map[*Member]struct{}{},
	}
	h.senders.init()
	return h
}

// Run is the hub's life: it blocks until ctx ends, then lets the members
// receive what is queued for them, within Options.Grace, ends their
// connections, and returns when all are gone. A connection's own error never
// ends the hub. It returns nil, and must be called once.
//
// The connections should live longer than ctx, or what is queued when it ends
// is lost with them, which their Left events and Stats tell.
func (h *Hub) Run(ctx context.Context) error {
	<-ctx.Done()
	h.mu.Lock()
	h.closed = true
	for _, m := range h.members {
		m.leave()
	}
	h.mu.Unlock()
	// A program that takes no more events must not keep the members' ends, but
	// one that does has to see those that are cut off.
	deafen := time.AfterFunc(h.opts.Grace+endTime, func() { close(h.deaf) })
	h.running.Wait()
	h.senders.wait()
	if deafen.Stop() {
		close(h.deaf)
	}
	close(h.events)
	return nil
}

// endTime is what a connection may take to end when it has been closed, or
// when its peer does not end it.
const endTime = 2 * time.Second

// Events returns the stream of what happens. It is closed, once, when Run
// returns. While nobody receives from it, the members' messages wait, and in
// the end they themselves; what is sent to them does not. A program that takes
// no event for long after the end of Run's context (Grace and 2 s) may miss the
// rest: Stats.Unheard counts them.
func (h *Hub) Events() <-chan Event { return h.events }

// Join makes a connection a member and returns without waiting for anything.
// From here on the hub receives from it, sends to it, as its [conn.Source], and ends
// it; nobody else may, so it can join but once. If the hub has ended, the connection
// is closed, which waits for its goroutines, and the error matches [ErrClosed].
func (h *Hub) Join(c *conn.Conn) (*Member, error) {
	m := &Member{hub: h, conn: c, hungry: true, over: make(chan struct{}), done: make(chan struct{})}
	if err := c.Attend((*source)(m)); err != nil {
		return nil, fmt.Errorf("hub: can't join: %w", err)
	}
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		c.Close()
		return nil, fmt.Errorf("hub: %v can't join: %w", c.RemoteAddr(), ErrClosed)
	}
	for m.id = newID(); h.members[m.id] != nil; {
		m.id = newID()
	}
	h.members[m.id] = m
	m.place = len(h.all)
	h.all = append(h.all, m)
	h.totals.joined.Add(1)
	h.running.Go(m.attend) // ends when the connection has
	h.mu.Unlock()
	return m, nil
}

func newID() ID { return ID(rand.Text()) }

// Len returns the number of members.
func (h *Hub) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.members)
}

// Member returns the member with an ID, if there is one.
func (h *Hub) Member(id ID) (*Member, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := h.members[id]
	return m, ok
}

// Members iterates over those who are members when the range begins, in no
// particular order. The hub may be used, and may change, meanwhile.
func (h *Hub) Members() iter.Seq[*Member] {
	return func(yield func(*Member) bool) {
		h.mu.Lock()
		members := make([]*Member, 0, len(h.members))
		for _, m := range h.members {
			members = append(members, m)
		}
		h.mu.Unlock()
		for _, m := range members {
			if !yield(m) {
				return
			}
		}
	}
}

// Handler returns a handler of connections for a server, which makes each a
// member until it ends:
//
//	server := tinyproto.Server{Handler: hub.Handler(h)}
func Handler(h *Hub) func(context.Context, *conn.Conn) error {
	return func(_ context.Context, c *conn.Conn) error {
		m, err := h.Join(c)
		if err != nil {
			return err
		}
		<-m.Done()
		return m.Err()
	}
}
