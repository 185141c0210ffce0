package conn

import (
	"fmt"
	"io"
	"sync"

	"github.com/tinyproto-go/tinyproto/wire"
)

// readStep reads once and parses what came. It never waits for the application,
// nor for a write (R6): what it finds goes into the ledger and, where there is
// room, straight into the Inbox; what is to be written in turn it writes only as
// far as the socket takes it at once. It reports whether there may be more to
// read. mu is held on entry and on return, but not while it waits for the peer.
func (c *Conn) readStep() bool {
	if c.pipe == nil {
		c.parseKept()
		c.completeReading()
	}
	if c.end.state == over {
		return false
	}
	if c.pipe != nil {
		return c.readPipelined()
	}
	into := c.kept[:]
	left, _ := c.ledger.Receiving()
	payload := left > 0 && c.ledger.PayloadNext()
	switch {
	case payload && c.splices():
		if err := c.splice(); err != nil {
			c.readFailed(err)
			return false
		}
		return true
	case payload && c.into != nil, c.end.deaf:
		if c.buffer == nil {
			c.buffer = streamBuffers.Get().(*[streamBuffer]byte)
		}
		if into = c.buffer[:]; payload {
			into = c.buffer[:min(left, streamBuffer)]
		}
	default:
		giveBack(c.buffer)
		c.buffer = nil
		if payload {
			into = c.space()
		}
	}
	c.unlockToRead()
	n, err := c.nc.Read(into)
	err = c.lockRead(n, err)
	switch {
	case c.end.state == over:
		return false
	case c.end.deaf:
		// Our end of stream is out, or a violation was seen: only the peer's
		// end of stream matters now.
	case n > 0:
		c.parse(into[:n])
		c.flush(false)
	}
	if err != nil {
		c.readFailed(err)
	}
	return err == nil
}

// splice has the operating system move a piece of the message that arrives
// into its file.
func (c *Conn) splice() error {
	in := c.into
	left, _ := c.receiving()
	c.mu.Unlock()
	n, err := in.via.fill(left)
	c.mu.Lock()
	c.heard(n)
	switch {
	case c.end.state == over:
		return err
	case err == errNoSplice || c.end.deaf:
		in.via.close()
		in.via = nil
		return nil
	case n == 0:
		return err
	}
	var moved int
	via := in.via
	c.callReading(func() { moved, err = via.empty(n) })
	in.moved += int64(moved)
	if in.err = err; err != nil {
		in.via.close() // what follows is read and dropped
		in.via = nil
	}
	c.movedPast(uint32(n))
	c.watchPeer()
	c.flush(false)
	return nil
}

// watchPeer makes sure that a peer that stalls inside an item is noticed.
func (c *Conn) watchPeer() {
	if c.insideItem() {
		c.watch.look(c, c.watch.read, c.opts.StallTimeout)
	}
}

// parseKept parses what is kept as soon as the rules allow it, and waits for
// that: a peer that sent bytes before their time gets no further ones read.
func (c *Conn) parseKept() {
	for c.keptLen > 0 && c.end.state != over {
		steps := c.steps
		c.parseAtOnce()
		for c.keptLen > 0 && c.steps == steps && c.end.state != over && !c.end.deaf {
			c.awaitNote()
		}
	}
}

// awaitNote waits for what note tells: something was put on the wire, or is decided.
func (c *Conn) awaitNote() {
	if c.noted == nil {
		c.noted = sync.NewCond(&c.mu)
	}
	c.noted.Wait()
}

func (c *Conn) note() {
	if c.noted != nil {
		c.noted.Signal()
	}
}

// parseAtOnce parses of what is kept as much as the rules allow.
func (c *Conn) parseAtOnce() {
	n := c.keptLen
	c.keptLen = 0
	if n > 0 && !c.end.deaf {
		c.parse(c.kept[:n])
		c.flush(false)
	}
}

// parse takes p apart. It is called by the reader, and with an empty p by
// whoever has written the OK to an empty message.
func (c *Conn) parse(p []byte) {
	p = p[c.asks(p):]
	if c.end.deaf || c.end.state == over {
		return
	}
	if c.pipe != nil {
		c.parsePipelined(p)
		return
	}
	for {
		if len(p) == 0 && (c.writing && c.out.completes || c.end.writeErr != nil) && c.emptyDue() {
			return // the peer may never see our OK; if it was written, written completes it
		}
		item, n, err := c.ledger.Parse(p)
		if err != nil {
			c.violated(err)
			return
		}
		switch item.Kind {
		case wire.Incomplete:
			if len(p) > n {
				c.keptLen = copy(c.kept[:], p[n:])
			}
			c.watchPeer()
			return
		case wire.Payload:
			switch {
			case c.into != nil:
				c.stream(p[:n], item.Last)
			case item.Last:
				c.add(p[:n])
				c.deliver(c.completed())
			default:
				c.add(p[:n])
			}
		case wire.Offer:
			c.decide(item.Size)
		case wire.Accepted:
			c.proven()
			if c.current.size() == 0 { // no byte of it is to be written
				c.current.sent = true
				c.sent(&c.current)
			}
		case wire.Deferred:
			c.proven()
			c.stats.Conflicts++
		case wire.Refused:
			c.proven()
			c.refused(&TooLargeError{Size: c.current.size(), Peer: true})
		}
		if c.end.state == over { // it may have ended while the application was asked
			return
		}
		p = p[n:]
	}
}

