package conn

import (
	"fmt"

	"github.com/tinyproto-go/tinyproto/internal/ring"
	"github.com/tinyproto-go/tinyproto/wire"
)

// pipeline is what a connection has besides in pipelined mode (PROTOCOL.md
// section 8). It is guarded by Conn.mu.
type pipeline struct {
	*wire.Pipeline          // nil until the peer's terms have come
	opening        *opening // nil once both ends have granted their terms
	largest        uint32   // message that the peer takes
	most           uint32   // messages of ours that may be unanswered
	gaveUp         bool     // its terms are not waited for any more

	sent    ring.Ring[outgoing] // written, or being written, and not answered
	arrived ring.Ring[arrived]  // not handed over: the oldest one behind Conn.held
	answers []byte              // to be written
	ping    bool                // to be written
	pong    bool                // to be written

	size        uint32 // of the message that is arriving
	skipping    bool   // it is refused
	news        bool   // for the application, since this was cleared
	untold      bool   // the writer does not know of what is held
	slab        slab   // of the read that is being parsed
	inboxClosed bool
	replyDue    bool // Receive has returned a message, and nothing was sent since
	prompt      bool // the application replies at once
}

// opening is the exchange of the terms.
type opening struct {
	ours     wire.Terms
	greeting []byte // our terms, to be written
	terms    [wire.TermsLen]byte
	have     int // of terms, how much has come
}

// arrived is a message whose answer is not given.
type arrived struct {
	msg    []byte
	answer wire.Signal // OK, once msg is handed over; or what it is for a message that needs not be
	done   bool        // it needs not be handed over
}

// newPipeline returns that of a connection that begins with greeting and our terms.
func newPipeline(o *Options, greeting ...byte) *pipeline {
	most := o.MaxMessage
	if o.Accept != nil || o.HoldOffers {
		most = wire.MaxSize // Accept may place it
	}
	ours := wire.Terms{MaxMessage: most, WindowMessages: o.WindowMessages, WindowBytes: uint32(o.WindowBytes)}
	return &pipeline{opening: &opening{ours: ours, greeting: ours.Append(greeting)}}
}

// silent reports whether our terms are still to be written.
func (pl *pipeline) silent() bool { return pl.opening != nil && len(pl.opening.greeting) > 0 }

// begin begins with the peer's terms. Of its window we use no more than it has of
// ours: what is unanswered is kept, and a peer that never answers must not decide
// how much that is.
func (pl *pipeline) begin(theirs wire.Terms) {
	ours := pl.opening.ours
	pl.largest = theirs.MaxMessage
	theirs.WindowMessages = min(theirs.WindowMessages, ours.WindowMessages)
	theirs.WindowBytes = min(theirs.WindowBytes, ours.WindowBytes)
	pl.most = theirs.WindowMessages
	pl.Pipeline = wire.NewPipeline(ours, theirs)
	if !pl.silent() {
		pl.opening = nil
	}
}

// end is what the end of the stream means here.
func (pl *pipeline) end() error {
	if pl.Pipeline == nil {
		return &wire.IncompleteError{NoBye: true, NoPeerBye: true}
	}
	return pl.End()
}

// trim gives up memory that is not needed while nothing is sent.
func (pl *pipeline) trim() {
	pl.Trim()
	pl.sent.Trim()
	pl.arrived.Trim()
	if len(pl.answers) == 0 {
		pl.answers = nil
	}
}

// waiting reports whether messages of ours wait for their answer.
func (pl *pipeline) waiting() bool { return pl.Pipeline != nil && pl.Unanswered() > 0 }

// composePipelined puts into out what may be written next: answers, and then
// messages as long as there is room in it and in the peer's window. It reports
// whether there is anything.
func (c *Conn) composePipelined() bool {
	b, pl := &c.out, c.pipe
	b.reset()
	if pl.silent() {
		if c.holdOffers {
			return false // no message may come before SetAccept
		}
		b.add(pl.opening.greeting)
		if pl.opening.greeting = nil; pl.Pipeline != nil {
			pl.opening = nil
		}
		c.watch.read = c.watch.now()
		c.watchPeer()
	}
	if pl.Pipeline == nil {
		return b.sealAdded()
	}
	if pl.pong {
		b.addByte(byte(wire.Pong))
		pl.pong = false
		pl.Pong()
	}
	if pl.ping {
		b.addByte(byte(wire.Ping))
		pl.ping = false
		pl.Ping()
		b.pings = true
	}
	if n := min(len(pl.answers), b.room()); n > 0 {
		c.watch.deferred = 0
		b.add(pl.answers[:n])
		pl.answers = pl.answers[:copy(pl.answers, pl.answers[n:])]
	}
	for !b.full() && c.pick() && c.fits() {
		c.put()
	}
	if bye, _ := pl.Byes(); !bye && !b.full() && c.end.state != open && c.drained() {
		b.addByte(byte(wire.Bye))
		pl.Bye()
	}
	return b.sealAdded()
}

