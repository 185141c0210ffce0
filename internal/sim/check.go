package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// direction is one direction of a connection, as far as there is an end for it,
// when all is over.
type direction struct {
	name       string
	gentle     bool
	sent       []*message // in the order of their beginning
	unsent     [][]byte
	written    uint64 // messages that the sender says it has wholly written
	err        error  // of the sender's end
	inDoubt    bool
	lingered   bool // the sender waited in vain for the end of the receiver's stream
	cut        bool // the network has ended the receiver's stream, as if it had ended cleanly
	unmarked   bool // the receiver may have broken off with an offer of one byte open, which hides it (PROTOCOL.md section 6)
	unrecorded bool // sent is what may have been sent

	pipelined bool
	refused   bool // messages were refused
	silent    bool // as far as the sender's end knows, the other one has not asked for pipelined mode yet

	took, streamed [][]byte
	spoilt         int
	read           uint64 // messages that the receiver says it has wholly read
	mayDrop        int    // of these, how many the receiving application need not have got; -1: any number
	untaken        bool   // what was received is not recorded
}

// check checks the whole run, when all has ended.
func (w *world) check() {
	w.mu.Lock()
	links := w.order
	w.mu.Unlock()
	for _, l := range links {
		for _, e := range []*endpoint{l.dialer, l.accepted} {
			if e != nil {
				e.drain()
				w.checkEnd(e)
			}
		}
		for _, ends := range [][2]*endpoint{{l.dialer, l.accepted}, {l.accepted, l.dialer}} {
			if ends[0] == nil {
				continue
			}
			d := w.directionOf(ends[0], ends[1])
			for _, wrong := range d.check() {
				w.violate("%s: %s", d.name, wrong)
			}
		}
	}
	if w.chat != nil {
		w.chat.checkEnd()
	}
	w.checkRelay()
}

// drain takes what the application has left in the Inbox.
func (e *endpoint) drain() {
	if e.member != nil {
		return // the hub has
	}
	for {
		select {
		case msg, ok := <-e.conn.Inbox():
			if !ok {
				return
			}
			if e.opaque {
				e.noDrain = true
			}
			e.take(msg, false)
		default:
			e.w.violate("%s: the Inbox is not closed", e.name)
			return
		}
	}
}

func (w *world) directionOf(from, to *endpoint) *direction {
	d := &direction{
		name:       fmt.Sprintf("%s to the other end of %s", from.name, from.link.name),
		gentle:     w.plan.gentle,
		sent:       from.sent,
		unsent:     from.conn.Unsent(),
		written:    from.conn.Stats().MessagesSent,
		err:        from.conn.Err(),
		unrecorded: from.opaque || from.member != nil,
		pipelined:  from.link.pipelined(),
		refused:    from.conn.Stats().Refused > 0,
		silent:     !from.conn.Stats().Pipelined,
	}
	if e, ok := errors.AsType[*conn.Error](d.err); ok {
		d.inDoubt = e.InDoubt
	}
	d.lingered = w.lingered(from)
	d.cut = to != nil && w.cut(to)
	if from.relayed != nil && from.opaque {
		d.sent = from.relayed.candidates(from)
	}
	if from.member != nil {
		d.sent = w.chat.candidates(from.member)
	}
	if to == nil {
		return d
	}
	d.unmarked = to.conn.Err() != nil && (to.opaque || to.member != nil ||
		slices.ContainsFunc(to.sent, func(m *message) bool { return len(m.body) == 1 }))
	d.took, d.streamed, d.spoilt = to.took, to.streamed, to.spoilt
	d.read = to.conn.Stats().MessagesReceived
	d.untaken = to.opaque
	d.refused = d.refused || to.conn.Stats().PeerRefused > 0
	switch {
	case to.noDrain:
		d.mayDrop = -1
	case to.conn.Err() != nil && d.pipelined:
		d.mayDrop = to.plan.options.window() // it has not answered these
	case to.conn.Err() != nil:
		d.mayDrop = 1 // it held one for the Inbox when it was ended
	}
	return d
}

