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
	Delivered    uint64 // accepted by the member's peer, and written; in pipelined mode, answered
	Dropped      uint64 // by a policy, a caller's context, or refused by the peer as too large
	Undelivered  uint64 // queued, or being sent, when the member left; in pipelined mode some of these may have arrived

	QueuedMessages, QueuedBytes int // now
}

// totals are the counts that a hub keeps. Those of messages to members are the sums
// of those who have left: every delivery would wait for one that counted all.
type totals struct {
	joined, left, evicted, received, unheard atomic.Uint64
	sent, delivered, dropped, undelivered    atomic.Uint64
}

func (t *totals) add(s MemberStats) {
	t.sent.Add(s.Sent)
	t.delivered.Add(s.Delivered)
	t.dropped.Add(s.Dropped)
	t.undelivered.Add(s.Undelivered)
}

// Stats returns the counts so far.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := &h.totals
	s := Stats{
		Members: len(h.all),
		Joined:  t.joined.Load(), Left: t.left.Load(), Evicted: t.evicted.Load(),
		Received: t.received.Load(), Unheard: t.unheard.Load(),
		Sent: t.sent.Load(), Delivered: t.delivered.Load(), Dropped: t.dropped.Load(), Undelivered: t.undelivered.Load(),
	}
	for _, m := range h.all {
		c := m.Stats()
		s.Sent += c.Sent
		s.Delivered += c.Delivered
		s.Dropped += c.Dropped
		s.Undelivered += c.Undelivered
		s.QueuedMessages += c.QueuedMessages
		s.QueuedBytes += c.QueuedBytes
	}
	return s
}

// MemberStats are the counts of one member: see [Stats].
type MemberStats struct {
	Sent, Delivered, Dropped, Undelivered uint64

	QueuedMessages, QueuedBytes int  // now
	Sending                     bool // more were taken off the queue and are being sent: what is missing in the sum
}

// Stats returns the counts so far.
func (m *Member) Stats() MemberStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	s.QueuedMessages, s.QueuedBytes, s.Sending = m.queue.count(), m.queue.bytes, m.inFlight > 0
	return s
}
