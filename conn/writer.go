package conn

import (
	"io"
	"os"
	"time"
)

// wakeWriter has the writer look at the state, and starts it if there is none:
// a connection that only ever sends and receives small messages needs none.
func (c *Conn) wakeWriter() {
	switch {
	case c.hasWriter:
		select {
		case c.wake <- struct{}{}:
		default:
		}
	case c.end.state != over || c.holding || c.emptied != nil:
		c.hasWriter, c.wake = true, make(chan struct{}, 1)
		c.live++
		go c.write() // ends when the connection is over and nothing is held for the Inbox
	}
}

// write is the writer goroutine. It does whatever may wait: it receives from
// the Outbox, sends to a full Inbox, writes what the socket does not take at
// once, and ends the connection when it is drained.
func (c *Conn) write() {
	c.mu.Lock()
	defer c.leave()
	defer c.breakOffEmpty()
	for {
		c.complete()
		c.flush(true)
		if c.emptied != nil || c.encode() || c.decode() {
			continue
		}
		c.halfClose()
		if c.end.state == over && (!c.holding || c.end.abandoned || c.shared.Load()) {
			c.hasWriter = false // what is held needs another one if Inbox is called now
			return
		}
		var inbox, outbox chan []byte
		held := c.held
		if c.deliverer != nil {
			c.recallDeliverer() // and it wakes us when it has gone
		} else {
			inbox = c.toOffer()
		}
		if c.outboxUsed && c.end.state == open && !c.next.active {
			outbox = c.outbox
			c.fetching = true
		}
		c.mu.Unlock()
		select {
		case <-c.wake:
			c.mu.Lock()
		case inbox <- held:
			c.mu.Lock()
			c.held, c.holding = nil, false
			c.handedOver()
		case msg, ok := <-outbox:
			c.mu.Lock()
			c.take(&c.next, msg, ok)
		}
		c.fetching = false
		c.queue.admit(c.taken + uint64(len(c.outbox)))
	}
}

// writeWaiting writes out, waiting for the transport as long as it makes
// progress. mu is held on entry and on return.
func (c *Conn) writeWaiting() error {
	for len(c.out.rest) > 0 {
		if _, err := c.watched(nil); err != nil {
			return err
		}
	}
	return nil
}

// watched writes a piece, of file if it is set and else of out, and returns
// how much that was. It fails if the peer takes nothing for the stall timeout.
// mu is held on entry and on return.
func (c *Conn) watched(file *io.LimitedReader) (n int64, err error) {
	c.watch.blocked = c.watch.now()
	c.watch.look(c, c.watch.blocked, c.opts.StallTimeout)
	if c.holding && c.writerWaits() {
		c.startDeliverer()
	}
	c.mu.Unlock()
	if file != nil {
		n, err = c.nc.(io.ReaderFrom).ReadFrom(file)
	} else {
		n, err = c.writeSome()
	}
	c.mu.Lock()
	c.watch.blocked = 0
	interrupted := c.watch.interrupted
	if interrupted {
		c.watch.interrupted = false
		c.nc.SetWriteDeadline(time.Time{})
	}
	if interrupted && n == 0 && isTimeout(err) && file == nil && c.try != nil {
		n, err = c.tryAgain()
	}
	switch {
	case err == nil || !isTimeout(err):
		return n, err
	case !interrupted || n == 0: // not interrupted: TLS, which an interruption has spoilt
		return n, &StallError{Doing: "writing", After: c.opts.StallTimeout, State: c.unfinished()}
	}
	return n, nil
}

// tryAgain writes what the transport takes now: it may have had room for long
// when the clock was checked, if this process was not given its turn.
func (c *Conn) tryAgain() (int64, error) {
	c.mu.Unlock()
	defer c.mu.Lock()
	n, err := c.try.write(c.out.rest[0])
	c.out.wrote(n)
	if err == nil && n == 0 {
		err = os.ErrDeadlineExceeded
	}
	return int64(n), err
}

// pieceSize is how much is written at a time to a transport that may not
// survive an interrupted write, as TLS: each piece is progress.
const pieceSize = 16 << 10

// writeSome writes what is left, or a piece of it, and returns how much.
func (c *Conn) writeSome() (int64, error) {
	if isSocket(c.nc) {
		return c.out.rest.WriteTo(c.nc)
	}
	p := c.out.rest[0]
	n, err := c.nc.Write(p[:min(len(p), pieceSize)])
	c.out.wrote(n)
	return int64(n), err
}
