package wire_test

import (
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/wire"
)

func TestEveryByteInEveryState(t *testing.T) {
	for _, state := range states {
		t.Run(state.name, func(t *testing.T) {
			before := reach(state.acts)
			next := 0
			for _, r := range state.bytes {
				for ; next <= int(r.last); next++ {
					if next < int(r.first) {
						t.Fatalf("the table skips byte %#02x", next)
					}
					l := before
					if got := outcome(t, &l, byte(next)); got != r.outcome {
						t.Errorf("byte %#02x: %s, expected: %s", next, got, r.outcome)
					}
				}
			}
			if next != 256 {
				t.Errorf("the table ends at byte %#02x", next)
			}
		})
	}
}

// outcome parses one byte and checks how much of it is taken.
func outcome(t *testing.T, l *wire.Ledger, b byte) string {
	t.Helper()
	before := *l
	item, n, err := l.Parse([]byte{b})
	if err != nil {
		checkViolation(t, before, l, b, err)
		return violationOf(err)
	}
	taken, what := 1, describe(item)
	switch {
	case item.Kind == wire.Payload:
		taken = int(item.Size)
	case item.Kind == wire.Incomplete && n == 0:
		taken, what = 0, "unparsed"
		if *l != before {
			t.Errorf("byte %#02x is not parsed, but changes the ledger", b)
		}
	case item.Kind == wire.Incomplete:
		what = "size"
	case item.Kind == wire.Offer:
		what = "offer"
		if item.Size != uint32(b) { // the states before it have only zeros
			t.Errorf("byte %#02x completes an offer of %d", b, item.Size)
		}
	}
	if n != taken || l.Offset() != before.Offset()+int64(taken) {
		t.Errorf("byte %#02x (%s): %d bytes taken, Offset from %d to %d", b, what, n, before.Offset(), l.Offset())
	}
	return what
}

// checkViolation asserts that an error tells where it is, and that it is final.
func checkViolation(t *testing.T, before wire.Ledger, l *wire.Ledger, b byte, err error) {
	t.Helper()
	e, ok := err.(*wire.ProtocolError)
	if !ok || e.Seen != b || e.Offset != before.Offset() {
		t.Errorf("byte %#02x at %d: %#v", b, before.Offset(), err)
	}
	if _, n, again := l.Parse([]byte{b}); n != 0 || violationOf(again) != violationOf(err) {
		t.Errorf("byte %#02x again: %d bytes taken, error %v", b, n, again)
	}
}

func TestEndInEveryState(t *testing.T) {
	for _, state := range states {
		t.Run(state.name, func(t *testing.T) {
			l := reach(state.acts)
			before := l
			got := l.End()
			if state.end == io.EOF {
				if got != io.EOF {
					t.Errorf("not clean: %v", got)
				}
			} else if diff := cmp.Diff(state.end, got); diff != "" {
				t.Errorf("End (-want +got):\n%s", diff)
			}
			if l != before {
				t.Error("End changes the ledger")
			}
		})
	}
}

func TestNextInEveryState(t *testing.T) {
	want := map[string]string{ // under Hold, Accept and Refuse
		"debts: answer":                        "; OK; TOO_LARGE",
		"notes: answer; debts: answer":         "; OK; TOO_LARGE",
		"debts: payload":                       "PAYLOAD; PAYLOAD; PAYLOAD",
		"debts: payload; 1 byte of a size":     "PAYLOAD; PAYLOAD; PAYLOAD",
		"debts: payload; 2 bytes of a size":    "PAYLOAD; PAYLOAD; PAYLOAD",
		"debts: payload; 3 bytes of a size":    "PAYLOAD; PAYLOAD; PAYLOAD",
		"debts: answer, payload":               "CONFLICT, PAYLOAD; OK, PAYLOAD; TOO_LARGE, PAYLOAD",
		"debts: payload, answer":               "PAYLOAD; PAYLOAD, OK; PAYLOAD, TOO_LARGE",
		"notes: payload; debts: payload":       "PAYLOAD; PAYLOAD; PAYLOAD",
		"notes: empty payload; debts: payload": "PAYLOAD; PAYLOAD; PAYLOAD",
	}
	seen := 0
	for _, state := range states {
		expected, owes := want[state.name]
		if !owes {
			expected = "; ; "
		} else {
			seen++
		}
		hold, accept, refuse := reach(state.acts), reach(state.acts), reach(state.acts)
		got := fmt.Sprintf("%s; %s; %s", writes(wire.Hold)(&hold), writes(wire.Accept)(&accept), writes(wire.Refuse)(&refuse))
		if got != expected {
			t.Errorf("%s: writes %q, expected %q", state.name, got, expected)
		}
	}
	if seen != len(want) {
		t.Errorf("%d of %d states of this table exist", seen, len(want))
	}
}

func reach(acts []act) wire.Ledger {
	var l wire.Ledger
	for _, act := range acts {
		act(&l)
	}
	return l
}

// Whatever can be done to a ledger, by a peer or by its owner, leads to one of
// the states above: so what is tested in each of them is tested everywhere.
func TestStatesAreAll(t *testing.T) {
	type key struct { // tells apart what has a different future
		view
		offered, left uint32
	}
	keyOf := func(l wire.Ledger) key {
		offered, _ := l.PeerOffer()
		left, _ := l.Receiving()
		return key{viewOf(l), offered, left}
	}
	found := map[key]bool{keyOf(wire.Ledger{}): true}
	for todo := []wire.Ledger{{}}; len(todo) > 0; todo = todo[1:] {
		l := todo[0]
		next := make([]wire.Ledger, 0, 16)
		for _, v := range []wire.Verdict{wire.Hold, wire.Accept, wire.Refuse} {
			after := l
			after.Next(v)
			next = append(next, after)
		}
		if l.MayOffer() {
			after := l
			after.Offer(1)
			next = append(next, after)
		}
		input := []byte{0x00, 0xfc, 0xfd, 0xff}
		if size := viewOf(l).SizeBytes; size > 0 {
			input = input[:1] // sizes 0 and 1 are enough
			if size == wire.SizeLen-1 {
				input = append(input, 1)
			}
		}
		for i := range input {
			after := l
			if _, _, err := after.Parse(input[i : i+1]); err == nil {
				next = append(next, after)
			}
		}
		for _, after := range next {
			if k := keyOf(after); !found[k] {
				found[k] = true
				todo = append(todo, after)
			}
		}
	}
	reachable := map[view]bool{}
	for k := range found {
		reachable[k.view] = true
	}
	listed := map[view]bool{}
	for _, state := range states {
		listed[viewOf(reach(state.acts))] = true
	}
	byText := func(m map[view]bool) []string {
		var text []string
		for v := range m {
			text = append(text, fmt.Sprintf("%+v", v))
		}
		return slices.Sorted(slices.Values(text))
	}
	if diff := cmp.Diff(byText(listed), byText(reachable)); diff != "" {
		t.Errorf("states (-listed +reachable):\n%s", diff)
	}
}
