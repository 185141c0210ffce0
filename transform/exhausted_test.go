package transform

import (
	"errors"
	"math"
	"testing"
)

// Inside of the package, as nobody can wait for 2^64 messages.
func TestTheLastNumberIsUsedOnce(t *testing.T) {
	s, peer := NewSeal([32]byte{1}), NewSeal([32]byte{1})
	s.own.last = math.MaxUint64 - 1
	last, err := s.Encode(nil, []byte("the last"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		out, err := s.Encode([]byte("dst"), []byte("one more"))
		if !errors.Is(err, ErrExhausted) || string(out) != "dst" {
			t.Errorf("Encode returned %q, %v; expected its dst and ErrExhausted", out, err)
		}
	}
	if out, err := peer.Decode(nil, last, 100); err != nil || string(out) != "the last" {
		t.Errorf("Decode returned %q, %v", out, err)
	}
	if _, err := peer.Decode(nil, last, 100); !errors.Is(err, ErrReplay) {
		t.Errorf("Decode of the same failed with %v, expected ErrReplay", err)
	}
}
