package wire_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/wire"
)

// moves is payload that is taken off the stream without Parse, and what the
// ledger then says of the message.
func moves(n uint32) act {
	return func(l *wire.Ledger) string {
		item := l.Moved(n)
		left, receiving := l.Receiving()
		return fmt.Sprintf("%s, %d left of it: %t, next: %t, at %d", describe(item), left, receiving, l.PayloadNext(), l.Offset())
	}
}

func TestPayloadThatIsMovedIsPayloadThatIsParsed(t *testing.T) {
	const max = wire.MaxSize
	playAll(t, []ruleTest{
		{"all at once", []line{
			{arrives("00000003"), "offer of 3"},
			{writes(wire.Accept), "OK"},
			{moves(3), "payload 3 last, 0 left of it: false, next: false, at 7"},
			{arrives("00000001"), "offer of 1"},
		}},
		{"in pieces", []line{
			{arrives("00000003"), "offer of 3"},
			{writes(wire.Accept), "OK"},
			{moves(1), "payload 1, 2 left of it: true, next: true, at 5"},
			{moves(1), "payload 1, 1 left of it: true, next: true, at 6"},
			{moves(1), "payload 1 last, 0 left of it: false, next: false, at 7"},
		}},
		{"behind what was parsed, and before", []line{
			{arrives("00000005"), "offer of 5"},
			{writes(wire.Accept), "OK"},
			{arrives("61"), "payload 1"},
			{moves(2), "payload 2, 2 left of it: true, next: true, at 7"},
			{arrives("6161 00000001"), "payload 2 last, offer of 1"},
		}},
		{"nothing yet", []line{
			{arrives("00000003"), "offer of 3"},
			{writes(wire.Accept), "OK"},
			{moves(0), "incomplete, 3 left of it: true, next: true, at 4"},
			{moves(3), "payload 3 last, 0 left of it: false, next: false, at 7"},
		}},
		{"the largest message", []line{
			{arrives("f0ffffff"), "offer of 4043309055"},
			{writes(wire.Accept), "OK"},
			{moves(max - 1), fmt.Sprintf("payload %d, 1 left of it: true, next: true, at %d", int64(max)-1, int64(max)+3)},
			{moves(1), fmt.Sprintf("payload 1 last, 0 left of it: false, next: false, at %d", int64(max)+4)},
			{arrives("00000001"), "offer of 1"},
		}},
		{"behind an answer that is due first", []line{
			{offers(2), "SIZE"},
			{arrives("00000003"), "offer of 3"},
			{writes(wire.Accept), "OK"},
			{arrives("ff"), "accepted"},
			{moves(3), "payload 3 last, 0 left of it: false, next: false, at 8"},
			{writes(wire.Hold), "PAYLOAD"},
		}},
		// R5: the payload behind the CONFLICT allows the next offer, as if it was parsed.
		{"behind a conflict", []line{
			{offers(2), "SIZE"},
			{arrives("00000003"), "offer of 3"},
			{writes(wire.Accept), "OK"},
			{arrives("fd"), "deferred"},
			{moves(2), "payload 2, 1 left of it: true, next: true, at 7"},
			{offers(2), "may not"},
			{moves(1), "payload 1 last, 0 left of it: false, next: false, at 8"},
			{offers(2), "SIZE"},
		}},
	})
}

func TestTheEndInsideAPayloadThatIsMovedSaysHowMuchCame(t *testing.T) {
	var l wire.Ledger
	if _, _, err := l.Parse(unhex("0000000a")); err != nil {
		t.Fatal(err)
	}
	l.Next(wire.Accept)
	l.Moved(7)
	want := &wire.IncompleteError{Accepted: true, PayloadBytes: 7, Payload: 10}
	if diff := cmp.Diff(want, l.End()); diff != "" {
		t.Errorf("End (-want +got):\n%s", diff)
	}
	if !l.InsideItem() {
		t.Error("the peer owes bytes, expected InsideItem")
	}
}
