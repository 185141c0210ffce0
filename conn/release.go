package conn

import "sync"

// released is memory that was handed back.
type released struct {
	mu     sync.Mutex
	slices [][]byte // guarded by mu
	size   int      // guarded by mu: of all of them
	closed bool     // guarded by mu: none is kept any more
}

// releasedSize is how much memory that was handed back a connection keeps.
const releasedSize = 4 << 20

// closedReleased is that of connections that are over.
var closedReleased = released{closed: true}

// Release hands a received message back, for the connection to receive others
// into. It must not be used any more, not even read, and not have been sent on. Only
// messages of more than 4 KiB, that were received from this connection, are worth
// it, and others are ignored. It is never necessary: a message that is not handed
// back is its receiver's for good. A connection keeps no more than 4 MiB of
// it, until it ends.
//
// It does not block, and may be called concurrently.
func (c *Conn) Release(msg []byte) {
	if cap(msg) <= firstRead {
		return
	}
	r := c.released.Load()
	if r == nil {
		c.released.CompareAndSwap(nil, new(released))
		r = c.released.Load()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.size+cap(msg) <= releasedSize && !r.closed {
		r.slices = append(r.slices, msg[:cap(msg)])
		r.size += cap(msg)
	}
}

// takeReleased returns memory for a message of size bytes, nil if there is none.
func (c *Conn) takeReleased(size uint32) []byte {
	r := c.released.Load()
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.slices
	for i := len(s) - 1; i >= 0; i-- {
		if uint32(cap(s[i])) >= size && uint64(cap(s[i]))/2 <= uint64(size) {
			found := s[i]
			last := len(s) - 1
			s[i], s[last] = s[last], nil
			r.slices = s[:last]
			r.size -= cap(found)
			return found
		}
	}
	return nil
}

// dropReleased gives up what was handed back: the connection is over.
func (c *Conn) dropReleased() {
	r := c.released.Swap(&closedReleased)
	if r != nil && r != &closedReleased {
		r.mu.Lock()
		r.closed, r.slices = true, nil
		r.mu.Unlock()
	}
}
