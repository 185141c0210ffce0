package conn

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// streamingIn is a message that goes to a Writer as it arrives. It is guarded
// by Conn.mu.
type streamingIn struct {
	Placement
	size  uint32
	moved int64
	err   error     // the first of a Write: the rest is dropped
	via   *splicing // where the operating system copies
}

// streamBuffer is how much of a streamed message is in memory, at either end.
const streamBuffer = 64 << 10

var streamBuffers = sync.Pool{New: func() any { return new([streamBuffer]byte) }}

// giveBack gives back what was borrowed; nil is nothing.
func giveBack(buffer *[streamBuffer]byte) {
	if buffer != nil {
		streamBuffers.Put(buffer)
	}
}

// call runs code of the application that may take as long as it likes: whoever
// ends the connection need not wait for it, and may be it. It is for goroutines
// of the connection alone.
func (c *Conn) call(f func()) {
	c.calling++
	defer func() { c.calling-- }()
	c.finish()
	c.unlocked(f)
}

// unlocked runs code of the application. mu is held on entry and on return, but
// not meanwhile: the connection may end, and even be gone when it returns. It
// ends if f exits its goroutine.
func (c *Conn) unlocked(f func()) {
	returned := false
	defer func() {
		c.mu.Lock()
		if !returned {
			c.terminate(errExited)
		}
	}()
	c.unlock()
	f()
	returned = true
}

var errExited = errors.New("a callback of the application exited the connection's goroutine")

// callReading is call for the reader, which sees nothing of the peer meanwhile.
func (c *Conn) callReading(f func()) {
	c.watch.busy = true
	c.call(f)
	c.seeAgain()
}

// seeAgain has the peer's time begin anew: what it wrote may be there unread.
func (c *Conn) seeAgain() {
	c.watch.busy = false
	c.watch.read = c.watch.now()
	if c.pipe != nil {
		c.watch.look(c, c.watch.read, c.opts.PeerTimeout/2)
	}
	if _, offering := c.ledger.Offering(); offering || c.pipe != nil && c.pipe.waiting() {
		c.watch.offered = c.watch.read
		c.watch.look(c, c.watch.offered, c.opts.AnswerTimeout)
	}
}

// decide asks what becomes of the peer's offer. The reader calls it, or New.
func (c *Conn) decide(size uint32) {
	c.deciding, c.placement, c.placed = true, Placement{}, size
	c.offers++
	defer func() { c.deciding = false }()
	c.completeReading()
	if c.emptying || c.settling {
		c.watch.busy = true
		for (c.emptying || c.settling) && c.end.state != over {
			c.awaitNote()
		}
		c.seeAgain()
	}
	switch {
	case c.holdOffers:
		c.undecided = true
	case c.accept == nil:
	case c.reader != readerStarts:
		c.place(size, c.callReading)
	default:
		c.place(size, c.unlocked)
	}
}

// place asks the application, by run.
func (c *Conn) place(size uint32, run func(func())) {
	if c.accept == nil || c.end.state == over {
		return
	}
	accept, asked := c.accept, c.offers
	var p Placement
	run(func() { p = accept(size) })
	_, waits := c.ledger.PeerOffer()
	switch {
	case c.pipe == nil && (!waits || c.offers != asked): // it was put off meanwhile (R4), and will be asked about again
		if p.Writer != nil && !p.Refuse {
			p.fail(run, &PartialError{Size: int64(size), Err: errPutOff})
		}
	case p.Refuse:
		c.placement.Refuse = true
	case p.Writer == nil:
	case len(c.transforms) > 0:
		c.placement.Refuse = true
		p.fail(run, &PartialError{Size: int64(size), Err: ErrTransformed})
	case c.reader == readerLeft:
		p.fail(run, &PartialError{Size: int64(size), Err: c.brokenBy()})
	default:
		c.placement = p
	}
}

var errPutOff = errors.New("it was put off, and is to be offered again")

