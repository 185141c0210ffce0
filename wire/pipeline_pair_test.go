package wire_test

import (
	"errors"
	"fmt"

	"github.com/tinyproto-go/tinyproto/wire"
)

// A talk is two ends in pipelined mode over two byte queues, with an application
// at each. It does one move at a time, and compares both Pipelines after each with
// accounts of its own: see check.
type talk [2]talker

type talker struct {
	pipe   *wire.Pipeline
	grants wire.Terms // to the other
	picky  int        // it refuses every message whose number is a multiple of this, if not 0
	app    application
	room   int // of the inbox, in messages
	inbox  []string
	leaves bool // it says BYE when it has nothing to send, whatever the other does
	trims  bool // it gives up memory after each of its moves
	pings  int  // how many it will send

	// input is what the other end wrote and this one has not parsed. items say
	// what its bytes are: that is what they must be parsed as.
	input  []byte
	items  []item
	parsed int64 // bytes

	unanswered []string // sent
	owed       []string // complete, and not answered
	answers    []item   // given, and not written
	arriving   []byte
	inside     bool // a message is arriving
	arrived    int  // messages, complete

	accepted, refused []string // by the other, as far as this end knows
	delivered         []string // into the inbox
	declined          []string

	pinged, asked, bye, peerBye bool
}

// moves are all things that can happen now, with pieces of the input of these
// lengths. If there are none, the conversation is over or deadlocked.
func (p *talk) moves(pieces ...int) []move {
	var possible []move
	for i := range p {
		e := &p[i]
		add := func(is bool, what string, n int) {
			if is {
				possible = append(possible, move{i, what, n})
			}
		}
		tried := 0
		for _, piece := range pieces {
			if n := min(piece, len(e.input)); n != tried {
				tried = n
				add(true, "parse", n)
			}
		}
		left, inside := e.pipe.Receiving()
		add(inside && left == 0, "parse", 0) // an empty message
		add(e.mayAnswer(), "answer", 0)
		add(len(e.answers) > 0, "write answers", 0)
		add(len(e.app.queue) > 0 && e.pipe.MaySend(uint32(len(e.app.queue[0]))), "send", 0)
		add(e.pings > 0 && e.pipe.MayPing(), "ping", 0)
		add(e.asked, "pong", 0)
		add(!e.bye && len(e.app.queue) == 0 && (e.leaves || e.hasAll()), "bye", 0)
		add(len(e.inbox) > 0 && (!e.app.alone || len(e.app.queue) == 0), "take", 0)
	}
	return possible
}

// mayAnswer reports whether the oldest message can be answered.
func (e *talker) mayAnswer() bool {
	return len(e.owed) > 0 && (e.declines(e.owed[0]) || len(e.inbox) < e.room)
}

// declines is the verdict on the oldest message that is owed an answer.
func (e *talker) declines(msg string) bool {
	number := len(e.delivered) + len(e.declined) + 1
	return len(msg) > int(e.grants.MaxMessage) || e.picky > 0 && number%e.picky == 0
}

// hasAll reports whether the application will have nothing more to send.
func (e *talker) hasAll() bool {
	return e.app.echo == 0 && len(e.app.later) == 0 || e.peerBye && len(e.owed)+len(e.inbox) == 0
}

// do makes a move and checks both ends.
func (p *talk) do(m move) error {
	if err := p.apply(m); err != nil {
		return fmt.Errorf("%+v: %w", m, err)
	}
	if p[m.end].trims {
		p[m.end].pipe.Trim()
	}
	for i := range p {
		if err := p[i].check(&p[1-i]); err != nil {
			return fmt.Errorf("after %+v: end %d: %w", m, i, err)
		}
	}
	return nil
}

