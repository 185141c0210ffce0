package hub

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// Member is a connection in a hub. All its methods may be called concurrently,
// and none blocks.
type Member struct {
	hub    *Hub
	conn   *conn.Conn
	id     ID                      // immutable after Join
	ctx    context.Context         // ends when the member is ended at once
	cancel context.CancelCauseFunc // with the reason
	wake   chan struct{}           // cap 1: something is queued, or the member leaves
	over   chan struct{}           // closed when err is known
	done   chan struct{}           // closed when the member has left
	err    error                   // immutable once over is closed

	rooms map[string]struct{} // guarded by hub.mu

	mu      sync.Mutex
	queue   queue       // guarded by mu
	line    []*waiter   // guarded by mu: who waits for room in the queue, in turn
	sending bool        // guarded by mu: a message was taken off the queue and is being sent
	leaving bool        // guarded by mu: nothing more is queued
	ended   bool        // guarded by mu: the connection has ended
	grace   *time.Timer // guarded by mu; bounds leaving
	cause   error       // guarded by mu: why the hub ended the connection, nil if it ended by itself
	stats   MemberStats // guarded by mu
}

// ID returns the member's name in the hub.
func (m *Member) ID() ID { return m.id }

// Conn returns the member's connection, for its addresses and counts. Only the
// hub may send to it, receive from it and end it.
func (m *Member) Conn() *conn.Conn { return m.conn }

// Done returns a channel that is closed when the member has left: its Left
// event has been handed on, and its goroutines are about to end.
func (m *Member) Done() <-chan struct{} { return m.done }

// Err returns why the member left, as its Left event does: nil as long as it
// has not, and if its connection ended cleanly.
func (m *Member) Err() error {
	select {
	case <-m.over:
		return m.err
	default:
		return nil
	}
}

// Leave ends the membership and the connection gracefully, within Options.Grace:
// what is queued is sent, and what has been received is handed on. If there is
// not time enough for that, the member's error matches [conn.ErrGrace]. Leave
// does not wait: Done does.
func (m *Member) Leave() { m.leave() }

// Close ends the membership and the connection at once, with a reason that
// becomes the member's error. It does not wait for that: Done does.
func (m *Member) Close(reason error) {
	if reason == nil {
		reason = conn.ErrClosed
	}
	m.mu.Lock()
	m.stopQueueing()
	m.mu.Unlock()
	m.cancel(reason)
}

// stopQueueing sends those away who wait for room, and whoever comes. mu is held.
func (m *Member) stopQueueing() {
	m.leaving = true
	for _, w := range m.line {
		w.outcome <- gone
	}
	m.line = nil
}

func (m *Member) leave() {
	m.mu.Lock()
	if m.grace == nil && !m.ended { // its connection may be ending already, but not in that time
		m.stopQueueing()
		m.grace = time.AfterFunc(m.hub.opts.Grace, m.cutOff)
	}
	m.mu.Unlock()
	signal(m.wake)
}

