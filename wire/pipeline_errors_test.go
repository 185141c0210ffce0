package wire_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/wire"
)

// Offsets count from the Terms on, the byte behind them is 0.
func TestAViolationInPipelinedModeSaysWhatWasSeenAndWhatWasExpected(t *testing.T) {
	const (
		newItem   = "the first byte of a size, OK, TOO_LARGE, PING, PONG or BYE"
		noMessage = "no message before an answer of ours"
		behindBye = "an answer, PING, PONG or the end of the stream"
		anyOther  = "any other item"
		newSize   = "the first byte of a size"
	)
	named := map[wire.Violation]bool{}
	for _, tt := range []struct {
		name           string
		before         []event
		input          string
		want           wire.ProtocolError
		seen, expected string
	}{
		{
			"OK while nothing is unanswered", nil, "ff",
			wire.ProtocolError{Violation: wire.UnaskedAnswer, Seen: 0xff, Offset: 0},
			"0xff (OK)", newSize,
		},
		{
			"TOO_LARGE behind the last answer", []event{sends(1)}, "00000001 61 ff fc",
			wire.ProtocolError{Violation: wire.UnaskedAnswer, Seen: 0xfc, Offset: 6},
			"0xfc (TOO_LARGE)", newSize,
		},
		{
			"a byte without meaning", nil, "00000000 f1",
			wire.ProtocolError{Violation: wire.UnknownItem, Seen: 0xf1, Offset: 4},
			"0xf1", newItem,
		},
		{
			"CONFLICT", []event{sends(1)}, "fd",
			wire.ProtocolError{Violation: wire.UnknownItem, Seen: 0xfd, Offset: 0},
			"0xfd (CONFLICT)", newItem,
		},
		{
			"CONLIMIT", []event{sends(1)}, "f2 fe",
			wire.ProtocolError{Violation: wire.UnknownItem, Seen: 0xfe, Offset: 1},
			"0xfe (CONLIMIT)", newItem,
		},
		{
			"more messages than the window has", []event{message(1), message(1), message(1)}, "00000000",
			wire.ProtocolError{Violation: wire.WindowOverrun, Seen: 0x00, Offset: 15},
			"0x00", noMessage,
		},
		{
			"more bytes than the window has", []event{message(60)}, "10000000",
			wire.ProtocolError{Violation: wire.WindowOverrun, Seen: 0x10, Offset: 64},
			"0x10", noMessage,
		},
		{
			"more bytes than the window has, in a size that comes in pieces", []event{message(60), comes("100000")}, "00",
			wire.ProtocolError{Violation: wire.WindowOverrun, Seen: 0x10, Offset: 64},
			"0x10", noMessage,
		},
		{
			"a message behind one larger than the window", []event{message(101)}, "00000000",
			wire.ProtocolError{Violation: wire.WindowOverrun, Seen: 0x00, Offset: 105},
			"0x00", noMessage,
		},
		{
			"a message behind BYE", []event{comes("f4")}, "00",
			wire.ProtocolError{Violation: wire.DataAfterBye, Seen: 0x00, Offset: 1},
			"0x00", behindBye,
		},
		{
			"BYE behind BYE", []event{comes("f4")}, "f2 f4",
			wire.ProtocolError{Violation: wire.SecondBye, Seen: 0xf4, Offset: 2},
			"0xf4 (BYE)", behindBye,
		},
		{
			"PING behind PING", nil, "f2 00000000 f2",
			wire.ProtocolError{Violation: wire.SecondPing, Seen: 0xf2, Offset: 5},
			"0xf2 (PING)", anyOther,
		},
		{
			"PONG without PING", nil, "f3",
			wire.ProtocolError{Violation: wire.UnaskedPong, Seen: 0xf3, Offset: 0},
			"0xf3 (PONG)", anyOther,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			named[tt.want.Violation] = true
			l := after(tt.before...)
			checkProtocolError(t, takeAll(l, unhex(tt.input)), tt.want, tt.seen, tt.expected)
		})
	}
	for v := wire.UnknownItem; v <= wire.UnaskedPong; v++ {
		if !named[v] {
			t.Errorf("no case for %v", v)
		}
	}
}