func (p *talk) apply(m move) error {
	e, other := &p[m.end], &p[1-m.end]
	switch m.what {
	case "parse":
		return e.parse(m.bytes, other)
	case "answer":
		e.answer()
	case "write answers": // many in one write
		for _, a := range e.answers {
			signal := wire.OK
			if a.what == "TOO_LARGE" {
				signal = wire.TooLarge
			}
			other.receive(a.what, a.size, []byte{byte(signal)})
		}
		e.answers = nil
	case "send":
		msg := e.app.queue[0]
		e.app.queue = e.app.queue[1:]
		e.pipe.Send(uint32(len(msg)))
		e.unanswered = append(e.unanswered, msg)
		other.receive("DATA", uint32(len(msg)), append(wire.AppendSize(nil, uint32(len(msg))), msg...))
	case "ping":
		e.pipe.Ping()
		e.pings--
		e.pinged = true
		other.receive("PING", 0, []byte{byte(wire.Ping)})
	case "pong":
		e.pipe.Pong()
		e.asked = false
		other.receive("PONG", 0, []byte{byte(wire.Pong)})
	case "bye":
		e.pipe.Bye()
		e.bye = true
		e.app.echo, e.app.later = 0, nil
		other.receive("BYE", 0, []byte{byte(wire.Bye)})
	case "take":
		msg := e.inbox[0]
		e.inbox = e.inbox[1:]
		e.app.take(msg)
	}
	return nil
}

// receive puts an item into the input.
func (e *talker) receive(what string, size uint32, data []byte) {
	e.input = append(e.input, data...)
	e.items = append(e.items, item{what, size, len(data)})
}

// answer answers the oldest message. The answer is written later.
func (e *talker) answer() {
	e.pipe.Answer()
	msg := e.owed[0]
	e.owed = e.owed[1:]
	if e.declines(msg) {
		e.declined = append(e.declined, msg)
		e.answers = append(e.answers, item{what: "TOO_LARGE", size: uint32(len(msg))})
		return
	}
	e.delivered, e.inbox = append(e.delivered, msg), append(e.inbox, msg)
	e.answers = append(e.answers, item{what: "OK", size: uint32(len(msg))})
}

// parse takes one item, or a piece of one, off n bytes of the input.
func (e *talker) parse(n int, other *talker) error {
	got, taken, err := e.pipe.Parse(e.input[:n])
	if err != nil {
		return err
	}
	p := e.input[:taken]
	e.input = e.input[taken:]
	e.parsed += int64(taken)
	if len(e.items) == 0 {
		return fmt.Errorf("parsed %s of nothing", describeItem(got))
	}
	was := &e.items[0]
	was.left -= taken
	if was.what == "DATA" {
		return e.data(got, p, other)
	}
	e.items = e.items[1:]
	switch {
	case was.what == "OK" && got == wire.Item{Kind: wire.Accepted, Size: was.size}:
		return e.answered(&e.accepted)
	case was.what == "TOO_LARGE" && got == wire.Item{Kind: wire.Refused, Size: was.size}:
		return e.answered(&e.refused)
	case was.what == "PING" && got.Kind == wire.PingItem:
		e.asked = true
	case was.what == "PONG" && got.Kind == wire.PongItem:
		e.pinged = false
	case was.what == "BYE" && got.Kind == wire.ByeItem:
		e.peerBye = true
	default:
		return misparsed(got, p, *was)
	}
	return nil
}

func misparsed(got wire.Item, p []byte, was item) error {
	return fmt.Errorf("parsed %x of a %+v as %s", p, was, describeItem(got))
}

// answered settles the oldest message of ours.
func (e *talker) answered(as *[]string) error {
	if len(e.unanswered) == 0 {
		return errors.New("an answer to nothing")
	}
	*as = append(*as, e.unanswered[0])
	e.unanswered = e.unanswered[1:]
	return nil
}

// data is a piece of a message of the other's.
func (e *talker) data(got wire.Item, p []byte, other *talker) error {
	was := e.items[0]
	behindSize := was.left + len(p) - int(was.size) // before this piece, bytes of the size
	switch {
	case got.Kind == wire.Incomplete && was.left > int(was.size):
	case got.Kind == wire.Data && got.Size == was.size && was.left == int(was.size) && behindSize > 0:
		e.inside = true
	case got.Kind == wire.Payload && behindSize <= 0 && int(got.Size) == len(p) && got.Last == (was.left == 0):
		e.arriving = append(e.arriving, p...)
		if !got.Last {
			return nil
		}
		msg := string(e.arriving)
		if next := e.arrived - len(other.accepted) - len(other.refused); next < 0 || next >= len(other.unanswered) || other.unanswered[next] != msg {
			return fmt.Errorf("%q arrived as number %d, unanswered are %q", msg, e.arrived, other.unanswered)
		}
		e.items = e.items[1:]
		e.owed, e.arriving, e.inside = append(e.owed, msg), nil, false
		e.arrived++
	default:
		return misparsed(got, p, was)
	}
	return nil
}
