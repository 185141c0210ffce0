package main

import (
	"github.com/tinyproto-go/tinyproto/conn"
)

// checkMemory compares what each end has been given to keep with the bounds
// that its options set. Nothing moves while it looks.
func (w *world) checkMemory() {
	for _, e := range w.endpoints() {
		w.checkKept(e)
	}
}

func (w *world) checkKept(e *endpoint) {
	stats := e.conn.Stats()
	o := e.plan.options
	w.mu.Lock()
	read := w.netEnd(e.conn.LocalAddr().String(), e.conn.RemoteAddr().String()).read
	w.mu.Unlock()
	peer, largest := e.peer(), w.largest()
	e.mu.Lock()
	defer e.mu.Unlock()

	// Received and not taken: the Inbox's buffer, and one that waits for it. A
	// hub takes one more, and keeps some as events; a Server throws away what a
	// Handler has left.
	kept := int(stats.MessagesReceived) - len(e.took) - len(e.streamed)
	bound := o.inbox + 1 + e.spoilt
	if stats.Pipelined {
		bound += o.window() - 1 // these are not answered
		w.checkWindow(e, stats, read, largest)
	}
	if e.member != nil {
		bound += 1 + w.plan.hub.events
	}
	if !e.opaque && (e.member != nil || !e.noDrain) && kept > bound {
		w.violate("%s: %d messages are received and not taken, expected at most %d", e.name, kept, bound)
	}

	// Read from the network, and neither part of a complete message nor of the
	// protocol: at most one message, which is arriving. Every size, answer and
	// hello is allowed for, and one of each that is not counted yet.
	limit := o.maxMessage
	if limit == 0 {
		limit = conn.DefaultMaxMessage
	}
	offers := int(stats.MessagesReceived + stats.PeerRefused + stats.Conflicts + 1)
	answers := int(stats.MessagesSent + stats.Refused + stats.Conflicts + 1)
	overhead := 1 + 4*offers + answers + 4
	if partial := read - int(stats.BytesReceived) - overhead; !stats.Pipelined && o.streamFrom == 0 && partial > limit {
		w.violate("%s: %d bytes of a message that is arriving are kept, expected at most %d", e.name, partial, limit)
	}

	// Taken to be sent by the Outbox and not gone: its buffer, one that the
	// writer has received, one that is offered, and one that is being written. In
	// pipelined mode besides those that the peer has not answered.
	select {
	case <-e.conn.Done():
		return
	default:
	}
	taken, sends, doubts := 0, 0, 0
	for _, m := range e.sent {
		switch m.outcome {
		case queued:
			taken++
		case sent:
			sends++
		case inDoubt:
			sends++
			doubts++
		}
	}
	refused := len(e.conn.Unsent())
	if refused > o.maxRefused+doubts {
		w.violate("%s: %d messages are unsent, expected at most %d refused ones and %d in doubt", e.name, refused, o.maxRefused, doubts)
	}
	bound = o.outbox + 3 + sends
	if stats.Pipelined && peer != nil {
		bound += peer.plan.options.window() + o.maxRefused + 1 // refused ones wait for those before them
	}
	if waiting := taken - max(int(stats.MessagesSent)-sends, 0) - refused; !e.opaque && waiting > bound && !(stats.Pipelined && peer == nil) {
		w.violate("%s: %d messages of the Outbox are waiting, expected at most %d", e.name, waiting, bound)
	}
}
