package conn

import (
	"cmp"

	"github.com/tinyproto-go/tinyproto/wire"
)

// flush writes all that may be written now. mu is held on entry and on return,
// but not during the writes: whoever set writing is the one who writes, and
// looks at the state again before it stops, so a caller that finds writing set
// may leave its news there. Only the writer goroutine may wait for the
// transport. Any other caller writes what a socket takes at once, and leaves
// the rest to the writer.
func (c *Conn) flush(isWriter bool) {
	if c.streaming && c.end.state != over || c.writing && !(isWriter && c.handed) {
		return
	}
	c.writing, c.handed = true, false
	for c.end.state != over && !c.streaming {
		if len(c.out.rest) == 0 && !c.compose() {
			break
		}
		var err error
		if vectored || !isWriter || len(c.out.rest) < 2 { // several pieces are written together
			err = c.writeAtOnce()
		}
		if err == nil && len(c.out.rest) > 0 && c.end.state != over {
			if !isWriter {
				c.handed = true
				c.wakeWriter()
				return
			}
			err = c.writeWaiting()
		}
		c.written(err)
		if isWriter && c.emptied != nil {
			break // to tell the application, before the next write takes its time
		}
	}
	c.writing = false
	if !isWriter && c.emptied != nil {
		c.wakeWriter()
	}
	switch {
	case c.end.state == over:
		if !c.encoding {
			c.settle()
		}
		c.finish()
	case isWriter, c.streaming:
	case c.toEncode():
		c.wakeWriter()
	case c.end.state == draining:
		c.wakeWriter() // to end what is drained
	case c.outboxUsed && !c.current.active && (!c.fetching || c.queue.head != nil):
		c.wakeWriter() // to wait for the Outbox, or to let the Sends go
	}
}

// writeAtOnce writes of out what the transport takes without waiting. mu is
// held on entry and on return.
func (c *Conn) writeAtOnce() error {
	if c.try == nil {
		return nil
	}
	c.mu.Unlock()
	defer c.mu.Lock()
	for len(c.out.rest) > 0 {
		var n int
		var err error
		if vectored && len(c.out.rest) > 1 {
			n, err = c.try.writev(c.out.rest)
		} else {
			n, err = c.try.write(c.out.rest[0])
		}
		if n == 0 || err != nil {
			return err
		}
		c.out.wrote(n)
	}
	return nil
}

// compose puts into out what may be written next, in the order of R2: what is
// owed, and then our next offer (R7). It reports whether there is anything.
func (c *Conn) compose() bool {
	switch {
	case c.end.writeErr != nil:
		return false
	case c.pipe != nil:
		return !c.end.deaf && c.composePipelined()
	case c.end.deaf:
		return c.composeLast()
	}
	b := &c.out
	b.reset()
steps:
	for step := c.ledger.Next(c.verdict()); step != wire.Wait; step = c.ledger.Next(c.verdict()) {
		c.steps++
		switch step {
		case wire.WriteOK:
			b.signal(wire.OK)
			size, _ := c.ledger.Receiving()
			c.begin(size, 0)
			if size == 0 {
				b.completes = true
				break steps // no payload behind it, that might take its time
			}
		case wire.WriteConflict:
			b.signal(wire.Conflict)
			c.stats.Conflicts++
		case wire.WriteTooLarge:
			b.signal(wire.TooLarge)
			c.stats.PeerRefused++
		case wire.WritePayload:
			c.finishing, c.current = c.current, outgoing{}
			if c.finishing.sent {
				c.finishing = outgoing{}
				c.note()
				continue
			}
			if c.finishing.streams() {
				return c.composed() // and nothing behind it
			}
			b.payload(c.finishing.payload())
		}
	}
	if c.ledger.MayOffer() && !c.end.peerEnded && c.pick() {
		c.steps++
		size := uint32(c.current.size())
		b.size(size)
		c.ledger.Offer(size)
	}
	return c.composed()
}

// composed readies out to be written. It reports whether there is anything to do.
func (c *Conn) composed() bool {
	b := &c.out
	if b.headLen+b.tailLen == 0 && !b.hasBody && !c.finishing.streams() {
		return false
	}
	b.answers = c.answers
	c.note()
	b.seal()
	return true
}

// composeLast puts the last byte into out: ERROR, where a violation calls for
// it and nothing else was on its way.
func (c *Conn) composeLast() bool {
	if !c.end.answerError {
		return false
	}
	c.end.answerError = false
	c.out.reset()
	c.out.signal(wire.Error)
	c.out.seal()
	return true
}

// written is the end of a write: of the batch, or of the connection. What is
// left of the batch then stays unwritten.
func (c *Conn) written(err error) {
	if c.pipe != nil {
		c.writtenPipelined(err)
		return
	}
	now := c.watch.now()
	c.watch.active = now
	if c.out.accepts {
		c.watch.read = now
		c.watch.look(c, now, c.opts.StallTimeout)
	}
	if c.out.offers {
		c.watch.offered = now
		c.watch.look(c, now, c.opts.AnswerTimeout)
	}
	begun := c.finishing.streams() && err == nil
	completes := c.out.completes && err == nil
	if c.finishing.active && c.out.bodyOut() {
		m := c.finishing
		c.finishing = outgoing{}
		c.sent(&m)
	}
	c.out.reset()
	if completes && c.end.state != over {
		c.completeEmpty()
	}
	switch {
	case c.end.state == over:
	case err != nil:
		c.writeFailed(err)
	case begun:
		c.streaming, c.finishing.send.begun = true, true
		c.finishing.send.turn <- struct{}{}
	default:
		c.served()
	}
}

// sent notes that a message is wholly written.
func (c *Conn) sent(m *outgoing) {
	c.stats.MessagesSent++
	c.stats.BytesSent += uint64(m.size())
	// The answer to an offer behind it may have overtaken the write's return.
	c.end.inDoubt = m.sent || c.answers == c.out.answers
	c.end.inDoubtSize = m.size()
	c.reclaim(m)
	c.report(m, nil)
}

// owing reports whether the peer accepted bytes that were not written.
func (c *Conn) owing() bool { return c.ledger.Owing() && !c.current.sent }

// served ends the connection if the peer has ended, and now has all that it accepted.
func (c *Conn) served() {
	if c.end.peerEnded && !c.owing() {
		c.terminate(cmp.Or(c.unfinished(), c.end.owed))
	}
}

// writeFailed is the end of what can be written. What the peer sent before it
// went can still be read, and says more about the reason.
func (c *Conn) writeFailed(err error) {
	if _, stalled := err.(*StallError); stalled {
		c.terminate(err)
		return
	}
	if c.end.peerEnded { // and the reader with it
		c.terminate(c.broken(err))
		return
	}
	c.end.writeErr = err
	c.stopTaking(nil)
	c.linger()
}

// proven notes that the peer answered an offer: so it has read all that was
// written before that.
func (c *Conn) proven() {
	c.answers++
	c.end.inDoubt = false
}
