package wire_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/wire"
)

func TestTermsAreThreeNumbersBigEndian(t *testing.T) {
	for _, tt := range []struct {
		name  string
		terms wire.Terms
		want  string
	}{
		{"each in its place", wire.Terms{MaxMessage: 0x01020304, WindowMessages: 0x05060708, WindowBytes: 0x090a0b0c}, "01020304 05060708 090a0b0c"},
		{"the least that may be granted", wire.Terms{WindowMessages: 1}, "00000000 00000001 00000000"},
		{
			"the most that may be granted",
			wire.Terms{MaxMessage: wire.MaxSize, WindowMessages: math.MaxUint32, WindowBytes: math.MaxUint32},
			"f0ffffff ffffffff ffffffff",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.terms.Append([]byte{0xff})
			if diff := cmp.Diff(unhex("ff"+tt.want), got); diff != "" {
				t.Errorf("Append to ff (-want +got):\n%s", diff)
			}
			if len(got) != 1+wire.TermsLen {
				t.Errorf("%d bytes, expected TermsLen more than 1", len(got))
			}
			back, err := wire.ParseTerms(append(got[1:], "behind them"...))
			if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(tt.terms, back); diff != "" {
				t.Errorf("parsed again (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTermsThatNobodyMayGrantAreAnError(t *testing.T) {
	for _, tt := range []struct {
		name, input string
		terms       wire.Terms
		saw         string
	}{
		{
			"messages above the largest size", "f1000000 00000001 00000000",
			wire.Terms{MaxMessage: 0xf1000000, WindowMessages: 1},
			"messages of up to 4043309056 bytes and a window of 1 messages",
		},
		{
			"no message at all", "00000005 00000000 ffffffff",
			wire.Terms{MaxMessage: 5, WindowBytes: math.MaxUint32},
			"messages of up to 5 bytes and a window of 0 messages",
		},
		{
			"both", "ffffffff 00000000 00000000",
			wire.Terms{MaxMessage: math.MaxUint32},
			"messages of up to 4294967295 bytes and a window of 0 messages",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := wire.ParseTerms(unhex(tt.input))
			var got *wire.TermsError
			if !errors.As(fmt.Errorf("wrapped: %w", err), &got) {
				t.Fatalf("%T: %v", err, err)
			}
			if diff := cmp.Diff(&wire.TermsError{Terms: tt.terms}, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			want := "protocol violation: the peer grants " + tt.saw + ", expected up to 4043309055 bytes and at least 1 message"
			if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if !errors.Is(err, wire.ErrProtocol) || errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%v is to match ErrProtocol and no other sentinel", err)
			}
		})
	}
}

func TestTheRequestForPipelinedModeIsASizeAboveTheLargest(t *testing.T) {
	if diff := cmp.Diff(unhex("f1545002"), []byte(wire.PipelinedRequest)); diff != "" {
		t.Errorf("PipelinedRequest (-want +got):\n%s", diff)
	}
	var l wire.Ledger
	if got := arrives("f1545002")(&l); got != wire.OversizeOffer.String() {
		t.Errorf("a peer in classic mode sees: %s", got)
	}
}

func TestTheSignalsOfPipelinedModeHaveNamesAndBeginNoSize(t *testing.T) {
	for signal, want := range map[wire.Signal]string{
		wire.Ping: "0xf2 (PING)",
		wire.Pong: "0xf3 (PONG)",
		wire.Bye:  "0xf4 (BYE)",
	} {
		if got := signal.String(); got != want {
			t.Errorf("%q, expected %q", got, want)
		}
		if last := wire.AppendSize(nil, wire.MaxSize)[0]; byte(signal) <= last {
			t.Errorf("%v is at most %#02x, the first byte of the largest size", signal, last)
		}
	}
}