// cutOff ends a leaving member whose time is over.
func (m *Member) cutOff() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.queue.count > 0 || m.sending {
		m.cancel(errGrace)
	} else {
		m.cancel(errCut)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// attend is the member's life: it hands on what the connection receives, from
// the Joined event to the Left event.
func (m *Member) attend() {
	h := m.hub
	sent := make(chan struct{})
	go func() { // ends with the connection, or when the member leaves
		defer close(sent)
		m.send()
	}()
	h.opts.Observer.joined(m)
	h.emit(Event{Kind: Joined, Member: m})
	received := uint64(0)
	for msg := range m.conn.Inbox() {
		received++
		h.totals.received.Add(1)
		h.emit(Event{Kind: Message, Member: m, Body: msg})
	}
	<-sent
	m.conn.Close() // does nothing after its end, which this is
	m.mu.Lock()
	cause := m.cause
	m.mu.Unlock()
	switch {
	case cause == nil:
		m.err = m.conn.Err()
	case cause != errCut:
		m.err = cause
	case m.conn.Stats().MessagesReceived > received:
		m.err = errGrace // one was accepted, and could not be handed on in time
	}
	close(m.over)
	m.remove()
	h.opts.Logger.Debug("hub: member left", "id", m.id, "remote", m.conn.RemoteAddr(), "err", m.err)
	h.opts.Observer.left(m, m.err)
	h.emit(Event{Kind: Left, Member: m, Err: m.err})
	m.cancel(nil)
	close(m.done)
}

// emit hands an event to the program, and gives up only at the hub's end.
func (h *Hub) emit(e Event) {
	select {
	case h.events <- e: // also after the end, if somebody is there to take it
		return
	default:
	}
	select {
	case h.events <- e:
	case <-h.deaf:
		h.totals.unheard.Add(1)
	}
}

// remove takes the member off the hub.
func (m *Member) remove() {
	h := m.hub
	h.mu.Lock()
	delete(h.members, m.id)
	delete(h.all, m)
	for name := range m.rooms {
		m.exit(name)
	}
	h.mu.Unlock()
	h.totals.left.Add(1)
}

// stopSending counts what is still queued, and settles why the member leaves:
// what happens to it from here on is no reason.
func (m *Member) stopSending() {
	h := m.hub
	m.mu.Lock()
	m.stopQueueing()
	n, bytes := m.queue.count, m.queue.bytes
	m.stats.Undelivered += uint64(n)
	m.queue = queue{}
	m.cause = context.Cause(m.ctx)
	m.mu.Unlock()
	h.totals.undelivered.Add(uint64(n))
	h.opts.Observer.queued(m, -n, -bytes)
}

// send sends what is queued until the connection is over or the member leaves,
// and then ends the connection.
func (m *Member) send() {
	for {
		msg, ok := m.next()
		if !ok {
			break
		}
		err := m.conn.Send(m.ctx, msg)
		m.sent(msg, err)
		if err != nil && !errors.Is(err, conn.ErrTooLarge) {
			break
		}
	}
	select {
	case <-m.conn.Done(): // by itself, or for what Send has told; it may take its time to end
		m.stopSending()
		m.conn.Shutdown(m.ctx) // attend goes on receiving meanwhile
	default:
		if m.ctx.Err() == nil {
			m.conn.Shutdown(m.ctx)
		}
		m.stopSending()
	}
	m.mu.Lock()
	m.ended = true
	if m.grace != nil {
		m.grace.Stop()
	}
	m.mu.Unlock()
	if m.ctx.Err() != nil {
		m.conn.Close()
	}
}

// next returns the oldest message of the queue, and waits for one. It returns
// false when the member has left and its queue is empty, or has to end.
func (m *Member) next() ([]byte, bool) {
	for {
		m.mu.Lock()
		if m.queue.count > 0 && m.ctx.Err() == nil {
			msg := m.queue.pop()
			m.sending = true
			messages, bytes := m.admit()
			m.mu.Unlock()
			m.hub.opts.Observer.queued(m, messages-1, bytes-len(msg))
			return msg, true
		}
		leaving := m.leaving
		m.mu.Unlock()
		if leaving {
			return nil, false
		}
		select {
		case <-m.wake:
		case <-m.ctx.Done():
			return nil, false
		case <-m.conn.Done():
			return nil, false
		}
	}
}

// sent counts what became of a message.
func (m *Member) sent(msg []byte, err error) {
	h := m.hub
	refused := errors.Is(err, conn.ErrTooLarge)
	m.mu.Lock()
	m.sending = false
	switch {
	case err == nil:
		m.stats.Delivered++
		h.totals.delivered.Add(1)
	case refused:
		m.stats.Dropped++
		h.totals.dropped.Add(1)
	default:
		m.stats.Undelivered++
		h.totals.undelivered.Add(1)
	}
	m.mu.Unlock()
	if refused {
		h.opts.Observer.dropped(m, 1, len(msg))
	}
}
