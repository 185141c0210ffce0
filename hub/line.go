package hub

import (
	"context"
	"slices"
)

// waiter is a message that waits for room in a member's queue. Its place in
// line was taken with Hub.mu held, which keeps broadcasts in order.
type waiter struct {
	m       *Member
	body    []byte
	outcome chan outcome // cap 1: queued or gone
}

// admit moves those at the head of the line into the queue who fit, and
// returns by how much it grew. It was full, so the connection will come for more by
// itself. mu is held.
func (m *Member) admit() (messages, bytes int) {
	for len(m.line) > 0 && m.queue.fits(len(m.line[0].body), &m.hub.opts) {
		w := m.line[0]
		m.line = slices.Delete(m.line, 0, 1)
		m.queue.push(w.body)
		m.count(MemberStats{Sent: 1})
		messages++
		bytes += len(w.body)
		w.outcome <- queued
	}
	return messages, bytes
}

// wait returns what became of the message: dropped, if ctx ended first.
func (w *waiter) wait(ctx context.Context) outcome {
	select {
	case o := <-w.outcome:
		return o
	case <-ctx.Done():
	}
	m := w.m
	m.mu.Lock()
	i := slices.Index(m.line, w)
	var messages, bytes int
	if i >= 0 {
		m.line = slices.Delete(m.line, i, i+1)
		m.count(MemberStats{Sent: 1, Dropped: 1})
		messages, bytes = m.admit() // those behind it may be smaller
	}
	m.mu.Unlock()
	if i < 0 {
		return <-w.outcome
	}
	m.hub.opts.Observer.dropped(m, 1, len(w.body))
	m.hub.opts.Observer.queued(m, messages, bytes)
	return dropped
}