// fits reports whether the current message can be written now. One that the peer
// is known to refuse never is.
func (c *Conn) fits() bool {
	size := c.current.size()
	if size > int64(c.pipe.largest) {
		reason := &TooLargeError{Size: size, Peer: true}
		if c.current.send != nil || c.current.fetched || c.pipe.sent.Len() == 0 {
			c.refused(reason)
		} else { // in the order of the Outbox
			c.current.setRefusal(reason)
			c.pipe.sent.Push(c.current)
			c.current = outgoing{}
			c.countRefusal(reason) // now, which bounds how many wait
		}
		return c.pick() && c.fits()
	}
	return c.pipe.MaySend(uint32(size)) && c.out.fits(size)
}

// put puts the current message into out.
func (c *Conn) put() {
	m, pl := c.current, c.pipe
	c.current = outgoing{}
	size := uint32(m.size())
	pl.Send(size)
	pl.sent.Push(m)
	c.out.addSize(size)
	c.out.messages++
	if m.streams() {
		c.finishing = m // and nothing behind it
		c.out.closed = true
		return
	}
	c.out.addBody(m.payload())
}

// writtenPipelined is the end of a write.
func (c *Conn) writtenPipelined(err error) {
	now := c.watch.now()
	c.watch.active = now
	if c.out.pings {
		c.watch.pinged = now
		c.watch.look(c, now, c.opts.PeerTimeout/2)
	}
	begins := c.finishing.active
	if !begins {
		c.awaitAnswer(c.out.messages, now)
	}
	begun := begins && err == nil
	c.out.reset()
	switch {
	case c.end.state == over:
	case err != nil:
		c.writeFailed(err)
	case begun:
		c.streaming, c.finishing.send.begun = true, true
		c.finishing.send.turn <- struct{}{}
	}
}

// awaitAnswer notes that so many messages were written last, and nothing after
// them: the peer can answer the oldest of those without an answer.
func (c *Conn) awaitAnswer(written int, now instant) {
	if n := c.pipe.sent.Len(); n > 0 {
		if n <= written {
			c.watch.offered = now
		}
		c.watch.look(c, c.watch.offered, c.opts.AnswerTimeout)
	}
}

// awaitsAnswer reports whether a message is unanswered that is wholly written.
func (c *Conn) awaitsAnswer() bool {
	writing := 0
	if c.writing {
		writing = c.out.messages
	}
	if c.streaming {
		writing = 1
	}
	return c.pipe.sent.Len() > writing
}

// answered is the peer's answer to the oldest message of ours: nil for OK.
func (c *Conn) answered(refusal error) {
	m := c.pipe.sent.Pop()
	defer c.refuseOldest()
	c.watch.offered = c.watch.read
	if refusal != nil {
		c.refuse(&m, refusal)
		return
	}
	c.stats.MessagesSent++
	c.stats.BytesSent += uint64(m.size())
	c.reclaim(&m)
	if c.report(&m, nil) && !m.fetched {
		c.pipe.news = true
	}
}

// refuseOldest refuses those that are, once all before them are answered.
func (c *Conn) refuseOldest() {
	for sent := &c.pipe.sent; sent.Len() > 0 && sent.Front().refusal() != nil; {
		m := sent.Pop()
		c.refuse(&m, m.refusal())
	}
}

// settlePipelined decides what became of the messages without an answer: they may
// have arrived, and count as unsent.
func (c *Conn) settlePipelined(reason error) {
	c.finishing = outgoing{}
	for sent := &c.pipe.sent; sent.Len() > 0; {
		m := sent.Pop()
		if m.refusal() != nil {
			c.refuse(&m, m.refusal())
			continue
		}
		err := c.notSent(&m, reason)
		if !m.streams() || m.send.moved == m.send.size {
			err = fmt.Errorf("%w: %w", ErrInDoubt, err)
		}
		if !c.report(&m, err) && !m.streams() {
			c.end.unsent = append(c.end.unsent, m.body)
		}
	}
}

// settled reports whether all is said that has to be before the end of our stream.
// What the application no longer takes is left unanswered, so that the peer knows.
// Without terms there is no BYE.
func (pl *pipeline) settled(abandoned, drained bool) bool {
	if pl.Pipeline == nil || pl.silent() {
		return drained && (abandoned || pl.gaveUp || pl.silent())
	}
	bye, peerBye := pl.Byes()
	return bye && pl.Unanswered() == 0 && len(pl.answers) == 0 && (abandoned || peerBye && pl.Owed() == 0)
}

// insideItem reports whether the peer owes bytes that it must not hold back.
func (c *Conn) insideItem() bool {
	if c.pipe != nil {
		if c.pipe.Pipeline == nil {
			return !c.pipe.silent() // it owes its terms for ours
		}
		return c.pipe.InsideItem()
	}
	return c.asked > 0 || c.ledger.InsideItem()
}

// receiving reports whether a message is arriving, and how much of it is to come.
func (c *Conn) receiving() (left uint32, ok bool) {
	if c.pipe != nil {
		if c.pipe.Pipeline == nil {
			return 0, false
		}
		return c.pipe.Receiving()
	}
	return c.ledger.Receiving()
}

// movedPast notes that n bytes of a message that is streamed in were moved past
// this program.
func (c *Conn) movedPast(n uint32) {
	if c.pipe == nil {
		if c.ledger.Moved(n).Last {
			c.streamed()
		}
		return
	}
	if c.pipe.Moved(n).Last {
		c.streamed()
		c.arrive(arrived{answer: wire.OK, done: true})
	}
}
