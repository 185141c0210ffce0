package wire_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/wire"
)

// act is something that happens to one end. It returns what comes of it, in
// words, so that a test reads like a conversation.
type act func(*wire.Ledger) string

// arrives is input, parsed as far as it can be.
func arrives(input string) act {
	p := unhex(input)
	return func(l *wire.Ledger) string {
		var seen []string
		rest := p
		for {
			item, n, err := l.Parse(rest)
			if err != nil {
				return strings.Join(append(seen, violationOf(err)), ", ")
			}
			rest = rest[n:]
			if item.Kind == wire.Incomplete {
				break
			}
			seen = append(seen, describe(item))
		}
		if len(rest) > 0 {
			seen = append(seen, fmt.Sprintf("%d bytes unparsed", len(rest)))
		}
		return strings.Join(seen, ", ")
	}
}

// parses is input in a single call of Parse, which may leave an empty payload
// for the next.
func parses(input string) act {
	p := unhex(input)
	return func(l *wire.Ledger) string {
		item, n, err := l.Parse(p)
		if err != nil {
			return violationOf(err)
		}
		return fmt.Sprintf("%s, %d of %d bytes", describe(item), n, len(p))
	}
}

// writes is all that may be written now, under the verdict on the peer's offer.
func writes(v wire.Verdict) act {
	return func(l *wire.Ledger) string {
		var steps []string
		for step := l.Next(v); step != wire.Wait; step = l.Next(v) {
			steps = append(steps, stepNames[step])
		}
		return strings.Join(steps, ", ")
	}
}

// offers is a new size of ours, if the ledger lets us write one.
func offers(size uint32) act {
	return func(l *wire.Ledger) string {
		if !l.MayOffer() {
			return "may not"
		}
		l.Offer(size)
		return "SIZE"
	}
}

// line is an act and what must come of it.
type line struct {
	act  act
	want string
}

// play runs a conversation on a new ledger and returns it.
func play(t *testing.T, lines ...line) wire.Ledger {
	t.Helper()
	var l wire.Ledger
	for i, line := range lines {
		if diff := cmp.Diff(line.want, line.act(&l)); diff != "" {
			t.Fatalf("line %d (-want +got):\n%s", i, diff)
		}
	}
	return l
}

var stepNames = map[wire.Step]string{
	wire.Wait:          "Wait",
	wire.WriteOK:       "OK",
	wire.WriteConflict: "CONFLICT",
	wire.WriteTooLarge: "TOO_LARGE",
	wire.WritePayload:  "PAYLOAD",
}

func describe(item wire.Item) string {
	switch item.Kind {
	case wire.Incomplete:
		return "incomplete"
	case wire.Offer:
		return fmt.Sprintf("offer of %d", item.Size)
	case wire.Payload:
		if item.Last {
			return fmt.Sprintf("payload %d last", item.Size)
		}
		return fmt.Sprintf("payload %d", item.Size)
	case wire.Accepted:
		return "accepted"
	case wire.Deferred:
		return "deferred"
	case wire.Refused:
		return "refused"
	}
	return fmt.Sprintf("%+v", item)
}

