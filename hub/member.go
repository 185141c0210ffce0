package hub

import (
	"context"
	"sync"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// Member is a connection in a hub. All its methods may be called concurrently,
// and none blocks.
type Member struct {
	hub  *Hub
	conn *conn.Conn
	id   ID            // immutable after Join
	over chan struct{} // closed when err is known
	done chan struct{} // closed when the member has left
	err  error         // immutable once over is closed

	rooms map[string]struct{} // guarded by hub.mu
	place int                 // guarded by hub.mu: where hub.all has it, -1 if it does not

	// The connection's own lock may be held where mu is taken, and so nothing of
	// the connection is called with mu held.
	mu       sync.Mutex
	queue    queue       // guarded by mu
	line     []*waiter   // guarded by mu: who waits for room in the queue, in turn
	inFlight int         // guarded by mu: messages that the connection took off the queue, and whose fate is open
	hungry   bool        // guarded by mu: the connection found the queue empty, and has to be told when it is not
	leaving  bool        // guarded by mu: nothing more is queued
	down     bool        // guarded by mu: its Shutdown has begun
	reason   error       // guarded by mu: why the hub ends the connection at once, nil if it does not
	settled  bool        // guarded by mu: cause is known
	cause    error       // guarded by mu: the reason, if it came before the connection's end
	ended    bool        // guarded by mu: the connection has
	removed  bool        // guarded by mu: its counts are among those of the hub
	grace    *time.Timer // guarded by mu; bounds leaving
	stats    MemberStats // guarded by mu
	untold   untold      // guarded by mu
	listed   bool        // guarded by mu: it is in the run queue, or about to be
	served   bool        // guarded by mu: a sender is about to tell the Observer
	next     *Member     // in the run queue; guarded by senders.mu, or by whoever has it taken off

	endSeen bool // the connection's Done is closed, as attend knows, which owns this
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
	defer m.mu.Unlock()
	m.stopQueueing()
	m.end(reason)
}

// stopQueueing sends those away who wait for room, and whoever comes. mu is held.
func (m *Member) stopQueueing() {
	m.leaving = true
	for _, w := range m.line {
		w.outcome <- gone
	}
	m.line = nil
}

// end ends the connection at once. mu is held.
func (m *Member) end(reason error) {
	if m.reason == nil && !m.ended {
		m.reason = reason
		m.hub.running.Go(func() { m.conn.Close() }) // ends with the connection
	}
}

func (m *Member) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.grace == nil && !m.ended { // its connection may be ending already, but not in that time
		m.stopQueueing()
		m.grace = time.AfterFunc(m.hub.opts.Grace, m.cutOff)
		m.shutDown()
	}
}

// shutDown begins the graceful end of the connection of a member that leaves, once
// its queue is empty. mu is held.
func (m *Member) shutDown() {
	if !m.leaving || m.queue.count() > 0 || m.down || m.ended || m.reason != nil {
		return
	}
	m.down = true
	m.hub.running.Go(func() { // ends with the connection
		m.conn.Shutdown(context.Background()) // attend goes on receiving; end bounds it
		m.settle()
	})
}

// cutOff ends a leaving member whose time is over.
func (m *Member) cutOff() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.queue.count() > 0 || m.inFlight > 0 {
		m.end(errGrace)
	} else {
		m.end(errCut)
	}
}

// settle counts what is still queued, as it is not sent any more, and settles why
// the member leaves: what happens to it from here on is no reason.
func (m *Member) settle() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.settled {
		return
	}
	m.settled, m.cause = true, m.reason
	m.stopQueueing()
	n, bytes := m.queue.count(), m.queue.bytes
	m.queue.clear()
	m.count(MemberStats{Undelivered: uint64(n)})
	m.tell(untold{queued: -n, queuedBytes: -bytes})
}

// attend is the member's life: it hands on what the connection receives, from
// the Joined event to the Left event.
func (m *Member) attend() {
	m.join()
	m.part(m.receive()) // each has its own frame: most of the time there is only that of receive
}

func (m *Member) join() {
	m.hub.opts.Observer.joined(m)
	m.emit(Event{Kind: Joined, Member: m})
}

// part is the end of a member from which nothing more comes.
func (m *Member) part(received uint64) {
	h := m.hub
	m.awaitEnd()
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
	m.tellObserver()
	h.opts.Observer.left(m, m.err)
	m.emit(Event{Kind: Left, Member: m, Err: m.err})
	close(m.done)
}

// receive hands on the messages until no more come, and returns how many that were.
func (m *Member) receive() uint64 {
	received := uint64(0)
	inbox := m.conn.Inbox()
	for {
		select {
		case msg, ok := <-inbox:
			if !ok {
				return received
			}
			received++
			m.hub.totals.received.Add(1)
			m.emit(Event{Kind: Message, Member: m, Body: msg})
		case <-m.untilEnd():
			m.seeEnd()
		}
	}
}

// untilEnd returns the connection's Done, as long as it was not seen to be closed.
func (m *Member) untilEnd() <-chan struct{} {
	if m.endSeen {
		return nil
	}
	return m.conn.Done()
}

// seeEnd is told that the connection takes no more messages. Unless the hub has
// begun that end, it is known by now why it ends.
func (m *Member) seeEnd() {
	m.endSeen = true
	m.mu.Lock()
	down := m.down
	m.mu.Unlock()
	if !down {
		m.settle()
	}
}

// awaitEnd waits for the end of a connection from which nothing more comes. In
// pipelined mode it may still take messages from us for a little while.
func (m *Member) awaitEnd() {
	m.mu.Lock()
	m.stopQueueing()
	m.shutDown()
	m.mu.Unlock()
	if !m.endSeen {
		<-m.conn.Done()
		m.seeEnd()
	}
	m.conn.Shutdown(context.Background()) // only waits; end bounds it
	m.settle()
	m.mu.Lock()
	m.ended = true
	if m.grace != nil {
		m.grace.Stop()
	}
	m.mu.Unlock()
}

// emit hands an event to the program, and gives up only at the hub's end. If the
// connection ends meanwhile, that is seen at once: the program may be waiting for
// room in this member's queue, instead of taking events.
func (m *Member) emit(e Event) {
	h := m.hub
	select {
	case h.events <- e: // also after the end, if somebody is there to take it
		return
	default:
	}
	for {
		select {
		case h.events <- e:
			return
		case <-m.untilEnd():
			m.seeEnd()
		case <-h.deaf:
			h.totals.unheard.Add(1)
			return
		}
	}
}

// remove takes the member off the hub, and adds its counts to the hub's own.
func (m *Member) remove() {
	h := m.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.members, m.id)
	last := len(h.all) - 1
	h.all[m.place] = h.all[last]
	h.all[m.place].place = m.place
	h.all[last] = nil
	h.all = h.all[:last]
	m.place = -1
	for name := range m.rooms {
		m.exit(name)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removed = true
	h.totals.add(m.stats)
	h.totals.left.Add(1)
}
