package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/wire"
)

// pipelineSeeds are conversations that show every item and every violation. The
// first of the decisions says what both ends grant: see hearing.
var pipelineSeeds = []struct{ input, lengths, decisions string }{
	// Nothing, a message, empty messages, several in one piece, without an answer
	// and with one.
	{"", "", "03"},
	{"00000003 6f6e65", "0101010101", "03 00"},
	{"00000003 fff2fc 00000000 00000005 7468726565 00000000", "0300050002", "03 00"},
	{"00000003 fff2fc 00000000 00000005 7468726565 00000000", "0101010101010101", "00 01"},
	// Answers between messages, and all at once.
	{"00000001 61 ff 00000000 fc", "05010101", "03 44"},
	{"ff 00000000 ff f2 fc 00000002 6161", "02030201", "03 44 24 04"},
	// PING, PONG and BYE of both.
	{"f3 f2 00000001 f2 f3 f2 f4 ff", "01010101010101", "03 2c 08 08"},
	{"f2 f4 f3 ff fc", "0102", "03 44 48 90"},
	// A clean end.
	{"00000002 f4f4 ff f4", "0301", "03 44 01 01 11"},
	// Violations.
	{"ff", "", "03"},
	{"00000000 fc", "0301", "03"},
	{"f1545002", "01", "03"},
	{"00000000 fd", "02", "03 04"},
	{"f2 f2", "01", "03"},
	{"f3", "", "03"},
	{"f4 f4", "01", "03"},
	{"f4 00000000", "0101", "03"},
	{"00000001 61 00000001", "050101", "00 00"},
	{"00000001 61 00000000", "0502", "01 00"},
	{"00000005 6161616161 00000005", "0a0101", "02 00"},
	{"00000009 ffffffffffffffffff 00000000", "0d0101", "02 00"},
	// The largest size, and the largest piece of it.
	{"f0ffffff 616263", "01010101", "03"},
}

func FuzzPipelineSplits(f *testing.F) {
	for _, seed := range pipelineSeeds {
		f.Add(unhex(seed.input), unhex(seed.lengths), unhex(seed.decisions))
	}
	f.Fuzz(func(t *testing.T, input, lengths, decisions []byte) {
		whole := hearing(t, parsed, [][]byte{input}, decisions)
		for _, payload := range []taking{parsed, moved} {
			parts := hearing(t, payload, split(input, lengths), decisions)
			if diff := cmp.Diff(whole.heard, parts.heard); diff != "" {
				t.Errorf("what was heard (-in one piece +in pieces, %s):\n%s", payload, diff)
			}
		}
	})
}

// Every cut in two, and every byte alone, of every seed.
func TestASplitChangesNothingInPipelinedMode(t *testing.T) {
	kinds := map[string]bool{}
	for _, seed := range pipelineSeeds {
		input, decisions := unhex(seed.input), unhex(seed.decisions)
		whole := hearing(t, parsed, [][]byte{input}, decisions)
		for _, kind := range whole.kinds {
			kinds[kind] = true
		}
		ways := [][][]byte{split(input, make([]byte, 3)), split(input, unhex(seed.lengths)), {input}}
		for cut := range input {
			ways = append(ways, [][]byte{input[:cut], input[cut:]})
		}
		var single [][]byte
		for i := range input {
			single = append(single, input[i:i+1])
		}
		for _, pieces := range append(ways, single) {
			for _, payload := range []taking{parsed, moved} {
				parts := hearing(t, payload, pieces, decisions)
				if diff := cmp.Diff(whole.heard, parts.heard); diff != "" {
					t.Errorf("%s as %x, %s (-in one piece +in pieces):\n%s", seed.input, pieces, payload, diff)
				}
			}
		}
	}
	// Without these the seeds would prove little.
	want := []string{"data", "payload", "empty", "accepted", "refused", "PING", "PONG", "BYE", "answers", "sends", "pings", "pongs", "says BYE", "clean end"}
	for v := wire.UnknownItem; v <= wire.UnaskedPong; v++ {
		want = append(want, v.String())
	}
	for _, kind := range append(want, wire.UnaskedAnswer.String()) {
		if !kinds[kind] {
			t.Errorf("no seed shows: %s", kind)
		}
	}
}

// hearer is one end that hears an input and decides, after every item, what to
// write.
type hearer struct {
	t         testing.TB
	pipe      *wire.Pipeline
	payload   taking
	decisions []byte
	decided   int

	input    []byte // all of it
	taken    int    // bytes of it
	began    int    // where the item begins that is next, or incomplete
	complete int    // messages that have no answer
	asked    bool   // by a PING

	message []byte   // what has arrived of it
	heard   []string // items, with their payloads in one piece, and decisions
	kinds   []string
}