func violationOf(err error) string {
	if e, ok := err.(*wire.ProtocolError); ok {
		return e.Violation.String()
	}
	return fmt.Sprintf("%T: %v", err, err)
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func TestASizeMayBeSplitAnywhere(t *testing.T) {
	const size = "01020304"
	for cut := range 1 << 3 { // a bit for each of the three places
		var lines []line
		for from, i := 0, 1; i <= wire.SizeLen; i++ {
			switch {
			case i == wire.SizeLen:
				lines = append(lines, line{arrives(size[2*from:]), "offer of 16909060"})
			case cut&(1<<(i-1)) != 0:
				lines = append(lines, line{arrives(size[2*from : 2*i]), ""})
				from = i
			}
		}
		t.Run(fmt.Sprintf("in %d pieces, cuts %03b", len(lines), cut), func(t *testing.T) {
			l := play(t, lines...)
			if got := l.Offset(); got != wire.SizeLen {
				t.Errorf("Offset = %d behind a size", got)
			}
			if got, ok := l.PeerOffer(); got != 0x01020304 || !ok {
				t.Errorf("PeerOffer = %#x, %v", got, ok)
			}
		})
	}
}

// A size that has begun goes on, whatever is written meanwhile: each of its
// bytes may look like the answer that the new note awaits.
func TestANoteMadeInsideASizeWaitsForItsEnd(t *testing.T) {
	play(t,
		line{arrives("00ffff"), ""},
		line{offers(1), "SIZE"},
		line{arrives("ff"), "offer of 16777215"},
		line{arrives("ff"), "accepted"},
	)
}

func TestThePayloadIsUncopiedAndItsPiecesAreWhatThereIs(t *testing.T) {
	l := play(t,
		line{arrives("00000006"), "offer of 6"},
		line{writes(wire.Accept), "OK"},
		line{arrives("ff"), "payload 1"},
		line{arrives("fdfc"), "payload 2"},
		line{arrives(""), ""},
	)
	if left, ok := l.Receiving(); left != 3 || !ok {
		t.Errorf("Receiving = %d, %v after 3 of 6 bytes", left, ok)
	}
	if got := arrives("000000 00000001")(&l); got != "payload 3 last, offer of 1" {
		t.Errorf("the rest with the next size behind it: %s", got)
	}
	if got := l.Offset(); got != 4+6+4 {
		t.Errorf("Offset = %d", got)
	}
}

func TestTheLargestMessageArrives(t *testing.T) {
	l := play(t,
		line{arrives("f0ffffff"), "offer of 4043309055"},
		line{writes(wire.Accept), "OK"},
	)
	piece := make([]byte, 16<<20)
	var got int64
	for {
		item, n, err := l.Parse(piece)
		if err != nil || item.Kind != wire.Payload || int(item.Size) != n {
			t.Fatalf("behind %d bytes: %+v, %d, %v", got, item, n, err)
		}
		got += int64(n)
		if item.Last {
			break
		}
	}
	if got != wire.MaxSize || l.Offset() != wire.SizeLen+wire.MaxSize {
		t.Errorf("%d payload bytes, Offset %d", got, l.Offset())
	}
}

// No byte will come to complete a payload of 0: it is complete as soon as its
// note is the oldest, in whatever order the notes were made.
func TestAnEmptyPayloadCompletesWhenItsNoteIsTheOldest(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines []line
	}{
		{"at once, if it is the only note", []line{
			{arrives("00000000"), "offer of 0"},
			{writes(wire.Accept), "OK"},
			{arrives(""), "payload 0 last"},
		}},
		{"at once, if the answer is noted behind it", []line{
			{arrives("00000000"), "offer of 0"},
			{writes(wire.Accept), "OK"},
			{offers(1), "SIZE"},
			{arrives(""), "payload 0 last"},
			{arrives("ff"), "accepted"},
		}},
		{"at once, if the byte that came is an answer", []line{
			{arrives("00000000"), "offer of 0"},
			{writes(wire.Accept), "OK"},
			{offers(1), "SIZE"},
			{arrives("ff"), "payload 0 last, accepted"},
		}},
		{"when OK settles the answer before it", []line{
			{offers(1), "SIZE"},
			{arrives("00000000"), "offer of 0"},
			{writes(wire.Accept), "OK"},
			{arrives(""), ""},
			{arrives("ff"), "accepted, payload 0 last"},
		}},
		{"when CONFLICT settles the answer before it", []line{
			{offers(1), "SIZE"},
			{arrives("00000000"), "offer of 0"},
			{writes(wire.Accept), "OK"},
			{arrives("fd"), "deferred, payload 0 last"},
			{offers(1), "SIZE"},
		}},
		{"when TOO_LARGE settles the answer before it", []line{
			{offers(1), "SIZE"},
			{arrives("00000000"), "offer of 0"},
			{writes(wire.Accept), "OK"},
			{arrives("fc"), "refused, payload 0 last"},
		}},
		{"and the next size in the same piece is parsed behind it", []line{
			{offers(0), "SIZE"},
			{arrives("00000000"), "offer of 0"},
			{writes(wire.Accept), "OK"},
			{arrives("ff 00000000"), "accepted, payload 0 last, offer of 0"},
			{writes(wire.Accept), "PAYLOAD, OK"},
			{arrives("00000000"), "payload 0 last, offer of 0"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { play(t, tt.lines...) })
	}
}