// fail tells that nothing more will come.
func (p *Placement) fail(run func(func()), err *PartialError) {
	if p.Done != nil {
		run(func() { p.Done(err.Moved, err) })
	}
}

// splices reports whether the operating system copies the message that arrives.
func (c *Conn) splices() bool { return c.into != nil && c.into.via != nil }

// begin begins to receive the message that was placed, whose OK is being composed.
// atHand bytes of it are in memory already.
func (c *Conn) begin(size uint32, atHand int) {
	p := c.placement
	c.placement = Placement{}
	if p.Writer == nil {
		c.start(size, atHand)
		return
	}
	c.into = &streamingIn{Placement: p, size: size}
	if size == 0 && c.pipe == nil {
		c.wakeWriter() // it may outlive the reader, and this
	}
	if f, ok := p.Writer.(*os.File); ok {
		c.into.via = newSplicing(c.nc, f, size)
	}
}

// stream takes a piece of the message that is streamed in. The reader calls
// it, and for an empty message whoever has written its OK.
func (c *Conn) stream(piece []byte, last bool) {
	if c.into.size == 0 {
		if c.emptied = c.into.Done; c.emptied != nil {
			c.wakeWriter() // which calls it, if the reader does not come first
		}
		c.count(0)
		c.into = nil
		return
	}
	if in := c.into; len(piece) > 0 && in.err == nil {
		var n int
		var err error
		c.callReading(func() { n, err = in.Writer.Write(piece) })
		switch {
		case n < 0 || n > len(piece):
			n, err = 0, fmt.Errorf("the Writer is broken: it says that it wrote %d of %d bytes", n, len(piece))
		case n < len(piece) && err == nil:
			err = io.ErrShortWrite
		}
		in.moved += int64(n)
		in.err = err
	}
	if last {
		c.streamed()
	}
}

// streamed is the end of a streamed message that arrived wholly.
func (c *Conn) streamed() {
	in := c.into
	in.via.close()
	c.into = nil
	c.count(in.size)
	var err error
	if in.err != nil {
		err = &PartialError{Size: int64(in.size), Moved: in.moved, Err: in.err}
	}
	if in.Done != nil {
		c.callReading(func() { in.Done(in.moved, err) })
	}
}

// complete calls the Done of an empty streamed message, if it is due.
func (c *Conn) complete() {
	done := c.emptied
	if done == nil {
		return
	}
	c.emptied, c.emptying = nil, true
	defer func() {
		c.emptying = false
		c.note()
	}()
	c.call(func() { done(0, nil) })
}

// completeReading is complete for the reader.
func (c *Conn) completeReading() {
	if c.emptied != nil {
		c.watch.busy = true
		c.complete()
		c.seeAgain()
	}
}

// breakOff tells whoever waits for a streamed message that it will not come,
// or not wholly. It is the last that the reader does.
func (c *Conn) breakOff() {
	c.completeReading()
	reason := c.brokenBy()
	if p := c.placement; p.Writer != nil {
		c.placement = Placement{}
		p.fail(c.call, &PartialError{Size: int64(c.placed), Err: reason})
	}
	if in := c.into; in != nil && in.size > 0 {
		in.via.close()
		c.into = nil
		in.fail(c.call, &PartialError{Size: int64(in.size), Moved: in.moved, Err: cmp.Or(in.err, reason)})
	}
}

// breakOffEmpty is that for an empty message whose OK was not written. It is the
// last that the writer does: the peer's stream may have ended, and the OK still
// go out.
func (c *Conn) breakOffEmpty() {
	if in := c.into; in != nil && in.size == 0 {
		c.into = nil
		in.fail(c.call, &PartialError{Err: c.brokenBy()})
	}
}

// brokenBy is why a streamed message was broken off.
func (c *Conn) brokenBy() error {
	return cmp.Or(c.reason(), c.unfinished(), error(io.ErrUnexpectedEOF))
}

// count counts a message that was received.
func (c *Conn) count(size uint32) {
	c.stats.MessagesReceived++
	c.stats.BytesReceived += uint64(size)
}