// hearing has an end hear an input in pieces. The first decision is what both ends
// grant.
func hearing(t testing.TB, payload taking, pieces [][]byte, decisions []byte) *hearer {
	t.Helper()
	if len(decisions) == 0 {
		decisions = []byte{0}
	}
	terms := [...]wire.Terms{window(1, noLimit), window(9, 0), window(3, 8), window(100, 1000)}[decisions[0]&3]
	if decisions = decisions[1:]; len(decisions) == 0 {
		decisions = []byte{0}
	}
	h := &hearer{
		t: t, pipe: wire.NewPipeline(terms, terms), payload: payload, decisions: decisions,
		input: bytes.Join(pieces, nil),
	}
	h.decide()
	for _, piece := range pieces {
		if !h.parse(piece) {
			return h
		}
	}
	left, inside := h.pipe.Receiving()
	view := viewOfPipeline(h.pipe, 0, 1, 8, 9)
	h.note("the state in the end", "%+v, %x of a payload, %d left: %v", view, h.message, left, inside)
	if view.End == "EOF" {
		h.note("clean end", "")
	}
	if int(view.Offset) != len(h.input) || h.taken != len(h.input) {
		t.Fatalf("Offset %d, %d bytes taken of %d", view.Offset, h.taken, len(h.input))
	}
	return h
}

func (h *hearer) note(kind, format string, args ...any) {
	h.heard = append(h.heard, kind+" "+fmt.Sprintf(format, args...))
	h.kinds = append(h.kinds, kind)
}

// parse takes all of a piece, and reports whether there was no error.
func (h *hearer) parse(p []byte) bool {
	for {
		item, n, err := h.take(p)
		if err != nil {
			h.checkError(err, p, n)
			return false
		}
		if n > len(p) {
			h.t.Fatalf("%d bytes parsed of %d", n, len(p))
		}
		h.taken += n
		if item.Kind == wire.Incomplete {
			if n < len(p) {
				h.t.Fatalf("incomplete, with %x unparsed", p[n:])
			}
			return true
		}
		h.hear(item, p[:n])
		p = p[n:]
	}
}

// hear notes an item and decides what to write behind it.
func (h *hearer) hear(item wire.Item, p []byte) {
	switch item.Kind {
	case wire.Payload:
		h.message = append(h.message, p...)
		if int(item.Size) != len(p) || len(p) == 0 && !item.Last {
			h.t.Fatalf("%+v of %d bytes", item, len(p))
		}
		if !item.Last {
			return
		}
		kind := "payload"
		if len(h.message) == 0 {
			kind = "empty"
		}
		h.note(kind, "%x", h.message)
		h.message = nil
		h.complete++
	case wire.Data:
		h.note("data", "of %d", item.Size)
	case wire.Accepted:
		h.note("accepted", "%d by %x", item.Size, p)
	case wire.Refused:
		h.note("refused", "%d by %x", item.Size, p)
	case wire.PingItem, wire.PongItem, wire.ByeItem:
		h.note(describeItem(item), "by %x", p)
		h.asked = h.asked || item.Kind == wire.PingItem
	default:
		h.t.Fatalf("unknown item %+v", item)
	}
	h.began = h.taken
	h.decide()
	if h.payload == moved {
		h.pipe.Trim() // which nobody hears
	}
}

// take takes the next item off p.
func (h *hearer) take(p []byte) (wire.Item, int, error) {
	if left, inside := h.pipe.Receiving(); h.payload == moved && inside {
		item := h.pipe.Moved(min(left, uint32(len(p))))
		return item, int(item.Size), nil
	}
	return h.pipe.Parse(p)
}

// checkError asserts that the error is what the package promises, about the first
// byte of an item, and final.
func (h *hearer) checkError(err error, p []byte, n int) {
	e, ok := err.(*wire.ProtocolError)
	if !ok || !errors.Is(err, wire.ErrProtocol) || n != 0 || int(e.Offset) != h.began || e.Seen != h.input[h.began] {
		h.t.Fatalf("%d bytes parsed of %x where an item began at %d: %#v", n, p, h.began, err)
	}
	if _, _, again := h.pipe.Parse(p); again == nil || again.Error() != err.Error() {
		h.t.Fatalf("%v, and then %v", err, again)
	}
	h.note(e.Violation.String(), "%v", err)
}

// decide takes the next decision: its lowest two bits are how many messages to
// answer, the third whether to send one, the fourth whether to say PING, and PONG
// if asked, the fifth whether to say BYE, the rest a size.
func (h *hearer) decide() {
	d := h.decisions[h.decided%len(h.decisions)]
	h.decided++
	if n := min(int(d&3), h.complete); n > 0 {
		for range n {
			h.pipe.Answer()
		}
		h.complete -= n
		h.note("answers", "%d", n)
	}
	if size := uint32(d >> 5); d&4 != 0 && h.pipe.MaySend(size) {
		h.pipe.Send(size)
		h.note("sends", "%d", size)
	}
	if d&8 != 0 && h.pipe.MayPing() {
		h.pipe.Ping()
		h.note("pings", "")
	}
	if d&8 != 0 && h.asked {
		h.pipe.Pong()
		h.asked = false
		h.note("pongs", "")
	}
	if bye, _ := h.pipe.Byes(); d&16 != 0 && !bye {
		h.pipe.Bye()
		h.note("says BYE", "")
	}
}
