package conn

import (
	"fmt"
	"io"
	"time"

	"github.com/tinyproto-go/tinyproto/wire"
)

// read is the reader goroutine: it reads and parses until the stream is over
// or the transport is closed. It never waits for the application, nor for a
// write (R6): what it finds goes into the ledger and, where there is room,
// straight into the Inbox; what is to be written in turn it writes only as far
// as the socket takes it at once.
func (c *Conn) read() {
	c.mu.Lock()
	defer c.leave()
	for {
		c.parseKept()
		if c.end.state == over {
			return
		}
		into := c.kept[:]
		if c.ledger.PayloadNext() {
			into = c.partial.space()
		}
		c.mu.Unlock()
		n, err := c.nc.Read(into)
		c.mu.Lock()
		if n > 0 {
			c.stats.LastActivity = time.Now()
			c.watch.read = c.stats.LastActivity
		}
		switch {
		case c.end.state == over:
			return
		case c.end.deaf:
			// Our end of stream is out, or a violation was seen: only the peer's
			// end of stream matters now.
		case n > 0:
			c.parse(into[:n])
			c.flush(false)
		}
		if err != nil {
			c.readFailed(err)
			return
		}
	}
}

// parseKept parses what is kept as soon as the rules allow it, and waits for
// that: a peer that sent bytes before their time gets no further ones read.
func (c *Conn) parseKept() {
	for c.keptLen > 0 && c.end.state != over {
		steps := c.steps
		c.parseAtOnce()
		for c.keptLen > 0 && c.steps == steps && c.end.state != over && !c.end.deaf {
			c.noted.Wait()
		}
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
// whoever composes the OK to an empty message.
func (c *Conn) parse(p []byte) {
	for {
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
			if c.ledger.InsideItem() {
				c.watch.look(c, c.watch.read, c.opts.StallTimeout)
			}
			return
		case wire.Payload:
			c.partial.add(p[:n])
			if item.Last {
				c.deliver(c.partial.message())
			}
		case wire.Offer:
		case wire.Accepted:
			c.proven()
		case wire.Deferred:
			c.proven()
			c.stats.Conflicts++
		case wire.Refused:
			c.proven()
			c.refused(&TooLargeError{Size: len(c.current.body), Peer: true})
		}
		p = p[n:]
	}
}

// completeEmpty completes a message of 0 bytes whose OK is being composed, if it
// is due: no byte will come to wake the reader (R3).
func (c *Conn) completeEmpty() {
	if left, ok := c.ledger.Receiving(); ok && left == 0 && c.ledger.PayloadNext() {
		c.parse(nil)
	}
}

// deliver puts a message into the Inbox, or holds it until there is room: the
// writer waits for that, and no further offer is accepted meanwhile.
func (c *Conn) deliver(msg []byte) {
	c.stats.MessagesReceived++
	c.stats.BytesReceived += uint64(len(msg))
	select {
	case c.inbox <- msg:
	default:
		c.held, c.holding = msg, true
		c.wakeWriter()
	}
}

// verdict decides on the peer's offer: there is room while nothing is held.
func (c *Conn) verdict() wire.Verdict {
	size, ok := c.ledger.PeerOffer()
	switch {
	case !ok:
		return wire.Hold
	case size > c.opts.MaxMessage:
		return wire.Refuse
	case c.holding, c.end.peerEnded, c.end.state != open && c.drained():
		return wire.Hold
	}
	return wire.Accept
}

// readFailed is the end of what can be read.
func (c *Conn) readFailed(err error) {
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
	if c.end.writeErr == nil && (c.writing || c.ledger.Owing()) {
		// The peer has ended its side only, perhaps: what is on its way, and
		// what it accepted, is still written to it.
		c.end.peerEnded = true
		if c.ledger.Owing() {
			c.end.owed = fmt.Errorf("the peer ended its stream before the %d bytes that it had accepted were written: %w",
				len(c.current.body), io.ErrUnexpectedEOF)
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
		c.terminate(unfinished)
	}
}
