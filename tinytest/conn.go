package tinytest

import (
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Conn is one end of a connection, a [net.Conn] that behaves as one of TCP:
//
//   - CloseWrite ends the stream: the peer reads what was written, and then
//     io.EOF.
//   - Close does so too, but it is a reset if there is input that was not read,
//     or after SetLinger(0). Bytes that arrive at a closed end are answered by a
//     reset.
//   - A reset that arrives destroys what was not read. From then on Read and
//     Write fail with syscall.ECONNRESET.
//   - Write after CloseWrite fails with syscall.EPIPE.
//   - What this end has closed fails with net.ErrClosed, and what a deadline
//     ended with os.ErrDeadlineExceeded: a [*net.OpError] wraps them all.
//
// All its methods may be called concurrently. The bytes of a Write stay
// together, and the number that it returns with an error is exact: without a
// buffer, the peer has read so many and will read no more.
type Conn struct {
	net           *Network // the following is guarded by its mu
	link          *Link    // immutable
	peer          *Conn    // immutable
	local, remote Addr     // immutable
	in, out       *stream  // immutable
	closed        bool
	broken        bool
	abortive      bool // Close is a reset
	alive         keepAlive
}

// newConns returns the ends of the n-th connection that link.from has dialled.
// mu is held.
func newConns(link *Link, n int) (dialled, accepted *Conn) {
	dialled = &Conn{net: link.net, link: link, local: Addr(fmt.Sprintf("%s:%d", link.from, n)), remote: Addr(link.to)}
	accepted = &Conn{net: link.net, link: link, peer: dialled, local: dialled.remote, remote: dialled.local}
	dialled.peer = accepted
	there, back := newStream(link, ToListener), newStream(link, ToDialer)
	dialled.out, dialled.in = there, back
	accepted.out, accepted.in = back, there
	there.from, there.to = dialled, accepted
	back.from, back.to = accepted, dialled
	return dialled, accepted
}

// Read returns what has arrived, at least one byte and at most as many as p and
// [Conditions].MaxSegment allow. It blocks until there is some, until the end
// or a reset comes, or until the deadline.
func (c *Conn) Read(p []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	n, err := c.in.read(p)
	if err != nil {
		return n, c.opError("read", err)
	}
	return n, nil
}

// Write returns when all of p has been put into the buffer, or, without a
// buffer, read by the peer. It blocks until then, until the connection ends, or
// until the deadline.
func (c *Conn) Write(p []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	n, err := c.out.write(p)
	if err != nil {
		return n, c.opError("write", err)
	}
	return n, nil
}

// CloseWrite ends the stream behind what was written. The other direction
// stays open. A Write that is blocked fails.
func (c *Conn) CloseWrite() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if err := c.closeWrite(OpCloseWrite); err != nil {
		return c.opError("close", err)
	}
	return nil
}

// Close ends this end: Reads and Writes that are blocked fail. It does not
// wait. Closing again fails with net.ErrClosed.
func (c *Conn) Close() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.opError("close", net.ErrClosed)
	}
	c.closed = true
	c.in.advance() // what has arrived by now, and was not read, makes it a reset
	c.trace(Event{Op: OpClose}, nil)
	reset := c.abortive || len(c.in.arrived) > 0
	c.in.stopReading(net.ErrClosed)
	if !c.broken {
		if reset {
			c.out.sendReset()
		} else {
			c.out.end()
		}
	}
	c.out.stopWriting(net.ErrClosed)
	c.in.readDeadline.stop()
	c.out.writeDeadline.stop()
	c.alive.watch(c, false)
	c.over()
	return nil
}

// Reset breaks the connection at both ends at once, as [Link.Reset] does.
func (c *Conn) Reset() {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.abort()
}

// LocalAddr returns the [Addr] of this end.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the [Addr] of the other end.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines. Like the others it fails after Close.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadlines(t, true, true) }

// SetReadDeadline sets when Reads fail, also one in progress. One in the past
// fails them at once, even if there is input; the zero time means never.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, true, false) }

// SetWriteDeadline sets when Writes fail, also one in progress. One in the past
// fails them at once, even if there is room; the zero time means never.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, false, true) }

func (c *Conn) setDeadlines(t time.Time, read, write bool) error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	if read {
		c.in.readDeadline.set(c.net, &c.in.readable, t)
	}
	if write {
		c.out.writeDeadline.set(c.net, &c.out.writable, t)
	}
	return nil
}

// SetLinger with 0 makes Close a reset; with anything else, what it is
// without: here, Close never waits.
func (c *Conn) SetLinger(sec int) error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	c.abortive = sec == 0
	return nil
}

// closeWrite is CloseWrite with mu held, by whom op says.
func (c *Conn) closeWrite(op Op) error {
	switch {
	case c.closed:
		return net.ErrClosed
	case c.broken || c.out.ended:
		return nil
	}
	c.trace(Event{Op: op}, nil)
	c.out.end()
	c.out.stopWriting(syscall.EPIPE)
	return nil
}

// abort breaks both ends. mu is held.
func (c *Conn) abort() {
	c.breakOff(syscall.ECONNRESET)
	c.peer.breakOff(syscall.ECONNRESET)
}

// breakOff breaks this end, which the other one need not learn. mu is held.
func (c *Conn) breakOff(err error) {
	if c.closed || c.broken {
		return
	}
	c.broken = true
	c.trace(Event{Op: OpBreak, Err: err}, nil)
	c.in.stopReading(err)
	c.out.stopWriting(err)
	c.alive.watch(c, false)
	c.over()
}

// over forgets the connection when neither end can use it any more. mu is held.
func (c *Conn) over() {
	if (c.closed || c.broken) && (c.peer.closed || c.peer.broken) {
		c.in.discard()
		c.out.discard()
		c.link.forget(c)
	}
}

func (c *Conn) opError(op string, err error) error {
	if err == io.EOF {
		return err
	}
	e := &net.OpError{Op: op, Net: networkName, Source: c.local, Addr: c.remote, Err: err}
	if errno, ok := err.(syscall.Errno); ok {
		e.Err = os.NewSyscallError(op, errno)
	}
	return e
}

func (c *Conn) trace(e Event, data []byte) {
	e.At, e.Peer = string(c.local), string(c.remote)
	c.net.trace(e, data)
}
