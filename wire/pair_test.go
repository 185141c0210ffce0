package wire_test

import (
	"fmt"
	"slices"

	"github.com/tinyproto-go/tinyproto/wire"
)

// A pair is two ends that talk over two byte queues, with an application at
// each. It does one move at a time, and compares both ledgers after each with
// accounts of its own: see check.
type pair [2]end

type end struct {
	ledger wire.Ledger
	app    application
	limit  uint32 // messages above it are refused
	room   int    // of the inbox, in messages
	inbox  []string

	// input is what the other end wrote and this one has not parsed. items say
	// what its bytes are: that is what they must be parsed as.
	input  []byte
	items  []item
	parsed int64 // bytes

	notes, debts []due // of R3 and of R2, oldest first
	deferred     bool  // R5: CONFLICT came, the payload behind it has not

	sending   string // if busy
	busy      bool
	offered   bool     // the size of sending is written
	expected  []string // sent and within the limit, but not arrived
	arriving  []byte
	arrived   int // messages
	conflicts int // CONFLICTs that this end received
}

// item is what an end wrote at a time.
type item struct {
	what string // SIZE, PAYLOAD, or the name of an answer
	size uint32 // of the message that it is about
	left int    // bytes of the item that are not parsed
}

// due is one thing that an end owes.
type due struct {
	what string // "answer" or "payload"
	size uint32
}

// application is who sends and receives at an end.
type application struct {
	// alone: one goroutine does both in turn. It takes no message while it has
	// one to send.
	alone bool
	queue []string // to be sent, in this order
	later []string // one of them joins the queue with every message taken
	echo  int      // so many of the messages taken join the queue
	taken []string
}

func (a *application) take(msg string) {
	a.taken = append(a.taken, msg)
	if len(a.later) > 0 {
		a.queue, a.later = append(a.queue, a.later[0]), a.later[1:]
	}
	if a.echo > 0 {
		a.queue = append(a.queue, msg)
		a.echo--
	}
}

// move is one thing that can happen at an end.
type move struct {
	end   int
	what  string // parse, write, offer, send, take
	bytes int    // of the input, to parse
}

// moves are all things that can happen now, with pieces of the input of these
// lengths. If there are none, the conversation is over or deadlocked.
func (p *pair) moves(pieces ...int) []move {
	var possible []move
	for i := range p {
		e := &p[i]
		add := func(what string, n int) { possible = append(possible, move{i, what, n}) }
		tried := -1
		for _, piece := range pieces {
			if n := min(piece, len(e.input)); n != tried {
				tried = n
				after := e.ledger
				got, taken, err := after.Parse(e.input[:n])
				if err != nil || taken > 0 || got.Kind != wire.Incomplete {
					add("parse", n)
				}
			}
		}
		if after := e.ledger; after.Next(e.verdict()) != wire.Wait {
			add("write", 0)
		}
		if e.busy && !e.offered && e.ledger.MayOffer() {
			add("offer", 0)
		}
		if !e.busy && len(e.app.queue) > 0 {
			add("send", 0)
		}
		if len(e.inbox) > 0 && (!e.app.alone || len(e.app.queue) == 0) {
			add("take", 0)
		}
	}
	return possible
}

// do makes a move and checks both ends.
func (p *pair) do(m move) error {
	e, other := &p[m.end], &p[1-m.end]
	var err error
	switch m.what {
	case "parse":
		err = e.parse(m.bytes, other)
	case "write":
		err = e.write(other)
	case "offer":
		err = e.offer(other)
	case "send":
		e.sending, e.app.queue = e.app.queue[0], e.app.queue[1:]
		e.busy, e.offered = true, false
		if len(e.sending) <= int(other.limit) {
			e.expected = append(e.expected, e.sending)
		}
	case "take":
		msg := e.inbox[0]
		e.inbox = e.inbox[1:]
		e.app.take(msg)
	}
	if err != nil {
		return fmt.Errorf("%+v: %w", m, err)
	}
	for i := range p {
		if err := p[i].check(&p[1-i]); err != nil {
			return fmt.Errorf("after %+v: end %d: %w", m, i, err)
		}
	}
	return nil
}

func (e *end) verdict() wire.Verdict {
	switch size, ok := e.ledger.PeerOffer(); {
	case ok && size > e.limit:
		return wire.Refuse
	case len(e.inbox) < e.room:
		return wire.Accept
	}
	return wire.Hold
}

func (e *end) offer(other *end) error {
	size := uint32(len(e.sending))
	e.ledger.Offer(size)
	e.offered = true
	e.notes = append(e.notes, due{"answer", size})
	other.receive("SIZE", size, wire.AppendSize(nil, size))
	return nil
}

