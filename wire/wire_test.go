package wire_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/wire"
)

func TestASignalShowsItsByteAndItsName(t *testing.T) {
	for signal, want := range map[wire.Signal]string{
		wire.OK:        "0xff (OK)",
		wire.ConnLimit: "0xfe (CONLIMIT)",
		wire.Conflict:  "0xfd (CONFLICT)",
		wire.TooLarge:  "0xfc (TOO_LARGE)",
		wire.Error:     "0x00 (ERROR)",
		0x0a:           "0x0a",
		0xf1:           "0xf1",
	} {
		if got := signal.String(); got != want {
			t.Errorf("%q, expected %q", got, want)
		}
	}
}

func TestASizeIsFourBytesBigEndian(t *testing.T) {
	for _, tt := range []struct {
		size uint32
		want string
	}{
		{0, "00000000"},
		{1, "00000001"},
		{0x01020304, "01020304"},
		{wire.MaxSize, "f0ffffff"},
	} {
		got := wire.AppendSize([]byte{0xff}, tt.size)
		if diff := cmp.Diff(unhex("ff"+tt.want), got); diff != "" {
			t.Errorf("AppendSize(ff, %d) (-want +got):\n%s", tt.size, diff)
		}
	}
}

// A size and a signal can't be confused, but for ERROR.
func TestNoSizeBeginsWithASignalButError(t *testing.T) {
	last := wire.AppendSize(nil, wire.MaxSize)[0]
	for _, signal := range []wire.Signal{wire.OK, wire.ConnLimit, wire.Conflict, wire.TooLarge} {
		if byte(signal) <= last {
			t.Errorf("%v is at most %#02x, the first byte of the largest size", signal, last)
		}
	}
}
