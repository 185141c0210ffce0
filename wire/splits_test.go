package wire_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/wire"
)

// splitSeeds are conversations that show every item and most violations.
var splitSeeds = []struct{ input, lengths, decisions string }{
	// Nothing, an offer, a message, empty messages.
	{"", "", ""},
	{"00000003", "01010101", "00"},
	{"00000003 6f6e65 00000000 00000005 7468726565", "0101010101010101", "01"},
	{"00000003 fffdfc 00000000 00000001 00", "0300050002", "01"},
	// Our offer accepted, deferred, refused; the peer's offer refused.
	{"00000002 ff ffff ff 00000001 ff fc", "0402010101", "05"},
	{"00000002 fd 6162 ff", "05010101", "05"},
	{"00000000 fd 00000000 fd fc", "0101010101010101010101", "0d"},
	{"fc fc ff ff", "0101", "04"},
	{"0000ffff 00000001 61", "0303", "02"},
	// Bytes before their time.
	{"00000004 00000001 00000002 6161", "0603", "00000001"},
	{"ff 00000001 ff", "0202", "0400"},
	// Violations.
	{"ff", "", "00"},
	{"fe", "", "04"},
	{"fd", "", "04"},
	{"f1545002", "01", "00"},
	{"00000001 00000001", "0701", "0405"},
}

func FuzzLedgerSplits(f *testing.F) {
	for _, seed := range splitSeeds {
		f.Add(unhex(seed.input), unhex(seed.lengths), unhex(seed.decisions))
	}
	f.Fuzz(func(t *testing.T, input, lengths, decisions []byte) {
		whole := listen(t, parsed, [][]byte{input}, decisions)
		for _, payload := range []taking{parsed, moved} {
			parts := listen(t, payload, split(input, lengths), decisions)
			if diff := cmp.Diff(whole.heard, parts.heard); diff != "" {
				t.Errorf("what was heard (-in one piece +in pieces, %s):\n%s", payload, diff)
			}
			if whole.ledger != parts.ledger {
				t.Errorf("the state in the end:\n%+v in one piece\n%+v in pieces, %s", whole.ledger, parts.ledger, payload)
			}
		}
	})
}

// Every cut in two, and every byte alone, of every seed.
func TestASplitChangesNothing(t *testing.T) {
	kinds := map[string]bool{}
	for _, seed := range splitSeeds {
		input, decisions := unhex(seed.input), unhex(seed.decisions)
		whole := listen(t, parsed, [][]byte{input}, decisions)
		for _, kind := range whole.kinds {
			kinds[kind] = true
		}
		ways := [][][]byte{split(input, make([]byte, 3))}
		for cut := range input {
			ways = append(ways, [][]byte{input[:cut], input[cut:]})
		}
		var single [][]byte
		for i := range input {
			single = append(single, input[i:i+1])
		}
		for _, pieces := range append(ways, single, [][]byte{input}) {
			for _, payload := range []taking{parsed, moved} {
				parts := listen(t, payload, pieces, decisions)
				if diff := cmp.Diff(whole.heard, parts.heard); diff != "" {
					t.Errorf("%s as %x, %s (-in one piece +in pieces):\n%s", seed.input, pieces, payload, diff)
				}
			}
		}
	}
	// Without these the seeds would prove little.
	for _, kind := range []string{"offer", "payload", "accepted", "deferred", "refused", "violation", "unparsed", "empty"} {
		if !kinds[kind] {
			t.Errorf("no seed shows: %s", kind)
		}
	}
}

// split cuts p into pieces of these lengths, 0 included, and the rest.
func split(p, lengths []byte) [][]byte {
	var pieces [][]byte
	for _, length := range lengths {
		n := min(int(length), len(p))
		pieces = append(pieces, p[:n])
		p = p[n:]
	}
	return append(pieces, p)
}

// taking is how a listener takes a payload off its input.
type taking string

const (
	parsed taking = "payload parsed"
	moved  taking = "payload moved"
)

