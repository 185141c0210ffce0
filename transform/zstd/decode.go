package zstd

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/tinyproto-go/tinyproto/transform"
)

// decoder is a decoder and the memory for frames that don't say their size.
type decoder struct {
	d       *zstd.Decoder
	scratch []byte
}

// maxScratch is how much of that memory is kept for the next frame.
const maxScratch = 1 << 20

var decoders sync.Pool // those without work

// maxWindow allows any message of the protocol. It takes no memory: what has
// been decoded is the window.
const maxWindow = uint64(min(1<<32, math.MaxInt))

func newDecoder() (*decoder, error) {
	d, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow),
		zstd.WithDecodeAllCapLimit(true), // memory is what decode gives it
	)
	return &decoder{d: d}, err
}

// Decode appends to dst what src was made of. It fails with
// [transform.ErrTooLong] if that is more than limit bytes: before it decodes
// anything where the frame says its size, else once it is noticed, at most
// 128 KiB later. It takes memory for as much as the frame's blocks can hold, and
// limit allows, whatever its header claims. Anything that is not one whole
// frame, and nothing but that, is [transform.ErrDamaged]; so are frames with a
// dictionary. A negative limit means 0.
func (t *Transform) Decode(dst, src []byte, limit int) ([]byte, error) {
	limit = max(limit, 0)
	f, err := parseFrame(src)
	switch {
	case err != nil:
		return dst, fmt.Errorf("zstd: %w", err)
	case f.hasSize && f.size > uint64(limit):
		return dst, fmt.Errorf("zstd: %w: %d bytes, expected at most %d", transform.ErrTooLong, f.size, limit)
	}
	d, _ := decoders.Get().(*decoder)
	if d == nil {
		if d, err = newDecoder(); err != nil {
			return dst, fmt.Errorf("zstd: %w", err)
		}
	}
	defer decoders.Put(d)
	out, err := d.decode(dst, src, f, limit)
	if err != nil {
		return dst, fmt.Errorf("zstd: %w", err)
	}
	return out, nil
}

func (d *decoder) decode(dst, src []byte, f frame, limit int) ([]byte, error) {
	if f.hasSize {
		dst = slices.Grow(dst, int(f.size))
		end := len(dst) + int(f.size)
		// Without a prefix, which the decoder would take for its history, and
		// count as output.
		out, err := d.d.DecodeAll(src, dst[len(dst):len(dst):end])
		if err != nil {
			return nil, fmt.Errorf("%w: %d bytes: %w", transform.ErrDamaged, len(src), err)
		}
		return append(dst, out...), nil // it is there already, if the decoder has not moved it
	}
	// The decoder's error for output that does not fit can be that for damage.
	// But a block is at most maxBlock, and what came before it is returned: with
	// as much room beyond the limit, that is over the limit, too.
	room := int(min(f.most, uint64(limit)+maxBlock, math.MaxInt))
	d.scratch = slices.Grow(d.scratch[:0], room)
	out, err := d.d.DecodeAll(src, d.scratch[:0:room])
	if cap(d.scratch) > maxScratch {
		d.scratch = nil
	}
	switch {
	case len(out) > limit:
		return nil, fmt.Errorf("%w: %d bytes hold more than the %d that are allowed", transform.ErrTooLong, len(src), limit)
	case err != nil:
		return nil, fmt.Errorf("%w: %d bytes: %w", transform.ErrDamaged, len(src), err)
	}
	return append(dst, out...), nil
}
