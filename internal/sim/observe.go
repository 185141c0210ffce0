package main

import (
	"time"

	"github.com/tinyproto-go/tinyproto/tinytest"
)

// trace is told by the network what happens.
func (w *world) trace(e tinytest.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.netEnd(e.At, e.Peer)
	switch e.Op {
	case tinytest.OpRead:
		n.read += e.N
		n.moved = e.Time
	case tinytest.OpWrite:
		n.wrote += e.N
		n.moved = e.Time
	case tinytest.OpCloseWrite:
		n.closedWrite = e.Time
	case tinytest.OpBreak:
		n.broken = true
	case tinytest.OpCut:
		n.cut = true
	case tinytest.OpClose:
		n.closed = e.Time
	}
	w.log.event(e.Time.Sub(w.began), e)
}

// netEnd is what the network tells of an end.
type netEnd struct {
	read, wrote         int // bytes
	closedWrite, closed time.Time
	moved               time.Time // when something was last read or written
	cut                 bool      // the network ended its stream
	broken              bool      // it has read that there was a reset
}

// netEnd returns what is known of an end. mu is held.
func (w *world) netEnd(local, remote string) *netEnd {
	key := [2]string{local, remote}
	n := w.netEnds[key]
	if n == nil {
		n = &netEnd{}
		w.netEnds[key] = n
	}
	return n
}

// lingered reports whether an end closed its transport without having seen the
// end of its peer's stream, for which it waits 1 s behind the end of its own.
func (w *world) lingered(e *endpoint) bool { return w.waitedForPeer(e) >= time.Second }

// cut reports whether the network ended the stream of an end.
func (w *world) cut(e *endpoint) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.netEnd(e.conn.LocalAddr().String(), e.conn.RemoteAddr().String()).cut
}

// heardEnd reports whether the peer's stream ended without a reset, and before the
// end's own: it was not told to end, and did not break.
func (w *world) heardEnd(e *endpoint) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.netEnd(e.conn.LocalAddr().String(), e.conn.RemoteAddr().String())
	return n.closedWrite.IsZero() && !n.broken
}

// silence returns how long before it closed its transport an end last read or
// wrote something, which may have been a PING.
func (w *world) silence(e *endpoint) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.netEnd(e.conn.LocalAddr().String(), e.conn.RemoteAddr().String())
	return n.closed.Sub(n.moved)
}

// waitedForPeer returns how long after the end of its stream an end closed its
// transport, 0 if it did not end it by itself.
func (w *world) waitedForPeer(e *endpoint) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.netEnd(e.conn.LocalAddr().String(), e.conn.RemoteAddr().String())
	if n.closedWrite.IsZero() {
		return 0
	}
	return n.closed.Sub(n.closedWrite)
}
