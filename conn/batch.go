package conn

import (
	"net"
	"sync"

	"github.com/tinyproto-go/tinyproto/wire"
)

// batch is what goes out in one write: answers, at most one payload, answers
// and the next size behind it. It is owned by whoever set Conn.writing.
type batch struct {
	head      [2 + wire.SizeLen]byte
	tail      [2 + wire.SizeLen]byte
	headLen   int
	tailLen   int
	body      []byte // of the message that is finishing
	hasBody   bool
	accepts   bool // there is an OK in it
	offers    bool // there is a size in it
	completes bool // there is the OK of an empty message in it, and nothing behind
	answers   uint // Conn.answers when it was composed

	// In pipelined mode: what goes out in one write is collected in buffer, and
	// one large body may stand behind it, which is not copied.
	buffer   *[streamBuffer]byte
	used     int
	messages int  // that begin in it
	pings    bool // there is a PING in it
	closed   bool // nothing more may be added

	rest    net.Buffers // what is left to be written: a slice of one or of three
	one     [1][]byte
	three   *[3][]byte // nil until it is needed
	scratch *[scratchSize]byte
}

// Up to scratchSize, copying a batch together is cheaper than a vectored
// write, and than waking the writer for it.
const scratchSize = 8 << 10

var scratches = sync.Pool{New: func() any { return new([scratchSize]byte) }}

func (b *batch) signal(s wire.Signal) {
	b.accepts = b.accepts || s == wire.OK
	if b.hasBody {
		b.tail[b.tailLen] = byte(s)
		b.tailLen++
	} else {
		b.head[b.headLen] = byte(s)
		b.headLen++
	}
}

func (b *batch) size(n uint32) {
	b.offers = true
	if b.hasBody {
		b.tailLen = len(wire.AppendSize(b.tail[:b.tailLen], n))
	} else {
		b.headLen = len(wire.AppendSize(b.head[:b.headLen], n))
	}
}

func (b *batch) payload(p []byte) { b.body, b.hasBody = p, true }

// seal readies what was put in to be written.
func (b *batch) seal() {
	total := b.headLen + len(b.body) + b.tailLen
	if len(b.body) > 0 && total <= scratchSize {
		b.scratch = scratches.Get().(*[scratchSize]byte)
		p := append(b.scratch[:0], b.head[:b.headLen]...)
		p = append(p, b.body...)
		b.toWrite(append(p, b.tail[:b.tailLen]...))
		return
	}
	b.toWrite(b.head[:b.headLen], b.body, b.tail[:b.tailLen])
}

// toWrite sets what is left to be written: up to three pieces, of which some may be
// empty.
func (b *batch) toWrite(pieces ...[]byte) {
	n := 0
	for _, p := range pieces {
		if len(p) > 0 {
			n++
		}
	}
	b.rest = b.one[:0]
	if n > 1 {
		if b.three == nil {
			b.three = new([3][]byte)
		}
		b.rest = b.three[:0]
	}
	for _, p := range pieces {
		if len(p) > 0 {
			b.rest = append(b.rest, p)
		}
	}
}

// wrote takes n bytes off what is left.
func (b *batch) wrote(n int) {
	for ; n >= len(b.rest[0]); b.rest = b.rest[1:] {
		if n -= len(b.rest[0]); len(b.rest) == 1 {
			b.rest = b.rest[1:]
			return
		}
	}
	b.rest[0] = b.rest[0][n:]
}

// left returns how many bytes are to be written.
func (b *batch) left() int {
	n := 0
	for _, p := range b.rest {
		n += len(p)
	}
	return n
}

// bodyOut reports whether the payload has been written wholly.
func (b *batch) bodyOut() bool { return b.hasBody && b.left() <= b.tailLen }

// reset empties the batch and gives back what it borrowed.
func (b *batch) reset() {
	if b.scratch != nil {
		scratches.Put(b.scratch)
		b.scratch = nil
	}
	giveBack(b.buffer)
	b.buffer, b.used, b.messages, b.pings, b.closed = nil, 0, 0, false, false
	b.headLen, b.tailLen, b.body, b.hasBody, b.accepts, b.offers, b.completes = 0, 0, nil, false, false, false, false
	if b.one[0], b.rest = nil, nil; b.three != nil {
		*b.three = [3][]byte{}
	}
}
