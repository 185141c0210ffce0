package wire_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/wire"
)

func TestAViolationSaysWhatWasSeenAndWhatWasExpected(t *testing.T) {
	const (
		newSize    = "the first byte of a size, 0x00 to 0xf0"
		anAnswer   = "OK, CONFLICT or TOO_LARGE"
		openAnswer = "an answer to the offer that is open"
	)
	named := map[wire.Violation]bool{}
	for _, tt := range []struct {
		name           string
		before         []act
		input          string
		want           wire.ProtocolError
		seen, expected string
	}{
		{
			"OK while nothing is offered", nil, "ff",
			wire.ProtocolError{Violation: wire.UnaskedAnswer, Seen: 0xff, Offset: 0},
			"0xff (OK)", newSize,
		},
		{
			"TOO_LARGE while nothing is offered", nil, "fc",
			wire.ProtocolError{Violation: wire.UnaskedAnswer, Seen: 0xfc, Offset: 0},
			"0xfc (TOO_LARGE)", newSize,
		},
		{
			"a second OK", []act{offers(1)}, "ff ff",
			wire.ProtocolError{Violation: wire.UnaskedAnswer, Seen: 0xff, Offset: 1},
			"0xff (OK)", newSize,
		},
		{
			"OK behind a payload",
			[]act{arrives("00000002"), writes(wire.Accept)}, "ffff ff",
			wire.ProtocolError{Violation: wire.UnaskedAnswer, Seen: 0xff, Offset: 6},
			"0xff (OK)", newSize,
		},
		{
			"CONLIMIT as an answer", []act{offers(1)}, "fe",
			wire.ProtocolError{Violation: wire.UnknownAnswer, Seen: 0xfe, Offset: 0},
			"0xfe (CONLIMIT)", anAnswer,
		},
		{
			"a byte without meaning as an answer, behind a size", []act{offers(1)}, "00000001 f1",
			wire.ProtocolError{Violation: wire.UnknownAnswer, Seen: 0xf1, Offset: 4},
			"0xf1", anAnswer,
		},
		{
			"CONFLICT from a peer to which we owe no payload", []act{offers(1)}, "fd",
			wire.ProtocolError{Violation: wire.BaselessConflict, Seen: 0xfd, Offset: 0},
			"0xfd (CONFLICT)", "OK or TOO_LARGE",
		},
		{
			"CONFLICT behind the payload",
			[]act{arrives("00000001"), writes(wire.Accept), offers(1)}, "61 fd",
			wire.ProtocolError{Violation: wire.BaselessConflict, Seen: 0xfd, Offset: 5},
			"0xfd (CONFLICT)", "OK or TOO_LARGE",
		},
		{
			"a size behind an unanswered one", []act{offers(1)}, "00000001 00000002",
			wire.ProtocolError{Violation: wire.SecondOffer, Seen: 0x00, Offset: 4},
			"0x00", openAnswer,
		},
		{
			"a size before the payload of the one before",
			[]act{offers(1), arrives("00000001"), writes(wire.Accept)}, "10000000",
			wire.ProtocolError{Violation: wire.SecondOffer, Seen: 0x10, Offset: 4},
			"0x10", openAnswer,
		},
		{
			"the smallest size that is too large", nil, "f1000000",
			wire.ProtocolError{Violation: wire.OversizeOffer, Seen: 0xf1, Offset: 0},
			"0xf1", newSize,
		},
		{
			"a size that is too large behind a message",
			[]act{arrives("00000000"), writes(wire.Accept)}, "fb",
			wire.ProtocolError{Violation: wire.OversizeOffer, Seen: 0xfb, Offset: 4},
			"0xfb", newSize,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			named[tt.want.Violation] = true
			l := reach(tt.before)
			err := parseAll(&l, unhex(tt.input))
			checkProtocolError(t, err, tt.want, tt.seen, tt.expected)
		})
	}
	t.Run("ERROR alone, as the answer to a legal size", func(t *testing.T) {
		want := wire.ProtocolError{Violation: wire.ErrorAnswer, Seen: 0x00, Offset: 5}
		named[want.Violation] = true
		l := reach([]act{arrives("00000001"), writes(wire.Accept), arrives("61"), offers(1), arrives("00")})
		checkProtocolError(t, l.End(), want, "0x00 (ERROR)", anAnswer)
	})
	for v := wire.UnaskedAnswer; v <= wire.OversizeOffer; v++ {
		if !named[v] {
			t.Errorf("no case for %v", v)
		}
	}
}

// parseAll parses until there is an error, or no more input.
func parseAll(l *wire.Ledger, p []byte) error {
	for {
		item, n, err := l.Parse(p)
		if err != nil || item.Kind == wire.Incomplete {
			return err
		}
		p = p[n:]
	}
}

