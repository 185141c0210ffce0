package main

import "github.com/tinyproto-go/tinyproto/flow"

// candidates returns what flow.Forward may have sent over from: what the one at
// the other side of the relay has sent.
func (r *relayed) candidates(from *endpoint) (all []*message) {
	source := r.source(from)
	if source == nil {
		return nil
	}
	for _, m := range source.sent {
		all = append(all, &message{body: m.body, producer: m.producer, way: byOutbox, outcome: possible})
	}
	return all
}

// source returns the end whose messages the relay sends over from.
func (r *relayed) source(from *endpoint) *endpoint {
	if from == r.far {
		return r.near.peer()
	}
	return r.far.peer()
}

// checkRelay checks what flow.Forward has passed on.
func (w *world) checkRelay() {
	for _, l := range w.order {
		for _, e := range []*endpoint{l.dialer, l.accepted} {
			if e != nil && e.opaque && e.relayed != nil && e.relayed.far == e {
				w.checkForward(e.relayed.near, e, e.relayed.stuck[0])
				w.checkForward(e, e.relayed.near, e.relayed.stuck[1])
			}
		}
	}
}

// checkForward expects that all that was taken from one connection is sent over
// the other, unsent there, or in the error of Forward.
func (w *world) checkForward(from, to *endpoint, stuck *flow.ForwardError) {
	received := int(from.conn.Stats().MessagesReceived) - len(from.took) // the rest was taken when all was over
	passed := int(to.conn.Stats().MessagesSent) + len(to.conn.Unsent())
	if stuck != nil {
		passed++
	}
	if passed > received {
		w.violate("relay: %d messages were received by %s, but %d passed on to %s", received, from.name, passed, to.name)
	}
	held := 1 // for the Inbox
	if from.link.pipelined() {
		held = from.plan.options.window()
		if source := from.peer(); source != nil && !from.noDrain {
			if answered := int(source.conn.Stats().MessagesSent) - len(from.took); answered > passed {
				w.violate("relay: %d messages were taken from %s, but only %d passed on to %s", answered, from.name, passed, to.name)
			}
		}
	}
	if !from.noDrain && received-passed > held {
		w.violate("relay: of %d messages received by %s, only %d were passed on to %s", received, from.name, passed, to.name)
	}
	if stuck == nil {
		return
	}
	for _, b := range append(to.conn.Unsent(), stuck.Message) {
		if !intact(b) {
			w.violate("relay: %s was not passed on by %s", describe(b), from.name)
		}
	}
	if peer := to.peer(); peer != nil && len(stuck.Message) >= uniqueLen {
		for _, b := range append(peer.took, peer.streamed...) {
			if string(b) == string(stuck.Message) {
				w.violate("relay: %s was not passed on to %s, but arrived", describe(b), to.name)
			}
		}
	}
}
