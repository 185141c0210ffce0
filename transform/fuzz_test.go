package transform_test

import (
	"bytes"
	"errors"
	"math"
	"runtime/metrics"
	"slices"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/transform"
)

func FuzzZlibDecode(f *testing.F) {
	for _, v := range fromPython {
		f.Add(unhex(f, v.encoded), uint16(len(v.message)))
	}
	f.Add(encode(f, &transform.Zlib{}, content(3000)), uint16(math.MaxUint16))
	f.Add(encode(f, &transform.Zlib{}, make([]byte, 100_000)), uint16(500))
	f.Fuzz(func(t *testing.T, src []byte, limit uint16) {
		out, err := boundedDecode(t, &transform.Zlib{}, src, int(limit))
		if err != nil {
			if !errors.Is(err, transform.ErrDamaged) && !errors.Is(err, transform.ErrTooLong) {
				t.Errorf("the error %v has no name", err)
			}
			return
		}
		expectDecoded(t, &transform.Zlib{}, encode(t, &transform.Zlib{}, out), out)
	})
}

// boundedDecode decodes and checks what holds for whatever it is given.
func boundedDecode(t *testing.T, tr conn.Transform, src []byte, limit int) ([]byte, error) {
	dst := []byte("prefix")
	unchanged := slices.Clone(src)
	before := allocatedSoFar()
	out, err := tr.Decode(dst, src, limit)
	taken, most := allocatedSoFar()-before, uint64(4*limit+256<<10)
	for range 3 { // others may have allocated meanwhile
		if taken > most {
			taken = allocated(func() { tr.Decode(nil, src, limit) })
		}
	}
	if taken > most {
		t.Errorf("%d bytes were allocated for a limit of %d, expected at most %d", taken, limit, most)
	}
	if !bytes.Equal(src, unchanged) {
		t.Error("Decode changed src")
	}
	rest, found := bytes.CutPrefix(out, dst)
	if !found || err != nil && len(rest) > 0 || len(rest) > limit {
		t.Errorf("Decode returned %d bytes, %v; expected dst and at most %d more", len(out), err, limit)
	}
	return rest, err
}

// allocatedSoFar is less exact than what allocated uses, and much faster.
func allocatedSoFar() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// src is decoded as it is, and as a change of a genuine message. Neither must
// be taken for a message that nobody has sealed.
func FuzzSealDecode(f *testing.F) {
	for _, v := range vectors {
		f.Add(unhex(f, v.sealed), uint16(len(v.message)))
	}
	f.Add([]byte{}, uint16(10))
	f.Add([]byte{0, 0, 0, 0, 1}, uint16(10))                                           // another sender
	f.Add(append(make([]byte, atText-1), 3), uint16(10))                               // another number
	f.Add(append(make([]byte, atText), "hello"...), uint16(10))                        // another text
	f.Add(append(make([]byte, atText+20), 1), uint16(10))                              // another tag
	f.Add(append(make([]byte, atText+transform.Overhead), "hello"...), uint16(60_000)) // longer
	f.Fuzz(func(t *testing.T, src []byte, limit uint16) {
		out, err := boundedDecode(t, transform.NewSeal(vectorKey()), src, int(limit))
		expectGenuine(t, src, out, err, func(yield func(sealed, msg []byte) bool) {
			for _, v := range vectors {
				if !yield(unhex(t, v.sealed), []byte(v.message)) {
					return
				}
			}
		})

		sending, receiving := transform.NewSeal(testKey), transform.NewSeal(testKey)
		expectDecoded(t, receiving, encode(t, sending, nil), nil)
		sealed := encode(t, sending, []byte("hello"))
		changed := slices.Clone(sealed)
		changed = append(changed, make([]byte, max(0, len(src)-len(changed)))...)
		for i, b := range src {
			changed[i] ^= b
		}
		out, err = boundedDecode(t, receiving, changed, int(limit))
		expectGenuine(t, changed, out, err, func(yield func(sealed, msg []byte) bool) {
			yield(sealed, []byte("hello"))
		})
	})
}

// expectGenuine fails the test unless src was refused, for a reason with a name,
// or was one of the genuine messages.
func expectGenuine(t *testing.T, src, out []byte, err error, genuine func(yield func(sealed, msg []byte) bool)) {
	t.Helper()
	if err != nil {
		for _, name := range []error{transform.ErrDamaged, transform.ErrKey, transform.ErrTooLong, transform.ErrReplay} {
			if errors.Is(err, name) {
				return
			}
		}
		t.Errorf("%x: the error %v is none of those that can be", src, err)
		return
	}
	for sealed, msg := range genuine {
		if bytes.Equal(src, sealed) && bytes.Equal(out, msg) {
			return
		}
	}
	t.Errorf("%x was taken for the message %q", src, out)
}
