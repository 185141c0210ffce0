package main

import (
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// window returns how many messages an end takes in pipelined mode before it
// has answered them.
func (o *optionsPlan) window() int {
	switch {
	case o.windowBytes < 0:
		return 1
	case o.windowMessages == 0:
		return conn.DefaultWindowMessages
	}
	return o.windowMessages
}

// patience returns how long an end may wait for a sign of life in pipelined
// mode, 0 if that has no bound.
func (o *optionsPlan) patience() time.Duration {
	peer, stall := o.peerTimeout, o.stallTimeout
	if peer < 0 || stall < 0 || o.slowWriter > 0 || o.hold > 0 { // before its terms there is no PING
		return 0
	}
	if peer == 0 {
		peer = conn.DefaultPeerTimeout
	}
	if stall == 0 {
		stall = conn.DefaultStallTimeout
	}
	// The PING may wait for a network that takes nothing: that is noticed after
	// twice the time, if it took something of a write first.
	return peer/2 + max(peer/2, 2*stall) + time.Second
}

// largest returns the size of the largest message that was sent.
func (w *world) largest() int {
	size := headerLen + w.plan.hub.announcements
	for _, e := range w.endpoints() {
		e.mu.Lock()
		for _, m := range e.sent {
			size = max(size, len(m.body))
		}
		e.mu.Unlock()
	}
	return size
}

// checkWindow compares the bytes that an end has read in pipelined mode, and its
// application has not taken, with its window and its Inbox. Largest is the size of the
// largest message. e.mu is held.
func (w *world) checkWindow(e *endpoint, stats conn.Stats, read, largest int) {
	o := e.plan.options
	select {
	case <-e.conn.Done():
		return // it may read what it has no interest in
	default:
	}
	if e.opaque || e.noDrain || e.spoilt > 0 || stats.PeerRefused > 0 {
		return
	}
	// A size for each message, with one that is not counted yet, and the answers;
	// the hello, the agreement, BYE, and the PINGs and PONGs of some time.
	each := 4
	if o.transforms {
		each += 4
	}
	for _, body := range append(e.took, e.streamed...) {
		read -= len(body)
	}
	kept := read - each*int(stats.MessagesReceived+1) - int(stats.MessagesSent+stats.Refused) - 500
	unanswered := o.windowBytes
	if unanswered == 0 {
		unanswered = conn.DefaultWindowBytes
	}
	if bound := max(unanswered, largest+each) + o.inbox*(largest+each); kept > bound {
		w.violate("%s: %d bytes are read and not taken, expected at most %d", e.name, kept, bound)
	}
}
