package conn

import (
	"context"
	"fmt"

	"github.com/tinyproto-go/tinyproto/wire"
)

// Send sends msg and returns when the peer has accepted it and it is written; in
// pipelined mode, when the peer's application has it. It blocks until then, or
// until ctx or the connection ends. Messages that were in the Outbox before go
// first, and concurrent Sends go in their order.
//
// That the peer accepted a message says that it had room for it, not that its
// application has seen it. In pipelined mode it was sent on the peer's Inbox:
// taken from it, if that has no buffer.
//
// The error matches [ErrTooLarge] if the peer refused the message, which the
// connection survives; [ErrClosed] if the connection is over and msg was not
// wholly written; or the cause of ctx: msg was not sent then, unless the error
// also matches [ErrInDoubt], which means that it was already on its way and
// may still arrive. In pipelined mode that may also be so of a message whose
// connection ended.
func (c *Conn) Send(ctx context.Context, msg []byte) error {
	s := c.newSending(msg)
	if err := c.enqueue(ctx, s); err != nil {
		c.recycle(s)
		return err
	}
	if c.shared.Load() || s.ready == nil {
		if err, ok := c.readUntilSent(ctx, s); ok {
			c.recycle(s)
			return err
		}
	}
	select {
	case <-s.ready:
		err := s.err
		c.recycle(s)
		return err
	case <-ctx.Done():
	}
	return c.cancelSend(ctx, s)
}

// readUntilSent reads the transport until s is decided on, and returns the decision
// and true. If its context ends first, or nobody but the reader goroutine may read,
// that is still to be waited for.
func (c *Conn) readUntilSent(ctx context.Context, s *sending) (error, bool) {
	if stop := c.interruptOn(ctx); stop != nil {
		defer stop()
	}
	c.mu.Lock()
	defer c.unlock()
	defer c.passOn()
	for !s.decided && c.shared.Load() && ctx.Err() == nil && c.reader != readerLeft {
		if c.reader == readerAway {
			c.readHere(s)
			continue
		}
		s.makeReady()
		turn := c.senders.join()
		c.mu.Unlock()
		select {
		case <-s.ready:
		case <-ctx.Done():
		case <-turn:
		}
		c.mu.Lock()
		c.senders.n--
	}
	s.makeReady()
	return s.err, s.decided
}

// enqueue gives s its turn, if it can be sent at all.
func (c *Conn) enqueue(ctx context.Context, s *sending) error {
	m := outgoing{body: s.msg, send: s}
	if ctx.Err() != nil {
		return c.notSent(&m, context.Cause(ctx))
	}
	if m.size() > wire.MaxSize {
		return c.notSent(&m, &TooLargeError{Size: m.size()})
	}
	c.mu.Lock()
	defer c.unlock()
	if c.end.state != open {
		return c.notSent(&m, c.closedReason())
	}
	c.replies()
	c.queue.push(s)
	if !c.shared.Load() {
		s.makeReady()
	}
	if s.streamingOut != nil {
		c.startReader() // its sender will not
	}
	if c.fetching {
		c.wakeWriter() // it may hold a message that goes first
	} else {
		c.queue.admit(c.outboxMark())
		c.flush(false)
	}
	return nil
}

// cancelSend ends a Send whose context ended.
func (c *Conn) cancelSend(ctx context.Context, s *sending) error {
	c.mu.Lock()
	defer c.unlock()
	if s.decided {
		err := s.err
		c.recycle(s)
		return err
	}
	err := c.notSent(&outgoing{body: s.msg, send: s}, context.Cause(ctx))
	if s.queued {
		c.dequeue(s)
		c.recycle(s)
		return err
	}
	if c.pipe != nil && c.current.send == s && !c.current.ready() && !c.encoding { // it waits for the window
		c.current = outgoing{}
		c.flush(false)
		c.recycle(s)
		return err
	}
	s.abandoned = true // its message is the connection's now
	return fmt.Errorf("%w: %w", ErrInDoubt, err)
}

// dequeue takes back a Send that has not had its turn.
func (c *Conn) dequeue(s *sending) {
	c.queue.remove(s)
	if c.end.state == draining {
		c.wakeWriter() // this may have been the last one to wait for
	}
}

// outboxMark counts the messages that were sent to the Outbox before now.
func (c *Conn) outboxMark() uint64 {
	if !c.outboxUsed {
		return 0
	}
	return c.taken + uint64(len(c.outbox))
}

// outgoing is a message on its way out.
type outgoing struct {
	active  bool
	sent    bool     // it is empty, and complete with the peer's OK
	fetched bool     // from the Source
	body    []byte   // as it was given to us
	send    *sending // nil for a message of the Outbox
	aside   *aside   // nil for most
}

// aside is what is to be known of some messages.
type aside struct {
	ready   bool // encoded is what goes out, as there are transforms
	encoded []byte
	refusal error // why it does not, in pipelined mode
}

// payload is what goes out.
func (m *outgoing) payload() []byte {
	if m.ready() {
		return m.aside.encoded
	}
	return m.body
}

// ready reports whether it was encoded.
func (m *outgoing) ready() bool { return m.aside != nil && m.aside.ready }