// Before our terms are out there is no Pipeline: who holds them back recognises
// what comes too early.
func TestAnItemBeforeOurTermsIsAViolationToo(t *testing.T) {
	e := wire.ProtocolError{Violation: wire.EarlyItem, Seen: 0xf2, Offset: 12}
	checkProtocolError(t, &e, e, "0xf2 (PING)", "nothing before them")
}

// takeAll parses until there is an error, or no more input.
func takeAll(l *wire.Pipeline, p []byte) error {
	for {
		item, n, err := l.Parse(p)
		if err != nil || item.Kind == wire.Incomplete {
			return err
		}
		p = p[n:]
	}
}

const lastViolation = wire.EarlyItem

func TestEveryViolationInPipelinedModeHasANameOfItsOwn(t *testing.T) {
	names := map[string]wire.Violation{}
	for v := wire.UnaskedAnswer; v <= lastViolation+1; v++ {
		if other, ok := names[v.String()]; ok {
			t.Errorf("%d and %d are both called %q", other, v, v)
		}
		names[v.String()] = v
	}
	if got, want := (lastViolation + 1).String(), fmt.Sprintf("violation %d", lastViolation+1); got != want {
		t.Errorf("an unknown violation is called %q, expected %q", got, want)
	}
}

func TestAnIncompleteEndInPipelinedModeSaysWhatIsMissing(t *testing.T) {
	byes := []event{saysBye, comes("f4")}
	for _, tt := range []struct {
		name   string
		events []event
		want   string
	}{
		{"before anything", nil, "neither end had said BYE"},
		{"before the peer's BYE", []event{saysBye}, "the peer had not said BYE"},
		{"before our BYE, with an answer of ours due", []event{message(1), comes("f4")}, "1 of the peer's messages were not answered, we had not said BYE"},
		{"before an answer of the peer's", append([]event{sends(1), sends(2)}, byes...), "2 of our messages were not answered"},
		{"before an answer of ours", append([]event{message(1)}, byes...), "1 of the peer's messages were not answered"},
		{
			"before answers of both, and the peer's BYE", []event{message(1), message(1), sends(1), saysBye},
			"1 of our messages were not answered, 2 of the peer's messages were not answered, the peer had not said BYE",
		},
		{
			"inside a size", []event{comes("0000")},
			"2 of 4 bytes of a size had arrived, neither end had said BYE",
		},
		{
			"inside a message, which is not one that waits for our answer", []event{message(1), comes("00000005 6865")},
			"2 of 5 payload bytes had arrived, 1 of the peer's messages were not answered, neither end had said BYE",
		},
		{
			"before the first byte of a message", []event{saysBye, comes("00000005")},
			"0 of 5 payload bytes had arrived, the peer had not said BYE",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := after(tt.events...).End()
			var incomplete *wire.IncompleteError
			if !errors.As(err, &incomplete) || !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, wire.ErrProtocol) {
				t.Fatalf("%T matches the wrong errors: %v", err, err)
			}
			if diff := cmp.Diff("unfinished: "+tt.want, err.Error()); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if incomplete.Collided() {
				t.Error("there are no collisions in pipelined mode, but Collided is true")
			}
		})
	}
}

func TestTheEndIsCleanBehindBothByesAndAllAnswers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		events []event
	}{
		{"nothing was sent", []event{saysBye, comes("f4")}},
		{"the peer said BYE first", []event{comes("f4"), saysBye}},
		{"the last answers come behind the BYEs", []event{sends(1), message(1), saysBye, comes("f4"), answers, comes("ff")}},
		{"TOO_LARGE is an answer", []event{sends(1), saysBye, comes("f4 fc")}},
		{"PINGs may stay without PONG", []event{pings, comes("f2"), saysBye, comes("f4")}},
	} {
		if err := after(tt.events...).End(); err != io.EOF {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
