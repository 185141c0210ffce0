package conn

import (
	"context"
	"runtime"
	"time"
)

// readerState is who reads the transport. On a socket, as long as nobody has asked
// for the Inbox, that is a Receive or a Send that waits: it needs no other
// goroutine to wake it. If none comes for readerPatience, the reader goroutine
// takes over, so that what comes is always read (R6), until one waits again.
type readerState uint8

const (
	readerStarts readerState = iota // nobody does yet
	readerAway                      // nobody does now
	readerCalls                     // a Receive or a Send
	readerRuns                      // the reader goroutine
	readerLeft                      // nothing more is read
)

// readerPatience is how long nobody need read, and answers may wait for a reply. A
// timer that is due sooner keeps the processors of an idle program from sleeping:
// with 1 ms, a ping-pong between two processes took twice as long.
const readerPatience = 10 * time.Millisecond

// promptReply is how soon an application replies that is expected to do so again.
const promptReply = 250 * time.Microsecond

// beginReading has what comes read. mu is held.
func (c *Conn) beginReading() {
	switch {
	case !c.shared.Load():
		c.reader = readerRuns
		go c.read() // ends as that of startReader
	case c.end.state == over:
		c.endReading()
		c.finish()
	default:
		c.reader = readerAway
		c.watch.read = c.watch.active
		c.passOn()
	}
}

// startReader starts the reader goroutine, if nobody reads. mu is held.
func (c *Conn) startReader() {
	if c.reader == readerAway {
		c.reader = readerRuns
		c.live++
		go c.read() // ends when nc is closed, the peer's stream is over, or somebody else wants to read
	}
}

// readAlways leaves reading to the reader goroutine for good. mu is held.
func (c *Conn) readAlways() {
	if !c.shared.Load() {
		return
	}
	c.startReader()
	c.makeInbox()
	c.interruptReading() // it is the reader goroutine's from here on
	c.shared.Store(false)
	if c.mayTakeHeld() {
		c.offerHeld()
	}
}

// read is the reader goroutine.
func (c *Conn) read() {
	through := true
	c.mu.Lock()
	defer c.leave()
	defer func() { // also if the application exits this goroutine
		if through {
			c.endReading()
		}
	}()
	for c.readStep() {
		if c.shared.Load() && c.receivers.n+c.senders.n > 0 && c.keptLen == 0 && c.end.state != over {
			through = false
			c.reader = readerAway
			c.passOn()
			return
		}
	}
}

// readHere reads once for a Receive, or the Send of s. The reader must be away. mu
// is held on entry and on return.
func (c *Conn) readHere(s *sending) {
	if c.keptLen > 0 { // it may be all that the caller waits for
		if c.parseAtOnce(); c.keptLen > 0 {
			c.startReader() // which waits until it may be parsed
		}
		return
	}
	c.reader, c.blockedFor = readerCalls, s
	c.live++
	more := false
	defer func() { // also if the application exits this goroutine, in what it is asked
		c.live--
		c.reader, c.blockedFor = readerAway, nil
		if !more || c.end.state == over {
			c.endReading()
			c.finish()
		}
	}()
	more = c.readStep()
}

// endReading is the end of all reading. mu is held on entry and on return.
func (c *Conn) endReading() {
	c.reader = readerLeft
	c.breakOff()
	giveBack(c.buffer)
	c.buffer = nil
	c.forget()
	c.dropReleased()
}

// unlockToRead unlocks mu for a Read.
func (c *Conn) unlockToRead() {
	c.blocked = c.reader == readerCalls
	c.reads++
	yield := !c.blocked && c.reads%yieldAfter == 0
	c.mu.Unlock()
	if yield {
		runtime.Gosched()
	}
}

// yieldAfter is how many reads in turn the reader goroutine does before others
// have their turn: a peer that floods never has it wait.
const yieldAfter = 32

// lockRead locks mu after a Read, and returns what its error means.
func (c *Conn) lockRead(n int, err error) error {
	c.unheard.Store(n > 0)
	c.mu.Lock()
	c.unheard.Store(false)
	c.blocked = false
	if c.interrupted {
		c.interrupted = false
		c.nc.SetReadDeadline(time.Time{})
		if isTimeout(err) {
			err = nil
		}
	}
	c.heard(n)
	return err
}

// heard notes that n bytes of the peer have come.
func (c *Conn) heard(n int) {
	if n > 0 {
		c.watch.active = c.watch.now()
		c.watch.read = c.watch.active
	}
}

// interruptReading has the Receive or Send that reads look at the state again. mu
// is held.
func (c *Conn) interruptReading() {
	if c.blocked && !c.interrupted {
		c.interrupted = true
		c.nc.SetReadDeadline(longAgo)
	}
}

// interruptOn interrupts a Receive or Send that reads when ctx ends, until stop is
// called. The end of the connection's own context does so by itself.
func (c *Conn) interruptOn(ctx context.Context) (stop func() bool) {
	life := ctx
	if l, ok := ctx.(interface{ Life() context.Context }); ok { // that of a Handler
		life = l.Life()
	}
	if done := life.Done(); done == nil || done == c.life {
		return nil
	}
	return context.AfterFunc(ctx, func() {
		c.mu.Lock()
		c.interruptReading()
		c.mu.Unlock()
	})
}

// waiting are the Receives or the Sends that wait for others to read. It is
// guarded by Conn.mu.
type waiting struct {
	n    int
	turn chan struct{} // cap 1: one of them has to look at the state; nil until one has waited
}

func (w *waiting) signal() {
	if w.n > 0 {
		select {
		case w.turn <- struct{}{}:
		default:
		}
	}
}

// join returns the channel to wait on.
func (w *waiting) join() <-chan struct{} {
	if w.turn == nil {
		w.turn = make(chan struct{}, 1)
	}
	w.n++
	return w.turn
}

// passOn sees to it that somebody reads, or will, once the caller does not. mu is
// held.
func (c *Conn) passOn() {
	if c.holding {
		c.receivers.signal()
	}
	switch {
	case c.reader != readerAway:
	case !c.shared.Load():
		c.startReader()
	case c.receivers.n > 0:
		c.receivers.signal()
	case c.senders.n > 0:
		c.senders.signal()
	case c.end.state != open:
		c.startReader()
	default:
		c.watch.look(c, c.watch.read, readerPatience)
	}
}
