package conn

import "net"

// readPipelined is readStep in pipelined mode: it takes all that comes, and what the
// application has no room for waits in memory, as far as the window goes. mu is
// held on entry and on return.
func (c *Conn) readPipelined() bool {
	if c.input == nil {
		c.input = newInput(c.nc)
	}
	in := c.input
	var p []byte
	var err error
	left, inside := uint32(0), false
	if c.pipe.Pipeline != nil {
		left, inside = c.pipe.Receiving()
	}
	switch {
	case inside && c.splices() && !c.end.deaf:
		if err := c.splice(); err != nil {
			c.readFailed(err)
			return false
		}
		return true
	case inside && left >= directRead && c.partial.buf != nil && !c.end.deaf:
		p = c.space()
		c.unlockToRead()
		var n int
		n, err = c.nc.Read(p)
		p = p[:n]
	default:
		size := c.pipe.size
		c.unlockToRead()
		p, err = in.read(size >= largeMessage)
	}
	err = c.lockRead(len(p), err)
	defer in.giveBack()
	if c.end.state == over {
		return false
	}
	if len(p) > 0 && !c.end.deaf {
		c.parse(p)
		c.tell()
		c.flush(false)
	}
	if err != nil {
		c.readFailed(err)
	}
	return err == nil
}

// Behind a message of largeMessage bytes, another one is expected: little is read
// of it at first, and the rest to where it belongs.
const largeMessage = 16 << 10

// From directRead bytes on, the rest of a message is read to where it belongs.
const directRead = 4 << 10

// input reads as much as there is, into memory that it borrows. It is owned by
// whoever reads.
type input interface {
	// read returns what there is, or a little of it, which is the caller's until
	// giveBack. It blocks until there is something.
	read(little bool) ([]byte, error)
	giveBack()
}

func newInput(nc net.Conn) input {
	if r := newSocketReader(nc); r != nil {
		return r
	}
	return &bufferedReader{nc: nc}
}

// bufferedReader reads from a transport that can't tell when there is something: it
// gets little memory to wait with, and more while it fills that.
type bufferedReader struct {
	nc     net.Conn
	idle   [keptSize]byte
	some   *[firstRead]byte
	much   *[streamBuffer]byte
	filled int // how many reads in turn took all the room they had
}

func (r *bufferedReader) read(little bool) ([]byte, error) {
	p := r.idle[:]
	switch {
	case r.filled == 1, r.filled > 1 && little:
		r.some = firstReads.Get().(*[firstRead]byte)
		p = r.some[:]
	case r.filled > 1:
		r.much = streamBuffers.Get().(*[streamBuffer]byte)
		p = r.much[:]
	}
	n, err := r.nc.Read(p)
	if n == len(p) {
		r.filled++
	} else {
		r.filled = 0
	}
	return p[:n], err
}

func (r *bufferedReader) giveBack() {
	if r.some != nil {
		firstReads.Put(r.some)
		r.some = nil
	}
	giveBack(r.much)
	r.much = nil
}
