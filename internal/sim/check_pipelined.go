package main

import (
	"fmt"
	"time"

	"github.com/tinyproto-go/tinyproto/wire"
)

// checkTerms checks that an end that was asked for pipelined mode and has nothing to
// send waits for the peer's terms for no longer than 1 s, and for the end of its
// stream for no longer than that.
func (w *world) checkTerms(e *endpoint) {
	w.mu.Lock()
	n := *w.netEnd(e.conn.LocalAddr().String(), e.conn.RemoteAddr().String())
	w.mu.Unlock()
	const hello, asked = 1, 1 + len(wire.PipelinedRequest)
	e.mu.Lock()
	defer e.mu.Unlock()
	agreed := !e.asks && e.conn.Stats().Pipelined && n.wrote == hello+1+wire.TermsLen
	if !agreed || n.read < asked || n.read >= asked+wire.TermsLen || e.endedAt.IsZero() || len(e.sent) > 0 {
		return
	}
	w.mu.Lock()
	w.termless++
	w.mu.Unlock()
	from := e.endedAt
	if n.moved.After(from) {
		from = n.moved // the request came later, or some of the terms
	}
	if waited := e.goneAt.Sub(from); waited > 2*time.Second {
		w.violate("%s: waited %v for the terms of a peer that does not say them, expected at most 2s", e.name, waited)
	}
}

// checkPipelined is check in pipelined mode: what was answered was handed over,
// and of all else the sender is told, by its Send or by Unsent, though it may have
// arrived.
func (d *direction) checkPipelined() (wrong []string) {
	report := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if d.inDoubt && !(d.silent && d.written == 0 && d.emptyInDoubt()) {
		report("Err says that a message is in doubt")
	}
	handed := len(d.took) + len(d.streamed)
	if d.written > d.read {
		report("%d messages were answered, but only %d read", d.written, d.read)
	}
	known := !d.untaken && d.mayDrop >= 0
	if known {
		switch dropped := int(d.read) - handed; {
		case dropped < 0:
			report("%d messages were received, but only %d read from the stream", handed, d.read)
		case dropped > d.mayDrop+d.spoilt:
			report("%d messages were read, but only %d received and %d spoilt by a Writer; %d may be dropped", d.read, handed, d.spoilt, d.mayDrop)
		}
		if answered := int(d.written); answered > handed+d.spoilt {
			report("%d messages were answered, but only %d received and %d spoilt by a Writer", answered, handed, d.spoilt)
		}
	}
	t := newTally(d.sent)
	wrong = append(wrong, t.fill(d)...)
	missing := 0 // of those whose Send returned nil
	for _, c := range t.classes {
		wrong = append(wrong, c.check()...)
		missing += max(c.must-c.delivered, 0)
	}
	if known && missing > d.spoilt {
		report("%d messages did not arrive, though Send returned nil", missing)
	}
	if known && !d.refused && d.spoilt+len(d.streamed) == 0 { // what is streamed does not wait for the Inbox
		wrong = append(wrong, t.gaps()...)
	}
	if !d.unrecorded {
		wrong = append(wrong, d.checkAnswered()...)
		if d.gentle && !d.untaken {
			wrong = append(wrong, d.checkAll()...)
		}
	}
	return wrong
}

// checkAnswered expects that nothing is unaccounted for.
func (d *direction) checkAnswered() (wrong []string) {
	sends, accepted, doubtful := 0, 0, 0
	for _, m := range d.sent {
		switch m.outcome {
		case sent:
			sends++
		case queued:
			accepted++
		case inDoubt:
			doubtful++
		}
	}
	told := int(d.written) + len(d.unsent)
	switch least := sends + accepted; {
	case int(d.written) < sends:
		wrong = append(wrong, fmt.Sprintf("%d Sends returned nil, but only %d messages were answered", sends, d.written))
	case told < least || told > least+doubtful:
		wrong = append(wrong, fmt.Sprintf("%d messages were accepted to be sent, and %d are in doubt, but %d were answered, and %d are unsent",
			least, doubtful, d.written, len(d.unsent)))
	case d.err == nil && int(d.written) != least+doubtful:
		wrong = append(wrong, fmt.Sprintf("the end is clean, but only %d of %d messages were answered", d.written, least+doubtful))
	}
	return wrong
}

// gaps expects that a message arrived if a later one of its producer did.
func (t *tally) gaps() (wrong []string) {
	arrived := map[int]bool{} // by producer: a later one has
	for i := len(t.classes) - 1; i >= 0; i-- {
		c := t.classes[i]
		if len(c.messages) > 1 {
			continue // which of them arrived is not known
		}
		m := c.messages[0]
		if c.delivered > 0 {
			arrived[m.producer] = true
		} else if arrived[m.producer] && (m.outcome == queued || m.outcome == inDoubt) {
			wrong = append(wrong, fmt.Sprintf("did not arrive, though a later one did: %s", describe(m.body)))
		}
	}
	return wrong
}