// checkEnd checks one end by itself.
func (w *world) checkEnd(e *endpoint) {
	e.mu.Lock()
	doneAt, goneAt, accepts, dones := e.doneAt, e.goneAt, e.accepts, e.dones
	noticed, endedBy := e.noticed, e.endedBy
	e.mu.Unlock()
	if doneAt.IsZero() || goneAt.IsZero() {
		w.violate("%s: Done is closed: %t, all goroutines have ended: %t", e.name, !doneAt.IsZero(), !goneAt.IsZero())
		return
	}
	if accepts != dones {
		w.violate("%s: %d Writers were given, and Done was called %d times", e.name, accepts, dones)
	}
	err, unsent := e.conn.Err(), e.conn.Unsent()
	if w.plan.gentle && err != nil {
		w.violate("%s: nothing went wrong, but Err is %v", e.name, err)
	}
	if errors.Is(err, conn.ErrClosed) && !slices.Contains(endedBy, finishClose) && e.member == nil {
		w.violate("%s: nobody called Close, but Err is %v", e.name, err)
	}
	if err == nil && len(unsent) > 0 {
		w.violate("%s: %d messages are unsent, but Err is nil", e.name, len(unsent))
	}
	for _, err := range append(noticed, err) {
		for _, wrong := range e.unexplained(err) {
			w.violate("%s: %s in the error %q", e.name, wrong, err)
		}
	}
	for _, m := range e.sent {
		if m.outcome == pending {
			w.violate("%s: a %s of %s has not returned", e.name, m.way, describe(m.body))
		}
		if !intact(m.body) && !e.plan.sender.echo {
			w.violate("%s: a message that was given to %s was changed: %s", e.name, m.way, describe(m.body))
		}
	}
	// R5: there are at most as many conflicts as messages the other way.
	if s := e.conn.Stats(); s.Conflicts > s.MessagesReceived+s.MessagesSent+2 {
		w.violate("%s: %d conflicts, though only %d messages were received and %d sent", e.name, s.Conflicts, s.MessagesReceived, s.MessagesSent)
	} else if s.Pipelined && s.Conflicts > 0 {
		w.violate("%s: %d conflicts in pipelined mode", e.name, s.Conflicts)
	}
	if dialer := e.link.dialer; dialer != nil && dialer.asks != e.link.pipelined() {
		w.violate("%s: pipelined mode: %t, asked for it: %t", e.name, e.link.pipelined(), dialer.asks)
	}
	if waited := w.waitedForPeer(e); waited > time.Second {
		w.violate("%s: waited %v for the peer's end of stream after its own", e.name, waited)
	}
	if silent, limit := w.silence(e), e.plan.options.patience(); limit > 0 && e.conn.Stats().Pipelined && silent > limit {
		w.violate("%s: waited %v for a sign of life, expected at most %v", e.name, silent, limit)
	}
	w.checkTerms(e)
	e.checkAfterEnd(err, len(unsent))
}

// checkAfterEnd uses a connection that is over: nothing may wait, or change.
func (e *endpoint) checkAfterEnd(err error, unsent int) {
	began := time.Now()
	if sendErr := e.conn.Send(context.Background(), []byte("late")); !errors.Is(sendErr, conn.ErrClosed) || errors.Is(sendErr, conn.ErrInDoubt) {
		e.w.violate("%s: Send after the end returned %v", e.name, sendErr)
	}
	shutdownErr := e.conn.Shutdown(context.Background())
	e.conn.Close()
	for _, again := range []error{shutdownErr, e.conn.Err()} {
		if fmt.Sprint(again) != fmt.Sprint(err) {
			e.w.violate("%s: Err was %v, and is %v", e.name, err, again)
		}
	}
	if again := len(e.conn.Unsent()); again != unsent {
		e.w.violate("%s: Unsent listed %d messages, and lists %d", e.name, unsent, again)
	}
	e.bound("what is called after the end", began, 0)
}
