package main

import "fmt"

// check compares what was sent with what was received, and returns what is
// wrong. These are the promises C1, C4 and C6 of the design.
func (d *direction) check() (wrong []string) {
	if d.pipelined {
		return d.checkPipelined()
	}
	report := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }

	// What the two ends count.
	lost := int(d.written) - int(d.read)
	switch {
	case lost == -1 && d.inDoubt && d.emptyInDoubt():
	case lost < 0:
		report("%d messages were read, but only %d wholly written", d.read, d.written)
	case lost > 1:
		report("%d messages were wholly written, but only %d read: at most one may be in doubt", d.written, d.read)
	case lost == 1 && d.err == nil && (d.lingered || d.cut || d.unmarked):
	case lost == 1 && !d.inDoubt:
		report("the last of %d messages was not read, but Err does not say that it is in doubt: %v", d.written, d.err)
	}
	if d.inDoubt && d.written == 0 && !d.emptyInDoubt() {
		report("a message is in doubt, but none was written")
	}
	dropped := 0
	if !d.untaken {
		got := len(d.took) + len(d.streamed)
		dropped = int(d.read) - got
		switch {
		case dropped < 0:
			report("%d messages were received, but only %d read from the stream", got, d.read)
		case d.mayDrop >= 0 && dropped > d.mayDrop+d.spoilt:
			report("%d messages were read, but only %d received and %d spoilt by a Writer; %d may be dropped", d.read, got, d.spoilt, d.mayDrop)
		}
	}

	// Which messages they were.
	t := newTally(d.sent)
	wrong = append(wrong, t.fill(d)...)
	for _, c := range t.classes {
		if lost == -1 && len(c.body) == 0 && d.emptyInDoubt() {
			c.possible++
		}
		wrong = append(wrong, c.check()...)
		if c.delivered <= c.known() && c.delivered+c.unsent > c.known() {
			report("unsent, and also received or told to its sender: %s", describe(c.body))
		}
	}

	// Nothing may be unaccounted for.
	missing, accepted := 0, 0
	for _, c := range t.classes {
		accepted += c.must + c.may
		missing += c.must + c.may - c.delivered - c.unsent
	}
	if !d.unrecorded {
		unknown := accepted - int(d.written) - len(d.unsent)
		if unknown != 0 && !(unknown == 1 && d.emptyInDoubt()) {
			report("%d messages were accepted to be sent, but %d were written, and %d are unsent", accepted, d.written, len(d.unsent))
		}
		if !d.untaken && missing != lost+dropped+unknown {
			report("%d messages are missing, but only %d in doubt, and %d dropped by the receiver", missing, lost, dropped)
		}
		if d.gentle && !d.untaken {
			wrong = append(wrong, d.checkAll()...)
		}
	}
	return wrong
}

// emptyInDoubt reports whether a message of 0 bytes may have arrived although
// it was not counted as written: it has, as soon as the receiver accepts it, which
// the sender may not learn any more. Send says so, or Err and Unsent.
func (d *direction) emptyInDoubt() bool {
	for _, m := range d.sent {
		if len(m.body) == 0 && m.outcome != sent {
			return true
		}
	}
	return false
}

// checkAll is the check of a run that must lose nothing.
func (d *direction) checkAll() (wrong []string) {
	if n := len(d.took) + len(d.streamed) + d.spoilt; n != len(d.sent) {
		wrong = append(wrong, fmt.Sprintf("nothing went wrong, but %d of %d messages arrived", n, len(d.sent)))
	}
	return wrong
}

// tally sorts messages out by what they look like: all but the very short ones
// are unique.
type tally struct {
	classes []*class // in the order of their first message
	byBody  map[string]*class
	place   map[*message]int // in the order of all
}

// class is the messages that look alike.
type class struct {
	body      []byte
	messages  []*message
	must, may int // arrived for sure, perhaps
	delivered int
	unsent    int
	possible  int // not even known to have been sent
}

func newTally(all []*message) *tally {
	t := &tally{byBody: map[string]*class{}, place: map[*message]int{}}
	for i, m := range all {
		t.place[m] = i
		c := t.byBody[string(m.body)]
		if c == nil {
			c = &class{body: m.body}
			t.byBody[string(m.body)] = c
			t.classes = append(t.classes, c)
		}
		c.messages = append(c.messages, m)
		switch m.outcome {
		case sent:
			c.must++
		case queued, inDoubt:
			c.may++
		case possible:
			c.possible++
		}
	}
	return t
}

// fill notes what became of all.
func (t *tally) fill(d *direction) (wrong []string) {
	for _, list := range []struct {
		what   string
		bodies [][]byte
	}{{"received", d.took}, {"streamed", d.streamed}} {
		wrong = append(wrong, t.received(list.what, list.bodies)...)
	}
	return append(wrong, t.unsent(d.unsent)...)
}

// received notes what came in one list, and checks its order: each producer's
// messages come as it sent them.
func (t *tally) received(what string, bodies [][]byte) (wrong []string) {
	last := map[int]int{} // by producer, what came last
	for i, b := range bodies {
		c := t.byBody[string(b)]
		if c == nil {
			wrong = append(wrong, fmt.Sprintf("%s as number %d what was never sent: %s", what, i+1, describe(b)))
			continue
		}
		c.delivered++
		if len(c.messages) > 1 {
			continue // its place is not known
		}
		m := c.messages[0]
		if before, ok := last[m.producer]; ok && before > t.place[m] {
			wrong = append(wrong, fmt.Sprintf("%s as number %d, after a later one: %s", what, i+1, describe(b)))
		}
		last[m.producer] = t.place[m]
	}
	return wrong
}

// unsent notes what Unsent lists, and checks its order. A refused message
// comes where it was refused.
func (t *tally) unsent(bodies [][]byte) (wrong []string) {
	last := map[int]int{}
	for _, b := range bodies {
		c := t.byBody[string(b)]
		if c == nil {
			wrong = append(wrong, fmt.Sprintf("unsent is what was never sent: %s", describe(b)))
			continue
		}
		c.unsent++
		if len(c.messages) > 1 || c.messages[0].way != byOutbox {
			continue
		}
		m := c.messages[0]
		if before, ok := last[m.producer]; ok && before > t.place[m] {
			wrong = append(wrong, fmt.Sprintf("unsent, but listed after a later one: %s", describe(b)))
		}
		last[m.producer] = t.place[m]
	}
	return wrong
}

// known returns how many may have arrived.
func (c *class) known() int { return c.must + c.may + c.possible }

func (c *class) check() (wrong []string) {
	switch most := c.known(); {
	case c.delivered > len(c.messages):
		wrong = append(wrong, fmt.Sprintf("sent %d times, but received %d times: %s", len(c.messages), c.delivered, describe(c.body)))
	case c.delivered > most:
		wrong = append(wrong, fmt.Sprintf("received, though its sender was told that it was not sent: %s", describe(c.body)))
	case c.unsent > c.may+c.possible:
		wrong = append(wrong, fmt.Sprintf("unsent, though Send returned nil: %s", describe(c.body)))
	}
	return wrong
}
