package wire_test

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tinyproto-go/tinyproto/wire"
)

// check compares the ledger with the notes and debts kept here, and these with
// what the other end owes and what is on its way.
func (e *end) check(other *end) error {
	if err := e.checkBalance(other); err != nil {
		return err
	}
	offering, receiving := find(e.notes, "answer"), find(e.notes, "payload")
	owing, answering := find(e.debts, "payload"), find(e.debts, "answer")
	insideSize := len(e.items) > 0 && e.items[0].what == "SIZE" && e.items[0].left < wire.SizeLen

	// R1 and R2: nothing can be due twice.
	if len(e.notes) > 2 || len(e.debts) > 2 || offering && owing || receiving && answering {
		return fmt.Errorf("notes %v and debts %v", e.notes, e.debts)
	}
	// R5: no more of them than messages in the other direction, of which the
	// last may be on its way.
	if e.conflicts > e.arrived && !e.deferred || e.conflicts > e.arrived+1 {
		return fmt.Errorf("%d times CONFLICT with %d messages", e.conflicts, e.arrived)
	}

	l := &e.ledger
	size, isOffering := l.Offering()
	peerSize, isAnswering := l.PeerOffer()
	left, isReceiving := l.Receiving()
	for _, c := range []struct {
		name      string
		got, want bool
	}{
		{"Offering", isOffering, offering},
		{"PeerOffer", isAnswering, answering},
		{"Receiving", isReceiving, receiving},
		{"Owing", l.Owing(), owing},
		{"PayloadNext", l.PayloadNext(), len(e.notes) > 0 && e.notes[0].what == "payload"},
		{"MayOffer", l.MayOffer(), !offering && !owing && !e.deferred},
		{"InsideItem", l.InsideItem(), receiving || insideSize},
		{"MayAnswerError", l.MayAnswerError(), !offering && !owing},
		{"End is clean", l.End() == io.EOF, len(e.notes)+len(e.debts) == 0 && !insideSize},
		{"Offset", l.Offset() == e.parsed, true},
		{"the size of Offering", !offering || int(size) == len(e.sending), true},
		{"the size of PeerOffer", !answering || int(peerSize) == len(other.sending), true},
		{"the rest of Receiving", !receiving || left == sizeOf(e.notes, "payload")-uint32(len(e.arriving)), true},
	} {
		if c.got != c.want {
			return fmt.Errorf("%s: %v with the notes %v and the debts %v", c.name, c.got, e.notes, e.debts)
		}
	}
	return nil
}

// checkBalance is R3: what an end has noted is what comes towards it, then what
// the other end owes, and then what the other end will owe when it has parsed
// its input, in this order.
func (e *end) checkBalance(other *end) error {
	var owed []due
	for _, i := range e.items {
		switch i.what {
		case "SIZE": // settles nothing
		case "PAYLOAD":
			owed = append(owed, due{"payload", i.size})
		default:
			owed = append(owed, due{"answer", i.size})
		}
	}
	owed = append(owed, other.debts...)
	for _, i := range other.items {
		switch i.what {
		case "SIZE":
			owed = append(owed, due{"answer", i.size})
		case "OK":
			owed = append(owed, due{"payload", i.size})
		}
	}
	if got, want := withoutEmpty(e.notes), withoutEmpty(owed); !slices.Equal(got, want) {
		return fmt.Errorf("noted %v, owed by the other end %v", got, want)
	}
	return nil
}

// withoutEmpty leaves out the payloads of 0 bytes: the note of one may be
// settled long before the other end has paid it.
func withoutEmpty(dues []due) []due {
	return slices.DeleteFunc(slices.Clone(dues), func(d due) bool { return d == due{"payload", 0} })
}

func find(dues []due, what string) bool {
	return slices.ContainsFunc(dues, func(d due) bool { return d.what == what })
}

func sizeOf(dues []due, what string) uint32 {
	return dues[slices.IndexFunc(dues, func(d due) bool { return d.what == what })].size
}

// finished says what is not delivered, or not settled, when nothing more can
// happen.
func (p *pair) finished() error {
	for i := range p {
		e := &p[i]
		open := len(e.input) + len(e.notes) + len(e.debts) + len(e.inbox) + len(e.expected) +
			len(e.app.queue) + len(e.app.later)
		if open > 0 || e.busy || e.ledger.End() != io.EOF {
			return fmt.Errorf("%w: %v", errDeadlock, p)
		}
	}
	return nil
}

// String is what a failure shows.
func (p *pair) String() string {
	var b strings.Builder
	for i := range p {
		e := &p[i]
		fmt.Fprintf(&b, "\nend %d: notes %v, debts %v, deferred %v, sending %q (%v, offered %v), inbox %q, input %x\n"+
			"\tapplication: queue %q, later %q, taken %q", i, e.notes, e.debts, e.deferred, e.sending, e.busy, e.offered,
			e.inbox, e.input, e.app.queue, e.app.later, e.app.taken)
	}
	return b.String()
}
