package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/tinyproto-go/tinyproto/wire"
)

// player is an end that writes its part of a vector, each item as soon as its
// ledger allows it and not before.
type player struct {
	script   []token
	lawless  bool // it writes without asking a ledger, and hears nothing
	ledger   wire.Ledger
	size     uint32 // of the last offer
	last     string // what was written last
	greeted  bool
	input    []byte
	arriving []byte
	received []string
	reported *wire.ProtocolError
}

// playBoth plays until nobody can go on. Who writes how much before who reads
// how much is up to the random numbers, unless there is to be a violation: then
// what can be written is, before it is heard of.
func playBoth(players *[2]player, r *rand.Rand, violation wire.Violation) error {
	for progress := true; progress; {
		progress = false
		turns := []int{0, 1, 2, 3}
		if violation == 0 {
			r.Shuffle(len(turns), func(i, j int) { turns[i], turns[j] = turns[j], turns[i] })
		}
		for _, turn := range turns {
			p, other := &players[turn%2], &players[1-turn%2]
			for times := 1 + r.IntN(3); times > 0 || violation != 0; times-- {
				var did bool
				var err error
				if turn < 2 {
					did, err = p.write(other)
				} else {
					did = p.parse(1 + r.IntN(8))
				}
				if err != nil {
					return err
				}
				if !did {
					break
				}
				progress = true
			}
		}
	}
	for i := range players {
		if err := players[i].ended(violation); err != nil {
			return fmt.Errorf("end %d: %w", i, err)
		}
	}
	return nil
}

// write writes one item, if it may be written now. It fails if another has to
// be written first.
func (p *player) write(other *player) (bool, error) {
	if p.payEmpty() {
		return true, nil
	}
	if len(p.script) == 0 {
		return false, nil
	}
	tok := p.script[0]
	data := tok.data
	if !p.lawless {
		var err error
		if data, err = p.compose(tok); data == nil || err != nil {
			return false, err
		}
		if !bytes.Equal(data, tok.data) {
			return false, fmt.Errorf("wrote %x, expected %x", data, tok.data)
		}
	}
	p.script, p.last = p.script[1:], tok.what
	other.input = append(other.input, data...)
	return true, nil
}

// compose returns the bytes of an item, or nil while it may not be written.
func (p *player) compose(tok token) ([]byte, error) {
	switch tok.what {
	case "hello":
		return []byte{byte(wire.OK)}, nil
	case "SIZE":
		if !p.ledger.MayOffer() {
			return nil, nil
		}
		p.size = sizeOfToken(tok.data)
		p.ledger.Offer(p.size)
		return wire.AppendSize(nil, p.size), nil
	case "ERROR":
		if p.reported == nil || p.reported.Violation != wire.OversizeOffer || !p.ledger.MayAnswerError() {
			return nil, nil
		}
		return []byte{byte(wire.Error)}, nil
	case "EOF":
		if p.reported == nil {
			return nil, nil
		}
		if answered := p.last == "ERROR"; answered != p.ledger.MayAnswerError() {
			return nil, fmt.Errorf("end of stream behind %s, MayAnswerError = %v", p.last, !answered)
		}
		return []byte{}, nil
	}
	verdict := map[string]wire.Verdict{"OK": wire.Accept, "TOO_LARGE": wire.Refuse}[tok.what] // else Hold
	after := p.ledger
	step := after.Next(verdict)
	if step == wire.Wait {
		return nil, nil
	}
	if stepNames[step] != tok.what {
		return nil, fmt.Errorf("%s is to be written, expected %s", stepNames[step], tok.what)
	}
	p.ledger = after
	return map[wire.Step][]byte{
		wire.WriteOK:       {byte(wire.OK)},
		wire.WriteConflict: {byte(wire.Conflict)},
		wire.WriteTooLarge: {byte(wire.TooLarge)},
		wire.WritePayload:  tok.data,
	}[step], nil
}

// payEmpty writes a payload of 0 bytes, which is no item of a vector.
func (p *player) payEmpty() bool {
	after := p.ledger
	if !p.ledger.Owing() || p.size > 0 || after.Next(wire.Hold) != wire.WritePayload {
		return false
	}
	p.ledger = after
	return true
}

// parse parses n bytes, and reports whether that changed anything.
func (p *player) parse(n int) bool {
	if p.lawless || p.reported != nil {
		return false
	}
	piece := p.input[:min(n, len(p.input))]
	if !p.greeted {
		p.greeted = len(piece) > 0 && wire.CheckHello(piece[0]) == nil
		if p.greeted {
			p.input = p.input[1:]
		}
		return p.greeted
	}
	item, taken, err := p.ledger.Parse(piece)
	if err != nil {
		return errors.As(err, &p.reported)
	}
	if item.Kind == wire.Payload {
		p.arriving = append(p.arriving, piece[:taken]...)
		if item.Last {
			p.received = append(p.received, string(p.arriving))
			p.arriving = nil
		}
	}
	p.input = p.input[taken:]
	return taken > 0 || item.Kind != wire.Incomplete
}

// ended says what is missing when nobody can go on.
func (p *player) ended(violation wire.Violation) error {
	switch {
	case len(p.script) > 0:
		return fmt.Errorf("can't write %s %x, and has %x unparsed", p.script[0].what, p.script[0].data, p.input)
	case p.lawless:
		return nil
	case violation != 0:
		if p.reported == nil || p.reported.Violation != violation {
			return fmt.Errorf("reported %v, expected %v", p.reported, violation)
		}
		return nil
	case p.reported != nil:
		return p.reported
	case len(p.input) > 0 || p.ledger.End() != io.EOF:
		return fmt.Errorf("%x unparsed, and an end that is not clean: %w", p.input, p.ledger.End())
	}
	return nil
}
