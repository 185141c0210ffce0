package conn

import (
	"sync"
)

// Memory for a message that arrives: as much as firstRead is borrowed, and what
// is taken follows what has arrived, not what was claimed: firstAlloc once
// firstRead is full, and then growth times as much whenever that is full.
const (
	firstRead  = 4 << 10
	firstAlloc = 64 << 10
	growth     = 4
)

var firstReads = sync.Pool{New: func() any { return new([firstRead]byte) }}

// incoming is a message whose payload is arriving. The reader reads into
// space, so it copies only what came in one read with an answer, and the
// beginnings of messages that grow. Guarded by Conn.mu, as partial is.
type incoming struct {
	buf    []byte
	have   int
	size   int
	first  *[firstRead]byte // what buf is, if it is borrowed
	began  instant
	charge *arrival // what the Budget was charged with; nil if nothing
}

// start begins a message of which so much is at hand.
func (c *Conn) start(size uint32, atHand int) {
	in := &c.partial
	in.size, in.have = int(size), 0
	var released []byte
	if size > firstRead {
		released = c.takeReleased(size)
	}
	switch {
	case in.size == 0:
		in.buf = []byte{}
	case in.size <= firstRead:
		// With room for what may follow it in the same segment, which saves a read
		// for the next size.
		in.buf = make([]byte, in.size+keptSize)
	case released != nil:
		in.buf = released[:size]
	case atHand >= firstRead:
		in.buf, in.began = make([]byte, min(in.size, firstAlloc)), c.watch.now()
	default:
		in.first = firstReads.Get().(*[firstRead]byte)
		in.buf, in.began = in.first[:], c.watch.now()
	}
}

// space returns where the next bytes of the stream belong: never empty while
// the message is incomplete.
func (c *Conn) space() []byte {
	in := &c.partial
	if in.have == len(in.buf) && in.have < in.size {
		c.grow(in)
	}
	return in.buf[in.have:]
}

func (c *Conn) grow(in *incoming) {
	size := min(in.size, max(len(in.buf)*growth, firstAlloc))
	if c.opts.Budget != nil && size > firstAlloc {
		if in.charge == nil {
			in.charge = &arrival{conn: c, began: c.watch.time(in.began)}
		}
		c.opts.Budget.take(in.charge, int64(size-firstAlloc), in.have)
	}
	grown := make([]byte, size)
	copy(grown, in.buf)
	in.returnFirst()
	in.buf = grown
}

func (in *incoming) returnFirst() {
	if in.first != nil {
		firstReads.Put(in.first)
		in.first = nil
	}
}

// add takes payload bytes, which may be those at space already.
func (c *Conn) add(p []byte) {
	for len(p) > 0 {
		space := c.space()
		n := len(p)
		if &space[0] != &p[0] {
			n = copy(space, p)
		}
		c.partial.have += n
		p = p[n:]
	}
}

// completed returns the message, and forgets it.
func (c *Conn) completed() []byte {
	in := &c.partial
	m := in.buf[:in.size]
	if in.size <= firstRead {
		m = m[:in.size:in.size] // what follows it may stand there
	}
	c.forget()
	return m
}

// forget gives up the message that is arriving, if there is one. It is the
// reader's, whose memory it is.
func (c *Conn) forget() {
	c.partial.returnFirst()
	if c.partial.charge != nil {
		c.opts.Budget.give(c.partial.charge)
	}
	c.partial = incoming{}
}