// write pays the oldest debt, as R2 and R4 say.
func (e *end) write(other *end) error {
	verdict, want := e.verdict(), wire.Wait
	if len(e.debts) > 0 {
		switch {
		case e.debts[0].what == "payload":
			want = wire.WritePayload
		case verdict == wire.Refuse:
			want = wire.WriteTooLarge
		case verdict == wire.Accept:
			want = wire.WriteOK
		case len(e.debts) > 1:
			want = wire.WriteConflict
		}
	}
	step := e.ledger.Next(verdict)
	if step != want {
		return fmt.Errorf("writes %s, expected %s with the debts %v", stepNames[step], stepNames[want], e.debts)
	}
	size := e.debts[0].size
	e.debts = e.debts[1:]
	switch step {
	case wire.WriteOK:
		e.notes = append(e.notes, due{"payload", size})
		other.receive("OK", size, []byte{byte(wire.OK)})
	case wire.WriteConflict:
		other.receive("CONFLICT", size, []byte{byte(wire.Conflict)})
	case wire.WriteTooLarge:
		other.receive("TOO_LARGE", size, []byte{byte(wire.TooLarge)})
	case wire.WritePayload:
		other.receive("PAYLOAD", size, []byte(e.sending))
		e.sending, e.busy = "", false
	}
	return nil
}

// receive puts an item into the input. An empty payload has no bytes to parse.
func (e *end) receive(what string, size uint32, data []byte) {
	if len(data) > 0 {
		e.input = append(e.input, data...)
		e.items = append(e.items, item{what, size, len(data)})
	}
}

// parse takes one item, or a piece of one, off n bytes of the input.
func (e *end) parse(n int, other *end) error {
	got, taken, err := e.ledger.Parse(e.input[:n])
	if err != nil {
		return err
	}
	p := e.input[:taken]
	e.input = e.input[taken:]
	e.parsed += int64(taken)
	if got.Kind == wire.Payload && taken == 0 {
		return e.payload(got, nil, other)
	}
	if len(e.items) == 0 {
		return fmt.Errorf("parsed %s of nothing", describe(got))
	}
	was := e.items[0]
	was.left -= taken
	e.items[0] = was
	complete := got.Kind != wire.Incomplete && (got.Kind != wire.Payload || got.Last)
	if complete != (was.left == 0) {
		return fmt.Errorf("parsed %x of a %+v as %s", p, was, describe(got))
	}
	if complete {
		e.items = e.items[1:]
	}
	switch {
	case was.what == "SIZE" && got.Kind == wire.Incomplete:
		return nil
	case was.what == "SIZE" && got.Kind == wire.Offer && got.Size == was.size:
		e.debts = append(e.debts, due{"answer", was.size})
		return nil
	case was.what == "PAYLOAD" && got.Kind == wire.Payload:
		return e.payload(got, p, other)
	case was.what == "OK" && got.Kind == wire.Accepted:
		e.debts = append(e.debts, due{"payload", was.size})
		return e.answered()
	case was.what == "CONFLICT" && got.Kind == wire.Deferred:
		e.offered, e.deferred = false, true
		e.conflicts++
		return e.answered()
	case was.what == "TOO_LARGE" && got.Kind == wire.Refused && len(e.sending) > int(other.limit):
		e.sending, e.busy = "", false
		return e.answered()
	}
	return fmt.Errorf("parsed %x of a %+v as %s", p, was, describe(got))
}

// answered settles the oldest note.
func (e *end) answered() error {
	if len(e.notes) == 0 || e.notes[0].what != "answer" {
		return fmt.Errorf("an answer with the notes %v", e.notes)
	}
	e.notes = e.notes[1:]
	if e.deferred && (len(e.notes) == 0 || e.notes[0].what != "payload") {
		return fmt.Errorf("CONFLICT, and the notes behind it are %v", e.notes)
	}
	return nil
}

// payload takes a piece of the message that arrives, and a whole message into
// the inbox.
func (e *end) payload(got wire.Item, p []byte, other *end) error {
	if len(e.notes) == 0 || e.notes[0].what != "payload" {
		return fmt.Errorf("%s with the notes %v", describe(got), e.notes)
	}
	e.arriving = append(e.arriving, p...)
	if !got.Last {
		return nil
	}
	if len(other.expected) == 0 || string(e.arriving) != other.expected[0] {
		return fmt.Errorf("%q arrived, expected the first of %q", e.arriving, other.expected)
	}
	e.notes, e.deferred = e.notes[1:], false
	other.expected = other.expected[1:]
	e.inbox, e.arriving = append(e.inbox, string(e.arriving)), nil
	e.arrived++
	if len(e.inbox) > e.room {
		return fmt.Errorf("%d messages in an inbox for %d", len(e.inbox), e.room)
	}
	return nil
}

// clone returns a copy that shares nothing that changes.
func (p *pair) clone() *pair {
	c := *p
	for i := range c {
		e := &c[i]
		e.inbox, e.input, e.items = slices.Clone(e.inbox), slices.Clone(e.input), slices.Clone(e.items)
		e.notes, e.debts = slices.Clone(e.notes), slices.Clone(e.debts)
		e.expected, e.arriving = slices.Clone(e.expected), slices.Clone(e.arriving)
		e.app.queue, e.app.later, e.app.taken = slices.Clone(e.app.queue), slices.Clone(e.app.later), slices.Clone(e.app.taken)
	}
	return &c
}
