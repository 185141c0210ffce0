package hub

import (
	"context"
	"fmt"
	"slices"
)

// Broadcast queues body for every member but those in except, and returns for
// how many. Broadcasts are in the same order for all members. The same slice
// goes to all of them, uncopied, so it must not be changed afterwards.
//
// It does not wait for any member, unless the policy is Block: then it waits
// until there is room at those who are full, each in its turn and none for
// another, or until ctx ends: the error is ctx's cause then. What a policy
// drops is no error.
func (h *Hub) Broadcast(ctx context.Context, body []byte, except ...*Member) (int, error) {
	d := delivery{hub: h, body: body}
	h.mu.Lock()
	for _, m := range h.all {
		if !slices.Contains(except, m) {
			d.to(m)
		}
	}
	h.mu.Unlock()
	return d.finish(ctx)
}

// BroadcastWhere is Broadcast to those members that pick returns true for.
func (h *Hub) BroadcastWhere(ctx context.Context, body []byte, pick func(*Member) bool) (int, error) {
	var picked []*Member
	for m := range h.Members() {
		if pick(m) {
			picked = append(picked, m)
		}
	}
	d := delivery{hub: h, body: body}
	h.mu.Lock()
	for _, m := range picked {
		d.to(m) // which skips those who have left meanwhile
	}
	h.mu.Unlock()
	return d.finish(ctx)
}

// BroadcastRoom is Broadcast to the members in a room.
func (h *Hub) BroadcastRoom(ctx context.Context, room string, body []byte, except ...*Member) (int, error) {
	d := delivery{hub: h, body: body}
	h.mu.Lock()
	for m := range h.rooms[room] {
		if !slices.Contains(except, m) {
			d.to(m)
		}
	}
	h.mu.Unlock()
	return d.finish(ctx)
}

// Send queues body for one member. It waits as Broadcast does. The error
// matches [ErrNotMember], [ErrDropped], [ErrEvicted], or is ctx's cause.
func (h *Hub) Send(ctx context.Context, id ID, body []byte) error {
	d := delivery{hub: h, body: body}
	h.mu.Lock()
	m, ok := h.members[id]
	if ok {
		d.to(m)
	}
	h.mu.Unlock()
	n, err := d.finish(ctx)
	switch {
	case err != nil || n == 1:
		return err
	case d.last == evicted:
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.reason
	case d.last == dropped:
		return fmt.Errorf("hub: send to %s: %w", id, ErrDropped)
	}
	return fmt.Errorf("hub: send to %s: %w", id, ErrNotMember)
}

// delivery is one message on its way into the queues. It is filled with
// Hub.mu held.
type delivery struct {
	hub    *Hub
	body   []byte
	queued int
	last   outcome
	full   []*waiter // who has to be waited for
	told   []effect  // what the Observer is told once the lock is free

	first, latest *Member // who go into the run queue
	news          int     // how many these are
}

// outcome is what became of a message at one member.
type outcome uint8

const (
	gone    outcome = iota // the member is leaving
	queued                 // it waits for its turn, perhaps in the place of others
	dropped                // it was
	evicted                // it was, and the member is
	blocked                // there is no room for it yet
)

// effect is what a message did to a member's queue.
type effect struct {
	m                             *Member
	outcome                       outcome
	waiter                        *waiter // if blocked
	queuedMessages, queuedBytes   int     // more than before
	droppedMessages, droppedBytes int
}

func (d *delivery) to(m *Member) {
	e, news := m.offer(d.body)
	if news {
		d.add(m)
	}
	d.last = e.outcome
	switch e.outcome {
	case queued:
		d.queued++
	case blocked:
		d.full = append(d.full, e.waiter)
		return
	}
	if d.hub.opts.Observer != nil && e.outcome != gone {
		d.told = append(d.told, e)
	}
}

// add notes a member for the run queue.
func (d *delivery) add(m *Member) {
	if d.latest == nil {
		d.first = m
	} else {
		d.latest.next = m
	}
	d.latest = m
	d.news++
}

// finish has the senders send, tells the Observer, and waits where there was no room.
func (d *delivery) finish(ctx context.Context) (int, error) {
	if d.news > 0 {
		d.hub.senders.add(d.first, d.latest, d.news)
	}
	o := d.hub.opts.Observer
	for _, e := range d.told {
		if e.droppedMessages > 0 {
			o.dropped(e.m, e.droppedMessages, e.droppedBytes)
		}
		if e.outcome == evicted {
			o.evicted(e.m)
		}
		o.queued(e.m, e.queuedMessages, e.queuedBytes)
	}
	var err error
	for _, w := range d.full {
		switch w.wait(ctx) {
		case queued:
			d.queued++
		case dropped:
			err = fmt.Errorf("hub: waiting for room at %s: %w", w.m.id, context.Cause(ctx))
		}
	}
	return d.queued, err
}

// offer queues a message for m, or does what the policy says. It reports whether m
// has to go into the run queue now.
func (m *Member) offer(body []byte) (e effect, news bool) {
	o := &m.hub.opts
	m.mu.Lock()
	defer m.mu.Unlock()
	e = effect{m: m, outcome: queued}
	switch {
	case m.leaving:
		e.outcome = gone
		return e, false
	case len(m.line) == 0 && m.queue.fits(len(body), o):
	case o.Full == Block:
		e.outcome, e.waiter = blocked, &waiter{m: m, body: body, outcome: make(chan outcome, 1)}
		m.line = append(m.line, e.waiter)
		return e, false
	case o.Full == DropOldest:
		for !m.queue.fits(len(body), o) {
			e.droppedMessages++
			e.droppedBytes += len(m.queue.pop())
		}
	default:
		e.outcome, e.droppedMessages, e.droppedBytes = dropped, 1, len(body)
		m.count(MemberStats{Sent: 1, Dropped: 1})
		if o.Full == Evict {
			e.outcome = evicted
			m.stopQueueing()
			m.hub.totals.evicted.Add(1)
			m.end(&EvictedError{ID: m.id, Messages: m.queue.count(), Bytes: m.queue.bytes})
		}
		return e, false
	}
	m.queue.push(body)
	e.queuedMessages, e.queuedBytes = 1-e.droppedMessages, len(body)-e.droppedBytes
	m.count(MemberStats{Sent: 1, Dropped: uint64(e.droppedMessages)})
	if m.hungry {
		m.hungry = false
		return e, m.list()
	}
	return e, false
}
