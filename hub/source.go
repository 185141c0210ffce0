package hub

import (
	"errors"

	"github.com/tinyproto-go/tinyproto/conn"
)

// source is a member as its connection sees it. The connection is locked while it
// calls these methods.
type source Member

// Next takes the oldest message off the queue.
func (s *source) Next() ([]byte, bool) {
	m := (*Member)(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.queue.count() == 0 || m.reason != nil {
		m.hungry = true
		return nil, false
	}
	msg := m.queue.pop()
	m.inFlight++
	messages, bytes := m.admit()
	m.tell(untold{queued: messages - 1, queuedBytes: bytes - len(msg)})
	m.shutDown() // this was the last one, perhaps
	return msg, true
}

// Sent counts what became of a message.
func (s *source) Sent(msg []byte, err error) {
	m := (*Member)(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inFlight--
	switch {
	case err == nil:
		m.count(MemberStats{Delivered: 1})
	case errors.Is(err, conn.ErrTooLarge):
		m.count(MemberStats{Dropped: 1})
		m.tell(untold{dropped: 1, droppedBytes: len(msg)})
	default:
		m.count(MemberStats{Undelivered: 1})
	}
}

// count counts messages. mu is held.
func (m *Member) count(s MemberStats) {
	m.stats.Sent += s.Sent
	m.stats.Delivered += s.Delivered
	m.stats.Dropped += s.Dropped
	m.stats.Undelivered += s.Undelivered
	if m.removed { // which a message that was being transformed can outlast
		m.hub.totals.add(s)
	}
}

// untold is what the Observer has not been told of.
type untold struct {
	queued, queuedBytes   int
	dropped, droppedBytes int
}

// tell has a sender tell the Observer, without any lock. mu is held.
func (m *Member) tell(u untold) {
	if m.hub.opts.Observer == nil {
		return
	}
	m.untold.queued += u.queued
	m.untold.queuedBytes += u.queuedBytes
	m.untold.dropped += u.dropped
	m.untold.droppedBytes += u.droppedBytes
	if !m.served && m.list() {
		m.hub.senders.add(m, m, 1)
	}
}

// tellObserver tells the Observer what it has not been told.
func (m *Member) tellObserver() {
	o := m.hub.opts.Observer
	if o == nil {
		return
	}
	m.mu.Lock()
	u := m.untold
	m.untold, m.served = untold{}, false
	m.mu.Unlock()
	if u.dropped > 0 {
		o.dropped(m, u.dropped, u.droppedBytes)
	}
	o.queued(m, u.queued, u.queuedBytes)
}
