package conn

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrBudget matches the Err of a connection that was ended because the messages
// that arrived together took more memory than their [Budget] has, and its own was
// the slowest.
var ErrBudget = errors.New("the messages that arrive take too much memory together, and this one was the slowest")

// Budget bounds the memory that messages take while they arrive, over all the
// connections that share it (Options.Budget): for each what exceeds 64 KiB, from
// when it is taken, which is as bytes arrive, until the message is complete. Each
// connection alone is bounded by Options.MaxMessage.
//
// A message that exceeds the budget ends a connection, with [ErrBudget]: the one
// whose message arrives the slowest, in bytes per second since it began. So peers
// that hold memory by being slow make room for those that are not. Messages that
// go to a Writer (Options.Accept) take no more than 64 KiB, and do not count.
type Budget struct {
	max int64 // immutable

	mu       sync.Mutex
	used     int64                 // guarded by mu
	arriving map[*arrival]struct{} // guarded by mu
}

// arrival is a message that has taken of a Budget. Its numbers are guarded by
// the mu of the Budget.
type arrival struct {
	conn    *Conn     // immutable
	began   time.Time // immutable
	charged int64
	arrived int // bytes, when it was last charged
}

// NewBudget returns a budget of so many bytes, which may be exceeded for a
// moment, until whoever is ended has returned its own. It panics if bytes is not
// positive.
func NewBudget(bytes int64) *Budget {
	if bytes <= 0 {
		panic(fmt.Sprintf("tinyproto: a Budget of %d bytes", bytes))
	}
	return &Budget{max: bytes, arriving: make(map[*arrival]struct{})}
}

// Used returns how many bytes messages have taken that are arriving now. It may
// be called concurrently.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// take charges a with what it takes in all, now that so much of it has arrived.
func (b *Budget) take(a *arrival, size int64, arrived int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.arriving[a]; !ok && a.charged > 0 {
		return // it is being ended
	}
	b.arriving[a] = struct{}{}
	b.used += size - a.charged
	a.charged, a.arrived = size, arrived
	for now := time.Now(); b.used > b.max; {
		slowest := b.slowest(now)
		b.remove(slowest)
		go slowest.conn.overBudget(slowest) // ends at once; a's connection is locked, and the slowest may be a
	}
}

// give takes off what a was charged with.
func (b *Budget) give(a *arrival) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remove(a)
}

// remove is give with mu held.
func (b *Budget) remove(a *arrival) {
	if _, ok := b.arriving[a]; ok {
		delete(b.arriving, a)
		b.used -= a.charged
	}
}

// slowest returns the message that arrives the slowest. There is one if anything
// is used. Only messages over 64 KiB are searched, and only when memory is short.
func (b *Budget) slowest(now time.Time) *arrival {
	var slowest *arrival
	var least float64
	for a := range b.arriving {
		if pace := float64(a.arrived) / max(now.Sub(a.began), time.Microsecond).Seconds(); slowest == nil || pace < least {
			slowest, least = a, pace
		}
	}
	return slowest
}

// overBudget ends the connection, if a is still arriving.
func (c *Conn) overBudget(a *arrival) {
	c.mu.Lock()
	defer c.unlock()
	if c.partial.charge == a {
		c.terminate(c.broken(fmt.Errorf("%w (more than %d bytes)", ErrBudget, c.opts.Budget.max)))
	}
}
