package conn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tinyproto-go/tinyproto/wire"
)

// lingerTime is how long we wait for the peer's end of stream after ours: a
// legacy peer may never send it (PROTOCOL.md section 6).
const lingerTime = time.Second

type endState uint8

const (
	open     endState = iota
	draining          // nothing more is taken; what is queued goes out, then our end of stream
	over              // the transport is closed
)

// ending is how far the end of a connection has come. It is guarded by Conn.mu.
type ending struct {
	state     endState
	cause     error // why this end wants to end: the context's cause, or ErrClosed
	failure   error // what broke
	byPeer    bool  // the peer ended its stream first
	abandoned bool  // what is held for the Inbox need not be taken any more

	quota       int   // messages that may still be taken from the Outbox while draining
	deaf        bool  // what still arrives is of no interest
	lingering   bool  // our end of stream is out
	answerError bool  // ERROR is to be written
	peerEnded   bool  // the peer ended, and something is on its way to it or owed
	owed        error // what to make of that, once it is written
	writeErr    error // the transport takes nothing more

	unsent      [][]byte
	refusals    int
	inDoubt     bool // nothing proves that the last message written was read
	inDoubtSize int64
	finished    bool
	logged      bool
}

// Shutdown ends the connection gracefully: it sends what is queued (the
// Outbox's buffer, Sends in progress), waits for what was accepted to arrive
// and to be taken from the Inbox, ends the stream, and waits for the peer to
// end its own, for about 1 s at most. Messages that the peer offers
// meanwhile are accepted only as long as there is something to send.
//
// In pipelined mode it says BYE behind what is queued, and waits until all of that
// is answered, and until the peer has said BYE and all that it sent is taken from
// the Inbox. A peer of this library says it when its application ends the
// connection, or 1 s after it was handed the last message, the time that is left
// for replies. So nil means that all that was sent was handed to the peer's
// application.
//
// It blocks until all that is done and every goroutine of the connection has
// ended, or until ctx ends: then it ends the connection at once and returns an
// error with the cause of ctx. Otherwise it returns Err, which is nil after a
// clean end, however that came about. Someone has to go on receiving while it
// waits; whoever no longer wants what arrives calls Close instead.
func (c *Conn) Shutdown(ctx context.Context) error {
	c.mu.Lock()
	c.drain(nil)
	gone := c.ended()
	c.mu.Unlock()
	select {
	case <-gone:
	case <-ctx.Done():
		select {
		case <-gone:
		default:
			c.endNow(fmt.Errorf("shutdown not complete: %w", context.Cause(ctx)))
		}
	}
	return c.Err()
}

// Close ends the connection at once: what is queued or held is not sent or
// delivered any more, and what the peer has not read yet may be lost. It waits
// for the goroutines of the connection, and returns nil: Err and Unsent say
// what became of the connection and its messages. Closing again does nothing.
func (c *Conn) Close() error {
	c.endNow(ErrClosed)
	return nil
}

// endNow ends the connection without further ado and waits for its goroutines.
func (c *Conn) endNow(cause error) {
	c.mu.Lock()
	if c.end.state != over || c.holding {
		c.abandon(cause)
		c.terminate(nil)
	}
	c.end.abandoned = true
	c.finish()
	gone := c.ended()
	c.unlock()
	<-gone
}

// Ended returns a channel that is closed when the connection has ended: nothing more
// is sent or received, no goroutine of it is left, and Err is final, but for producers
// that go on. All that arrived was taken, is in the Inbox's buffer or was given up, by
// Close or with the context. Done closes earlier, when the end begins.
func (c *Conn) Ended() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended()
}

// ended is Ended. mu is held.
func (c *Conn) ended() <-chan struct{} {
	if c.gone == nil {
		c.gone = make(chan struct{})
		if c.end.finished {
			close(c.gone)
		}
	}
	return c.gone
}

