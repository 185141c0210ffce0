package tinytest

import (
	"slices"
	"time"
)

// Link is what is between a name that dials and one that listens: all the
// connections of the one to the other, now and later, and what goes wrong with
// them. Its methods may be called concurrently, and none blocks.
type Link struct {
	net      *Network // the following is guarded by its mu
	from, to string   // immutable

	conditions Conditions
	refuse     bool
	holds      [2]hold // by direction
	conns      []*Conn // the dialled end of those of which an end is open
	made       int
}

// Direction is one direction of a link, or both.
type Direction uint8

// The directions.
const (
	Both       Direction = iota
	ToListener           // what the end that dialled writes
	ToDialer             // what the end that was accepted writes
)

// String returns the name of the direction.
func (d Direction) String() string {
	switch d {
	case Both:
		return "both ways"
	case ToListener:
		return "to the listener"
	case ToDialer:
		return "to the dialer"
	}
	return "in an unknown direction"
}

// each calls f for the directions that d stands for.
func (d Direction) each(f func(Direction)) {
	for _, one := range [...]Direction{ToListener, ToDialer} {
		if d == Both || d == one {
			f(one)
		}
	}
}

// hold is why nothing moves in a direction.
type hold struct {
	partitioned bool
	until       time.Time   // of a stall; zero if there was none
	timer       *time.Timer // of a stall
}

// held reports whether nothing moves in d, one direction. mu is held.
func (l *Link) held(d Direction) bool {
	h := &l.holds[d-ToListener]
	return h.partitioned || time.Now().Before(h.until)
}

// Conditions returns those of the link.
func (l *Link) Conditions() Conditions {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	return l.conditions
}

// Set changes the conditions of the link, for what is written and read from now
// on. What is on its way arrives when it would have.
func (l *Link) Set(c Conditions) {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	l.conditions = c.valid()
	l.trace(Event{Op: OpConditions, Conditions: l.conditions})
	for _, c := range l.conns {
		c.in.writable.Broadcast()
		c.out.writable.Broadcast()
	}
}

// Stall has nothing move in a direction for a time, not even the end of a
// stream, a reset or the handshake of a Dial; what would have arrived
// meanwhile arrives at its end. What has arrived can be read, and what fits
// into the buffer can be written.
func (l *Link) Stall(dir Direction, d time.Duration) {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	l.settle()
	l.trace(Event{Op: OpStall, Direction: dir, D: d})
	until := time.Now().Add(d)
	dir.each(func(one Direction) {
		h := &l.holds[one-ToListener]
		if !until.After(h.until) {
			return
		}
		if h.timer != nil {
			h.timer.Stop()
		}
		h.until = until
		h.timer = time.AfterFunc(d, func() {
			l.net.mu.Lock()
			defer l.net.mu.Unlock()
			l.release()
		})
	})
	l.watch()
}

// Partition is a Stall that only Heal ends: without it, what is on its way is
// lost, and neither end learns of it, nor of the other's end. Only keep-alive
// does: see [Conn.SetKeepAliveConfig].
func (l *Link) Partition(dir Direction) {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	l.settle()
	l.trace(Event{Op: OpPartition, Direction: dir})
	dir.each(func(one Direction) { l.holds[one-ToListener].partitioned = true })
	l.watch()
}

// Heal ends partitions and stalls in both directions.
func (l *Link) Heal() {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	l.trace(Event{Op: OpHeal})
	Both.each(func(one Direction) {
		h := &l.holds[one-ToListener]
		if h.timer != nil {
			h.timer.Stop()
		}
		*h = hold{}
	})
	l.release()
}

// Reset breaks all connections of the link at once, with ECONNRESET at both
// ends: what was written and not yet read is lost.
func (l *Link) Reset() {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	l.trace(Event{Op: OpReset})
	for _, c := range slices.Clone(l.conns) {
		c.abort()
	}
}

// Refuse says whether new connections are refused, with ECONNREFUSED.
func (l *Link) Refuse(refuse bool) {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	op := OpAccepting
	if refuse {
		op = OpRefusing
	}
	l.trace(Event{Op: op})
	l.refuse = refuse
	l.net.change()
}

// CloseWrite ends the streams of all connections in a direction, as if those
// who write had called CloseWrite: they do not learn of it before they write.
func (l *Link) CloseWrite(dir Direction) {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	for _, c := range slices.Clone(l.conns) {
		dir.each(func(one Direction) {
			if one == ToListener {
				c.closeWrite(OpCut)
			} else {
				c.peer.closeWrite(OpCut)
			}
		})
	}
}

// connect makes a connection. mu is held.
func (l *Link) connect() (dialled, accepted *Conn) {
	n := l.net
	n.dialled[l.from]++
	l.made++
	dialled, accepted = newConns(l, n.dialled[l.from])
	l.conns = append(l.conns, dialled)
	dialled.trace(Event{Op: OpDial}, nil)
	return dialled, accepted
}

// forget drops a connection that is over at both ends. mu is held.
func (l *Link) forget(c *Conn) {
	l.conns = slices.DeleteFunc(l.conns, func(other *Conn) bool { return other == c || other == c.peer })
}

// settle lets arrive what has. mu is held.
func (l *Link) settle() {
	for _, c := range slices.Clone(l.conns) {
		c.out.advance()
		c.in.advance()
	}
}

// release goes on after a hold, if there is none any more. mu is held.
func (l *Link) release() {
	l.settle()
	l.watch()
	l.net.change()
}

// watch starts or stops what notices that nothing moves. mu is held.
func (l *Link) watch() {
	held := l.held(ToListener) || l.held(ToDialer)
	for _, c := range l.conns {
		c.alive.watch(c, held)
		c.peer.alive.watch(c.peer, held)
	}
}

func (l *Link) trace(e Event) {
	e.At, e.Peer = l.from, l.to
	l.net.trace(e, nil)
}
