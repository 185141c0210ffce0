package conn

import "github.com/tinyproto-go/tinyproto/wire"

// A body above copyLimit is written from where it is: to copy it costs more than
// a piece more in a vectored write.
const copyLimit = 16 << 10

// room returns how many bytes can be added.
func (b *batch) room() int {
	if b.closed {
		return 0
	}
	return streamBuffer - b.used
}

// full reports whether the next message may have no room, whatever its size.
func (b *batch) full() bool { return b.room() < 1+wire.SizeLen }

// fits reports whether there is room for a message.
func (b *batch) fits(size int64) bool {
	if size > copyLimit {
		size = 0
	}
	return int64(b.room()) >= wire.SizeLen+size
}

func (b *batch) space() []byte {
	if b.buffer == nil {
		b.buffer = streamBuffers.Get().(*[streamBuffer]byte)
	}
	return b.buffer[b.used:]
}

func (b *batch) add(p []byte) { b.used += copy(b.space(), p) }

func (b *batch) addByte(p byte) {
	b.space()[0] = p
	b.used++
}

func (b *batch) addSize(size uint32) {
	wire.AppendSize(b.space()[:0], size)
	b.used += wire.SizeLen
}

// addBody adds a payload that fits.
func (b *batch) addBody(p []byte) {
	if len(p) > copyLimit {
		b.body, b.closed = p, true
		return
	}
	b.add(p)
}

// sealAdded readies what was added to be written. It reports whether there is
// anything.
func (b *batch) sealAdded() bool {
	if b.used == 0 {
		return false
	}
	b.toWrite(b.buffer[:b.used], b.body)
	return true
}