// End ends the connection as the end of its context does, with cause in the place of
// the context's: what is queued at this moment is flushed within Options.Grace, and
// Err has cause in it, [ErrClosed] if that is nil. It does not block: Ended and
// Shutdown tell when the end is complete. It does nothing to a connection that has
// ended, or whose context has.
func (c *Conn) End(cause error) {
	if cause == nil {
		cause = ErrClosed
	}
	c.mu.Lock()
	defer c.unlock()
	c.interruptReading()
	switch {
	case c.end.state == over && !c.holding:
		c.end.abandoned = true
		c.finish()
	case c.end.state == over || c.opts.Grace == 0:
		c.abandon(cause)
		c.terminate(nil)
		c.finish()
	default:
		c.abandon(cause)
		if c.watch.ended == 0 {
			c.watch.ended = c.watch.now()
		}
		c.watch.look(c, c.watch.ended, c.opts.Grace)
		c.drain(cause)
	}
}

// abandon gives up what nobody may take any more, and says why.
func (c *Conn) abandon(cause error) {
	c.end.abandoned = true
	if c.end.cause == nil && c.end.failure == nil { // what broke it came first
		c.end.cause = own(cause)
	}
	c.recallDeliverer()
	if c.hasWriter {
		c.wakeWriter()
	}
}

// drain begins the graceful end.
func (c *Conn) drain(cause error) {
	if c.end.state == open {
		c.stopTaking(cause)
		c.wakeWriter()
		c.startReader()
	}
}

// stopTaking closes Done: from here on nothing more is taken to be sent.
func (c *Conn) stopTaking(cause error) {
	if c.end.state != open {
		return
	}
	c.end.state = draining
	if c.end.cause == nil {
		c.end.cause = own(cause)
	}
	if c.outboxUsed {
		c.end.quota = len(c.outbox)
	}
	if done, ok := c.done.Load().(chan struct{}); ok {
		close(done)
	}
}

// drained reports whether nothing is left to be sent.
func (c *Conn) drained() bool {
	return !c.finishing.active && (c.end.failure != nil ||
		!c.current.active && !c.next.active && !c.fetching && c.queue.head == nil && (!c.outboxUsed || c.end.quota == 0))
}

// halfClose ends our stream once everything queued is written and everything
// accepted has arrived (PROTOCOL.md section 6). It is the writer's: a
// transport may wait here.
func (c *Conn) halfClose() {
	if c.end.state != draining || c.end.lingering || c.end.peerEnded || c.end.writeErr != nil || c.writing {
		return
	}
	if c.pipe != nil {
		if !c.pipe.settled(c.end.abandoned, c.drained()) {
			c.awaitTerms()
			return
		}
	} else if _, receiving := c.ledger.Receiving(); c.end.answerError ||
		!c.end.deaf && (!c.drained() || receiving || c.ledger.Owing()) {
		return
	}
	c.end.deaf, c.end.lingering = true, true
	c.note()
	c.mu.Unlock()
	err := halfClose(c.nc)
	c.mu.Lock()
	if errors.Is(err, errors.ErrUnsupported) {
		c.terminate(nil)
		return
	}
	c.linger() // after another error too: the reader will learn more
}

// linger bounds how long we still listen.
func (c *Conn) linger() {
	c.watch.linger = c.watch.now()
	c.watch.look(c, c.watch.linger, lingerTime)
}

// violated ends the connection because the peer broke the protocol. Where the
// peer can understand it, it is told, and given time to read it.
func (c *Conn) violated(err error) {
	var v *wire.ProtocolError
	if errors.As(err, &v) && c.ledger.MayAnswerError() && !c.streaming &&
		(v.Violation == wire.OversizeOffer || v.Violation == wire.UnaskedAnswer) {
		c.end.failure, c.end.deaf, c.end.answerError = err, true, true
		c.drain(nil)
		return
	}
	c.terminate(err)
}