// refusal is why it does not go out; nil if it does.
func (m *outgoing) refusal() error {
	if m.aside != nil {
		return m.aside.refusal
	}
	return nil
}

// setRefusal notes why it does not go out.
func (m *outgoing) setRefusal(reason error) {
	if m.aside == nil {
		m.aside = new(aside)
	}
	m.aside.refusal = reason
}

// streams reports whether a SendFrom writes the payload itself.
func (m *outgoing) streams() bool {
	return m.send != nil && m.send.streamingOut != nil && m.send.size > 0
}

// size is what is offered.
func (m *outgoing) size() int64 {
	if m.streams() {
		return m.send.size
	}
	return int64(len(m.payload()))
}

// report tells a waiting Send, or the Source, how its message fared. It reports
// whether there was one.
func (c *Conn) report(m *outgoing, err error) bool {
	switch {
	case m.fetched:
		c.settleFetched(m, err)
	case m.send == nil || m.send.abandoned:
		return false
	default:
		m.send.decided, m.send.err = true, err
		if m.send.ready != nil {
			m.send.ready <- struct{}{}
		}
		if c.blockedFor == m.send {
			c.interruptReading()
		}
	}
	return true
}

// sending is a Send in progress.
type sending struct {
	msg   []byte
	ready chan struct{} // made with Conn.mu held, if somebody waits for it; cap 1: it is decided

	// Guarded by Conn.mu.
	decided    bool
	err        error  // also whoever received from ready may read it
	after      uint64 // how many messages of the Outbox go first
	queued     bool
	abandoned  bool
	prev, next *sending

	*streamingOut // of a SendFrom, else nil
}

// newSending reuses the last one that is through. A pool for all connections
// would carry channels from one synctest bubble into another.
func (c *Conn) newSending(msg []byte) *sending {
	s := c.spare.Swap(nil)
	if s == nil {
		s = &sending{}
	}
	s.msg = msg
	return s
}

// makeReady makes the channel to wait on. Conn.mu is held.
func (s *sending) makeReady() {
	if s.ready == nil && !s.decided {
		s.ready = make(chan struct{}, 1)
	}
}

func (c *Conn) recycle(s *sending) {
	s.msg, s.decided, s.err = nil, false, nil
	select {
	case <-s.ready:
	default:
	}
	c.spare.Store(s)
}

// pick makes the next message current, if there is one: what waits already,
// then what the Outbox has.
func (c *Conn) pick() bool {
	for !c.current.active {
		// Sends that never stop must leave room for the Outbox.
		outboxFirst := c.sendLast
		c.sendLast = false
		switch {
		case c.end.failure != nil:
			return false
		case c.next.active:
			c.current, c.next = c.next, outgoing{}
		case c.fetching: // the Outbox is empty, as far as we know
			if c.queue.head != nil || !c.fetch() {
				return false
			}
		case outboxFirst && c.receiveOutbox():
		case c.queue.ready(c.taken):
			c.current, c.sendLast = c.queue.pop(), true
		case c.receiveOutbox():
		case c.queue.head != nil:
			c.current, c.sendLast = c.queue.pop(), true
		case !c.fetch():
			return false
		}
		if n := c.current.size(); n > wire.MaxSize {
			c.refused(&TooLargeError{Size: n})
		}
	}
	return !c.toEncode()
}

// receiveOutbox takes a message that the Outbox has now, for whoever composes
// while the writer does not wait for one.
func (c *Conn) receiveOutbox() bool {
	if !c.outboxUsed || c.end.state != open && c.end.quota == 0 {
		return false
	}
	select {
	case msg, ok := <-c.outbox:
		if c.end.state != open {
			c.end.quota--
		}
		return c.take(&c.current, msg, ok)
	default:
		c.end.quota = 0
		return false
	}
}

// take notes what was received from the Outbox: a message, or that it is closed.
func (c *Conn) take(m *outgoing, msg []byte, ok bool) bool {
	if !ok {
		c.outboxUsed, c.end.quota = false, 0
		c.drain(nil)
		return false
	}
	c.taken++
	*m = outgoing{active: true, body: msg}
	return true
}

// refused is the fate of the current message: it is too large, for the peer or
// for the protocol, or can't be encoded.
func (c *Conn) refused(reason error) {
	m := c.current
	c.current = outgoing{}
	if m.fetched && c.pipe != nil && c.pipe.sent.Len() > 0 { // in their order
		m.setRefusal(reason)
		c.pipe.sent.Push(m)
		return
	}
	c.refuse(&m, reason)
}

// refuse is the fate of a message that does not arrive.
func (c *Conn) refuse(m *outgoing, reason error) {
	c.stats.Refused++
	c.reclaim(m)
	if c.report(m, c.notSent(m, reason)) {
		return
	}
	c.end.unsent = append(c.end.unsent, m.body)
	if m.send == nil && m.refusal() == nil {
		c.countRefusal(reason)
	}
}

// countRefusal ends the connection after a message of the Outbox too many that
// was refused.
func (c *Conn) countRefusal(reason error) {
	if c.end.refusals++; c.end.refusals > c.opts.MaxRefused {
		c.end.failure = reason
		c.drain(nil)
	}
}