// completeEmpty completes a message of 0 bytes whose OK is written, if it is
// due: no byte may come to wake the reader (R3). It would be too early while the
// peer may never see the OK, and send the message again to somebody else.
func (c *Conn) completeEmpty() {
	if c.emptyDue() {
		c.parse(nil)
		if c.blockedFor == nil {
			c.interruptReading() // a Receive, which sees none of this
		}
	}
}

func (c *Conn) emptyDue() bool {
	left, ok := c.ledger.Receiving()
	return ok && left == 0 && c.ledger.PayloadNext()
}

// deliver puts a message into the Inbox, or holds it until there is room: the
// writer waits for that, and no further offer is accepted meanwhile. What has to
// be decoded first is the writer's as well.
func (c *Conn) deliver(msg []byte) {
	c.count(uint32(len(msg)))
	if c.transforms != nil {
		c.held, c.holding, c.encoded = msg, true, true
		c.wakeWriter()
		return
	}
	select {
	case c.inbox <- msg:
	default:
		c.held, c.holding = msg, true
		c.offerHeld()
	}
}

// verdict decides on the peer's offer: there is room while nothing is held, and
// always for what is streamed.
func (c *Conn) verdict() wire.Verdict {
	size, ok := c.ledger.PeerOffer()
	switch {
	case !ok || c.deciding || c.undecided || c.settling:
		return wire.Hold
	case c.placement.Refuse, c.placement.Writer == nil && size > c.opts.MaxMessage:
		return wire.Refuse
	case c.end.peerEnded, c.end.state != open && c.drained():
		return wire.Hold
	case c.placement.Writer == nil && c.holding:
		return wire.Hold
	}
	return wire.Accept
}

// readFailed is the end of what can be read.
func (c *Conn) readFailed(err error) {
	if c.asked > 0 && c.pipe == nil && err == io.EOF && !c.end.deaf { // it began to ask, and no more
		_, _, violation := c.ledger.Parse([]byte{wire.PipelinedRequest[0]})
		c.terminate(violation)
		return
	}
	if err != io.EOF {
		err = c.broken(err)
		if c.end.deaf && !c.end.inDoubt && c.unfinished() == nil {
			err = nil // nothing depended on what the peer still had to say
		}
		c.terminate(err)
		return
	}
	if c.end.deaf {
		if c.end.lingering && c.end.failure == nil {
			c.end.inDoubt = false // it has read all, and ended too
		}
		c.terminate(nil)
		return
	}
	c.end.byPeer = true
	if c.pipe != nil {
		switch unfinished := c.unfinished(); {
		case unfinished == nil:
			c.terminate(nil)
		case c.end.writeErr != nil:
			c.terminate(c.broken(c.end.writeErr))
		default:
			c.terminate(fmt.Errorf("the peer ended the stream: %w", unfinished))
		}
		return
	}
	if c.end.writeErr == nil && (c.writing || c.streaming || c.owing()) {
		// The peer has ended its side only, perhaps: what is on its way, and
		// what it accepted, is still written to it.
		c.end.peerEnded = true
		if c.owing() {
			c.end.owed = fmt.Errorf("the peer ended its stream before the %d bytes that it had accepted were written: %w",
				c.current.size(), io.ErrUnexpectedEOF)
		}
		c.stopTaking(nil)
		c.flush(false)
		return
	}
	switch unfinished := c.unfinished(); {
	case unfinished == nil && c.end.inDoubt && c.try != nil && c.try.bounced() != nil:
		// It did not end gracefully: what was written last came back.
		c.terminate(fmt.Errorf("the peer ended before it read what it had accepted: %w", io.ErrUnexpectedEOF))
	case unfinished == nil:
		c.end.inDoubt = false
		c.terminate(nil)
	case c.end.writeErr != nil:
		c.terminate(c.broken(c.end.writeErr))
	default:
		c.terminate(fmt.Errorf("the peer ended the stream: %w", unfinished))
	}
}