// terminate closes the transport: nothing more is read or written.
func (c *Conn) terminate(failure error) {
	if c.end.state == over {
		return
	}
	c.stopTaking(nil)
	c.answerNow()
	c.end.state = over
	if c.end.failure == nil {
		c.end.failure = failure
	}
	// The peer must not think that we have the rest of a message. Where there is
	// no reset, an end inside a size tells it, if it can still be told; with an offer
	// of ours open, so does an end inside that message.
	if _, receiving := c.receiving(); receiving && !c.offersOneByte() && !resetOnClose(c.nc) &&
		c.pipe == nil && c.try != nil && !c.writing && !c.streaming && !c.end.lingering && c.end.writeErr == nil {
		c.try.write([]byte{1}) // 0 could be taken for ERROR, the answer to an offer
	}
	closeNow(c.nc)
	c.watch.stop()
	c.note()
	switch {
	case c.reader != readerAway:
	case c.shared.Load():
		c.endReading()
	default:
		c.startReader() // which may have to call the application
	}
	c.recallDeliverer()
	if c.hasWriter {
		c.wakeWriter()
	}
	if c.handed { // to the writer, which has not gone on with it
		c.handed, c.writing = false, false
	}
	if !c.writing && !c.encoding {
		c.settle()
	}
	c.finish()
}

// answerNow writes what the transport takes at once of the answers that wait, perhaps
// for a reply: the application has these messages, and their sender is to know.
func (c *Conn) answerNow() {
	if c.mayAnswer() && c.try != nil {
		c.try.write(c.pipe.answers)
	}
}

// offersOneByte reports whether an offer of a message of one byte is open: one
// byte would be all of it.
func (c *Conn) offersOneByte() bool {
	state, ok := c.ledger.End().(*wire.IncompleteError)
	return ok && (state.Unanswered || state.Owed) && state.Offered == 1
}

// settle decides what became of the messages that were not sent: a Send is
// told, all others are listed. It runs when the connection is over and nothing
// is in progress that might still decide it, or that still reads them.
func (c *Conn) settle() {
	reason := c.closedReason()
	if c.pipe != nil {
		c.settlePipelined(reason)
	}
	for _, m := range [...]*outgoing{&c.finishing, &c.current, &c.next} {
		if m.active && m.streams() && m.send.moved == m.send.size {
			c.sent(m) // the end came before its sender could say so
			m.active = false
		}
		if !m.active || m.sent {
			*m = outgoing{}
			continue
		}
		err := c.notSent(m, reason)
		if size, offered := c.ledger.Offering(); m == &c.current && offered && size == 0 && !c.end.byPeer {
			// It is complete with the peer's OK, which may be on its way.
			err = fmt.Errorf("%w: %w", ErrInDoubt, err)
			if !c.end.inDoubt {
				c.end.inDoubt, c.end.inDoubtSize = true, 0
			}
		}
		if !c.report(m, err) {
			c.end.unsent = append(c.end.unsent, m.body)
		}
		*m = outgoing{}
	}
	for c.queue.head != nil {
		m := c.queue.pop()
		c.report(&m, c.notSent(&m, reason))
	}
	c.out.reset()
}

// leave is the end of a goroutine of the connection.
func (c *Conn) leave() {
	c.live--
	c.finish()
	c.unlock()
}

// finish closes the Inbox when the last goroutine has left. One that is in the
// application's code is not waited for once what is left to it was abandoned.
func (c *Conn) finish() {
	live := c.live
	if c.end.abandoned {
		live -= c.calling
	}
	if c.end.finished || c.end.state != over || live > 0 || c.writing || c.shared.Load() && c.holding && !c.end.abandoned {
		return
	}
	c.end.finished = true
	c.unlink()
	if c.pipe == nil || !c.pipe.inboxClosed {
		c.endInbox()
	}
	if c.gone != nil {
		close(c.gone)
	}
}

// unlock releases mu and logs the end, once, without holding it: a Logger may
// call back.
func (c *Conn) unlock() {
	log := c.end.finished && !c.end.logged
	c.end.logged = c.end.finished
	c.mu.Unlock()
	if log {
		c.opts.Logger.Debug("tinyproto: connection ended", "remote", c.nc.RemoteAddr(), "err", c.Err())
	}
}
