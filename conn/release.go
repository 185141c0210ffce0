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
	c.released.mu.Lock()
	defer c.released.mu.Unlock()
	if c.released.size+cap(msg) <= releasedSize && !c.released.closed {
		c.released.slices = append(c.released.slices, msg[:cap(msg)])
		c.released.size += cap(msg)
	}
}

// takeReleased returns memory for a message of size bytes, nil if there is none.
func (c *Conn) takeReleased(size uint32) []byte {
	c.released.mu.Lock()
	defer c.released.mu.Unlock()
	s := c.released.slices
	for i := len(s) - 1; i >= 0; i-- {
		if uint32(cap(s[i])) >= size && uint64(cap(s[i]))/2 <= uint64(size) {
			found := s[i]
			last := len(s) - 1
			s[i], s[last] = s[last], nil
			c.released.slices = s[:last]
			c.released.size -= cap(found)
			return found
		}
	}
	return nil
}

// dropReleased gives up what was handed back: the connection is over.
func (c *Conn) dropReleased() {
	c.released.mu.Lock()
	c.released.closed, c.released.slices = true, nil
	c.released.mu.Unlock()
}
