package hub

import "sync/atomic"

// Stats are counts of a hub since New. When nothing is in flight,
//
//	Sent = Delivered + Dropped + Undelivered + QueuedMessages
type Stats struct {
	Members      int    // now
	Joined, Left uint64 // connections so far
	Evicted      uint64 // of those that left, or are about to
	Received     uint64 // messages of members
	Unheard      uint64 // events that nobody took before the hub's end; messages that connections still held are not even that
	Sent         uint64 // messages for a member: a broadcast to n members counts n
	Delivered    uint64 // accepted by the member's peer, and written
	Dropped      uint64 // by a policy, a caller's context, or refused by the peer as too large
	Undelivered  uint64 // queued, or being sent, when the member left

	QueuedMessages, QueuedBytes int // now
}

// totals are the counts that a hub keeps.
type totals struct {
	joined, left, evicted, received, unheard atomic.Uint64
	sent, delivered, dropped, undelivered    atomic.Uint64
}

// Stats returns the counts so far.
func (h *Hub) Stats() Stats {
	t := &h.totals
	s := Stats{
		Joined: t.joined.Load(), Left: t.left.Load(), Evicted: t.evicted.Load(),
		Received: t.received.Load(), Unheard: t.unheard.Load(),
		Sent: t.sent.Load(), Delivered: t.delivered.Load(), Dropped: t.dropped.Load(), Undelivered: t.undelivered.Load(),
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s.Members = len(h.all)
	for m := range h.all {
		m.mu.Lock()
		s.QueuedMessages += m.queue.count
		s.QueuedBytes += m.queue.bytes
		m.mu.Unlock()
	}
	return s
}

// MemberStats are the counts of one member: see [Stats].
type MemberStats struct {
	Sent, Delivered, Dropped, Undelivered uint64

	QueuedMessages, QueuedBytes int  // now
	Sending                     bool // one more was taken off the queue and is being sent
}

// Stats returns the counts so far.
func (m *Member) Stats() MemberStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	s.QueuedMessages, s.QueuedBytes, s.Sending = m.queue.count, m.queue.bytes, m.sending
	return s
}
