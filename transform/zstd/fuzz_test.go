package zstd_test

import (
	"bytes"
	"errors"
	"math"
	"runtime/metrics"
	"slices"
	"testing"

	"github.com/tinyproto-go/tinyproto/transform"
	"github.com/tinyproto-go/tinyproto/transform/zstd"
)

func FuzzDecode(f *testing.F) {
	for _, v := range fromProgram {
		f.Add(unhex(f, v.encoded), uint16(len(v.message)))
	}
	f.Add(encode(f, content(3000)), uint16(math.MaxUint16))
	f.Add(encode(f, make([]byte, 100_000)), uint16(500))
	f.Add(stream(f, content(3000)), uint16(3000))
	f.Add(forged{says: 3 * block, blocks: repeated(3, block)}.bytes(), uint16(math.MaxUint16))
	f.Add(forged{window: gigabyte, blocks: repeated(3, block)}.bytes(), uint16(math.MaxUint16))
	f.Fuzz(func(t *testing.T, src []byte, limit uint16) {
		dst := []byte("prefix")
		unchanged := slices.Clone(src)
		before := allocatedSoFar()
		out, err := new(zstd.Transform).Decode(dst, src, int(limit))
		taken, most := allocatedSoFar()-before, uint64(4*int(limit)+2<<20)
		for range 3 { // others may have allocated meanwhile
			if taken > most {
				taken = allocated(func() { new(zstd.Transform).Decode(dst, src, int(limit)) })
			}
		}
		if taken > most {
			t.Errorf("%d bytes were allocated for a limit of %d, expected at most %d", taken, limit, most)
		}
		if !bytes.Equal(src, unchanged) {
			t.Error("Decode changed src")
		}
		rest, found := bytes.CutPrefix(out, dst)
		if !found || err != nil && len(rest) > 0 || len(rest) > int(limit) {
			t.Errorf("Decode returned %d bytes, %v; expected dst and at most %d more", len(out), err, limit)
		}
		if err != nil {
			if !errors.Is(err, transform.ErrDamaged) && !errors.Is(err, transform.ErrTooLong) {
				t.Errorf("the error %v has no name", err)
			}
			return
		}
		expectDecoded(t, encode(t, rest), rest)
	})
}

// allocatedSoFar is less exact than what allocated uses, and much faster.
func allocatedSoFar() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