// listener is one end that hears an input and decides, after every item, what
// to answer and whether to offer.
type listener struct {
	t         testing.TB
	ledger    wire.Ledger
	payload   taking
	decisions []byte
	decided   int

	message []byte   // what has arrived of it
	heard   []string // items, with their payloads in one piece, and decisions
	kinds   []string
}

func listen(t testing.TB, payload taking, pieces [][]byte, decisions []byte) *listener {
	t.Helper()
	if len(decisions) == 0 {
		decisions = []byte{0}
	}
	l := &listener{t: t, payload: payload, decisions: decisions}
	l.decide()
	var kept []byte
	ok := true
	for _, piece := range pieces {
		if kept, ok = l.parse(slices.Concat(kept, piece)); !ok {
			return l
		}
	}
	for range 4 { // what came early can be parsed after a decision
		if len(kept) > 0 {
			l.note("unparsed", "%x", kept)
		}
		l.decide()
		if kept, ok = l.parse(kept); !ok {
			return l
		}
	}
	l.note("end", "%v, %x unparsed, %x of a payload", l.ledger.End(), kept, l.message)
	return l
}

func (l *listener) note(kind, format string, args ...any) {
	l.heard = append(l.heard, kind+" "+fmt.Sprintf(format, args...))
	l.kinds = append(l.kinds, kind)
}

// parse returns what was left unparsed, and whether there was no error.
func (l *listener) parse(p []byte) ([]byte, bool) {
	for {
		item, n, err := l.take(p)
		if err != nil {
			l.checkError(err, p, n)
			l.note("violation", "%v", err)
			return nil, false
		}
		if n > len(p) {
			l.t.Fatalf("%d bytes parsed of %d", n, len(p))
		}
		switch item.Kind {
		case wire.Incomplete:
			return p[n:], true
		case wire.Payload:
			l.message = append(l.message, p[:n]...)
			if int(item.Size) != n || n == 0 && !item.Last {
				l.t.Fatalf("%+v of %d bytes", item, n)
			}
			if item.Last {
				kind := "payload"
				if len(l.message) == 0 {
					kind = "empty"
				}
				l.note(kind, "%x", l.message)
				l.message = nil
				l.decide()
			}
		case wire.Offer:
			l.note("offer", "%d", item.Size)
			l.decide()
		case wire.Accepted, wire.Deferred, wire.Refused:
			l.note(describe(item), "by %x", p[:n])
			l.decide()
		default:
			l.t.Fatalf("unknown item %+v", item)
		}
		p = p[n:]
	}
}

// take takes the next item off p.
func (l *listener) take(p []byte) (wire.Item, int, error) {
	if left, _ := l.ledger.Receiving(); l.payload == moved && l.ledger.PayloadNext() {
		item := l.ledger.Moved(min(left, uint32(len(p))))
		return item, int(item.Size), nil
	}
	return l.ledger.Parse(p)
}

// checkError asserts that the error is what the package promises, and final.
func (l *listener) checkError(err error, p []byte, n int) {
	e, ok := err.(*wire.ProtocolError)
	if !ok || !errors.Is(err, wire.ErrProtocol) || n != 0 || e.Seen != p[0] || e.Offset != l.ledger.Offset() {
		l.t.Fatalf("%d bytes parsed of %x, %#v", n, p, err)
	}
	if _, _, again := l.ledger.Parse(p); again == nil || again.Error() != err.Error() {
		l.t.Fatalf("%v, and then %v", err, again)
	}
}

// decide takes the next decision: its lowest two bits are the verdict, the
// third whether to offer, the fourth whether only behind what is owed (R7), the
// rest the size.
func (l *listener) decide() {
	d := l.decisions[l.decided%len(l.decisions)]
	l.decided++
	offer := func() {
		if d&4 != 0 && l.ledger.MayOffer() {
			l.ledger.Offer(uint32(d >> 4))
			l.note("offers", "%d", d>>4)
		}
	}
	if d&8 == 0 {
		offer()
	}
	verdict := [...]wire.Verdict{wire.Hold, wire.Accept, wire.Refuse, wire.Accept}[d&3]
	for step := l.ledger.Next(verdict); step != wire.Wait; step = l.ledger.Next(verdict) {
		l.note("writes", "%s", stepNames[step])
	}
	offer()
}