func checkProtocolError(t *testing.T, err error, want wire.ProtocolError, seen, expected string) {
	t.Helper()
	var got *wire.ProtocolError
	if !errors.As(fmt.Errorf("wrapped: %w", err), &got) {
		t.Fatalf("%T: %v", err, err)
	}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if !errors.Is(err, wire.ErrProtocol) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, wire.ErrNotTinyproto) {
		t.Errorf("%v is to match ErrProtocol and no other sentinel", err)
	}
	for _, part := range []string{
		want.Violation.String(),
		"saw " + seen,
		fmt.Sprintf("at byte %d", want.Offset),
		"expected " + expected,
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestEveryViolationHasANameOfItsOwn(t *testing.T) {
	names := map[string]wire.Violation{}
	for v := wire.UnaskedAnswer; v <= wire.OversizeOffer+1; v++ {
		if other, ok := names[v.String()]; ok {
			t.Errorf("%d and %d are both called %q", other, v, v)
		}
		names[v.String()] = v
	}
	if got := (wire.OversizeOffer + 1).String(); got != "violation 7" {
		t.Errorf("an unknown violation is called %q", got)
	}
}

// ERROR looks like the first byte of a size: it must not be sent while the
// peer could take it for one, nor while it waits for a payload of ours.
func TestErrorIsAnAnswerOnlyWhileNoOfferOfOursIsOpen(t *testing.T) {
	for _, tt := range []struct {
		name string
		acts []act
		want bool
	}{
		{"nothing is open", nil, true},
		{"the peer's offer is unanswered", []act{arrives("00000001")}, true},
		{"ours is unanswered", []act{offers(1)}, false},
		{"ours is accepted, its payload not written", []act{offers(1), arrives("ff")}, false},
		{"ours is written", []act{offers(1), arrives("ff"), writes(wire.Hold)}, true},
		{"ours is refused", []act{offers(1), arrives("fc")}, true},
		{"ours is deferred", []act{offers(1), arrives("00000001"), writes(wire.Accept), arrives("fd")}, true},
	} {
		l := reach(tt.acts)
		if got := l.MayAnswerError(); got != tt.want {
			t.Errorf("%s: MayAnswerError = %v", tt.name, got)
		}
	}
}

func TestOnlyInsideAnItemIsSilenceOfThePeerAStall(t *testing.T) {
	for _, state := range states {
		l := reach(state.acts)
		v := viewOf(l)
		if got, want := l.InsideItem(), v.SizeBytes > 0 || v.Receiving; got != want {
			t.Errorf("%s: InsideItem = %v", state.name, got)
		}
	}
}

func TestCheckHelloKnowsEveryByte(t *testing.T) {
	sentinels := []error{wire.ErrConnLimit, wire.ErrRefused, wire.ErrNotTinyproto, wire.ErrProtocol}
	for b := range 256 {
		err := wire.CheckHello(byte(b))
		var want []error
		var says string
		switch b {
		case 0xff:
			if err != nil {
				t.Errorf("OK: %v", err)
			}
			continue
		case 0xfe:
			want, says = []error{wire.ErrConnLimit, wire.ErrRefused}, "connection limit (CONLIMIT)"
		case 0x00:
			want, says = []error{wire.ErrRefused}, "refused with 0x00"
		default:
			want, says = []error{wire.ErrNotTinyproto}, fmt.Sprintf("its first byte is %v, expected 0xff (OK)", wire.Signal(b))
		}
		var hello *wire.HelloError
		if !errors.As(err, &hello) || hello.Seen != byte(b) {
			t.Errorf("byte %#02x: %#v", b, err)
			continue
		}
		if !strings.Contains(err.Error(), says) {
			t.Errorf("byte %#02x: %q does not say %q", b, err, says)
		}
		var got []error
		for _, sentinel := range sentinels {
			if errors.Is(err, sentinel) {
				got = append(got, sentinel)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("byte %#02x matches %v, expected %v", b, got, want)
		}
	}
}

func TestAHelloThatLooksLikeTLSSaysSo(t *testing.T) {
	for _, tt := range []struct {
		seen byte
		want string
	}{
		{0x14, "the peer does not speak tinyproto: its first byte is 0x14, expected 0xff (OK)"},
		{0x15, "the peer does not speak tinyproto: its first byte is 0x15, expected 0xff (OK): that looks like TLS: the server expects TLS"},
		{0x16, "the peer does not speak tinyproto: its first byte is 0x16, expected 0xff (OK): that looks like a TLS handshake, and this end speaks plain tinyproto"},
		{0x17, "the peer does not speak tinyproto: its first byte is 0x17, expected 0xff (OK)"},
	} {
		err := wire.CheckHello(tt.seen)
		if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
			t.Errorf("error (-want +got):\n%s", diff)
		}
		if !errors.Is(err, wire.ErrNotTinyproto) {
			t.Errorf("%v does not match ErrNotTinyproto", err)
		}
	}
}

func TestAnIncompleteEndSaysWhatIsMissing(t *testing.T) {
	for _, tt := range []struct {
		name     string
		acts     []act
		want     string
		collided bool
	}{
		{"inside a size", []act{arrives("0000")}, "unfinished: 2 of 4 bytes of a size had arrived", false},
		{
			"inside a payload", []act{arrives("00000005"), writes(wire.Accept), arrives("6865")},
			"unfinished: 2 of 5 payload bytes had arrived", false,
		},
		{"before the answer", []act{offers(7)}, "unfinished: our offer of 7 bytes was not answered", false},
		{
			"before our payload", []act{offers(7), arrives("ff")},
			"unfinished: the 7 bytes that the peer had accepted were not wholly written", false,
		},
		{
			"before our answer", []act{arrives("00000009")},
			"unfinished: the peer's offer of 9 bytes was not answered", false,
		},
		{
			"in a collision that nobody answered", []act{offers(7), arrives("00000009")},
			"unfinished: our offer of 7 bytes was not answered, the peer's offer of 9 bytes was not answered" +
				" (both ends offered at once, which a legacy peer can't handle)", true,
		},
		{
			"in a collision that we answered", []act{offers(7), arrives("00000009"), writes(wire.Accept)},
			"unfinished: 0 of 9 payload bytes had arrived, our offer of 7 bytes was not answered" +
				" (both ends offered at once, which a legacy peer can't handle)", true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := reach(tt.acts)
			err := l.End()
			var incomplete *wire.IncompleteError
			if !errors.As(err, &incomplete) || !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, wire.ErrProtocol) {
				t.Fatalf("%T matches the wrong errors: %v", err, err)
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if got := incomplete.Collided(); got != tt.collided {
				t.Errorf("Collided = %v", got)
			}
		})
	}
}
