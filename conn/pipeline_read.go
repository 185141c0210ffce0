package conn

import (
	"runtime"
	"slices"

	"github.com/tinyproto-go/tinyproto/wire"
)

// parsePipelined takes p apart, all of it. The reader calls it, or New.
func (c *Conn) parsePipelined(p []byte) {
	pl := c.pipe
	if len(p) > 0 && pl.silent() {
		c.terminate(&wire.ProtocolError{Violation: wire.EarlyItem, Seen: p[0]})
		return
	}
	if pl.Pipeline == nil {
		o := pl.opening
		n := copy(o.terms[o.have:], p)
		o.have += n
		p = p[n:]
		if o.have < wire.TermsLen {
			return
		}
		theirs, err := wire.ParseTerms(o.terms[:])
		if err != nil {
			c.terminate(err)
			return
		}
		pl.begin(theirs)
		c.watchSilence()
	}
	for c.end.state != over {
		item, n, err := pl.Parse(p)
		if err != nil {
			c.terminate(err)
			return
		}
		piece := p[:n]
		p = p[n:]
		switch item.Kind {
		case wire.Incomplete:
			pl.slab = slab{}
			c.watchPeer()
			return
		case wire.Data:
			c.arriving(item.Size, len(p))
		case wire.Payload:
			c.payload(piece, item.Last, len(p))
		case wire.Accepted:
			c.answered(nil)
		case wire.Refused:
			c.answered(&TooLargeError{Size: int64(item.Size), Peer: true})
		case wire.PingItem:
			pl.pong = true
		case wire.PongItem:
			c.watch.pinged = 0
		case wire.ByeItem:
			c.closeInbox()
		}
	}
}

// arriving begins to receive a message, of which and behind which there are more
// bytes at hand.
func (c *Conn) arriving(size uint32, more int) {
	c.decide(size)
	pl := c.pipe
	pl.size = size
	switch {
	case c.end.state == over:
	case c.placement.Refuse, c.placement.Writer == nil && size > c.opts.MaxMessage:
		c.placement = Placement{}
		pl.skipping = true
		c.stats.PeerRefused++
	case c.placement.Writer == nil && uint64(more) >= uint64(size):
		// It is copied once, as it comes.
	default:
		c.begin(size, more)
	}
}

// payload takes a piece of the message that is arriving, behind which there are
// more bytes at hand.
func (c *Conn) payload(piece []byte, last bool, more int) {
	pl := c.pipe
	switch {
	case pl.skipping:
		if last {
			pl.skipping = false
			c.arrive(arrived{answer: wire.TooLarge, done: true})
		}
	case c.into != nil:
		if c.into.size == 0 {
			c.streamed()
		} else {
			c.stream(piece, last)
		}
		if last {
			c.arrive(arrived{answer: wire.OK, done: true})
		}
	case c.partial.buf == nil:
		c.count(pl.size)
		c.arrive(arrived{msg: c.carve(piece, more), answer: wire.OK})
	default:
		c.add(piece)
		if last {
			c.count(pl.size)
			c.arrive(arrived{msg: c.completed(), answer: wire.OK})
		}
	}
}

// Messages up to slabMessage that came in one read are parts of one copy of it, of at
// most slabSize, and whoever keeps one keeps that. It is never reused.
const (
	slabMessage = 1 << 10
	slabSize    = 16 << 10
)

// slab is a copy of a part of a read.
type slab struct {
	bytes []byte
	left  int // how much of the read is not before it
}

// carve copies a message, behind which there are more bytes at hand.
func (c *Conn) carve(msg []byte, more int) []byte {
	n := len(msg)
	if n > slabMessage || n == 0 {
		return append([]byte{}, msg...)[:n:n]
	}
	s := &c.pipe.slab
	at := s.left - (n + more)
	if s.bytes == nil || at+n > len(s.bytes) {
		s.bytes, s.left, at = slices.Clone(msg[:min(n+more, slabSize)]), n+more, 0
	}
	return s.bytes[at : at+n : at+n]
}

// arrive hands a message over as soon as those before it are, and answers it then.
func (c *Conn) arrive(a arrived) {
	if c.holding || c.pipe.arrived.Len() > 0 {
		c.pipe.arrived.Push(a)
		return
	}
	c.handOver(a)
}

func (c *Conn) handOver(a arrived) {
	switch {
	case a.done:
		c.answer(a.answer)
	case c.end.abandoned:
		c.held, c.holding = a.msg, true // and nobody is told that it arrived
	case c.transforms != nil:
		c.held, c.holding, c.encoded = a.msg, true, true
		c.wakeWriter()
	default:
		select {
		case c.inbox <- a.msg:
			c.answer(wire.OK)
		default:
			c.held, c.holding, c.pipe.untold = a.msg, true, true
		}
		c.pipe.news = true
	}
}

// tell lets the application hear the news first: it may have something to say that
// answers can go with, and make room for what is held. mu is held on entry and on
// return.
func (c *Conn) tell() {
	if !c.pipe.news {
		return
	}
	c.pipe.news = false
	if c.end.state == open && c.reader == readerRuns { // else it is the application that reads
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
	}
	if c.holding && c.pipe.untold && !c.end.abandoned {
		select {
		case c.inbox <- c.held:
			c.held, c.holding = nil, false
			c.handedOver()
		default:
		}
	}
	if c.holding && c.pipe.untold { // this one, or the next
		c.offerHeld()
	}
}

// answer answers the oldest message of the peer's.
func (c *Conn) answer(s wire.Signal) {
	c.pipe.Answer()
	c.pipe.answers = append(c.pipe.answers, byte(s))
}

// handedOver is told when what was held was taken: the next ones follow.
func (c *Conn) handedOver() {
	pl := c.pipe
	if pl == nil {
		return
	}
	c.answer(wire.OK)
	for pl.arrived.Len() > 0 && !c.holding {
		c.handOver(pl.arrived.Pop())
	}
	c.closeInbox()
}

// closeInbox closes the Inbox if the peer has said BYE and all that it sent is
// handed over. What the application owes in reply it may then send for lingerTime
// more.
func (c *Conn) closeInbox() {
	pl := c.pipe
	if _, peerBye := pl.Byes(); !peerBye || c.holding || pl.arrived.Len() > 0 || pl.inboxClosed {
		return
	}
	pl.inboxClosed = true
	c.endInbox()
	c.watch.untaken = len(c.inbox) > 0
	c.replyTime()
	c.wakeWriter() // all may be said
}
