package zstd

import (
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/tinyproto-go/tinyproto/transform"
)

// A block is 3 bytes, little-endian: whether it is the last, 2 bits of type and
// 21 of size; and then as many bytes, but for a repeated byte.
const (
	blockHeader = 3
	maxBlock    = 128 << 10 // what a block can hold, decoded
	checksum    = 4
)

// Types of blocks.
const (
	blockRaw = iota
	blockRepeated
	blockCompressed
)

// frame is what can be known of a frame without decoding it.
type frame struct {
	size    uint64 // what it says that it holds
	hasSize bool
	most    uint64 // what its blocks can hold at most
}

// parseFrame fails unless src is one whole frame and nothing else. A decoder
// would take several frames, and frames to skip, and none at all.
func parseFrame(src []byte) (frame, error) {
	var h zstd.Header
	if err := h.Decode(src); err != nil {
		return frame{}, fmt.Errorf("%w: header of %d bytes: %w", transform.ErrDamaged, len(src), err)
	}
	if h.Skippable {
		return frame{}, fmt.Errorf("%w: a frame to skip, expected one with a message", transform.ErrDamaged)
	}
	f := frame{size: h.FrameContentSize, hasSize: h.HasFCS}
	window := h.WindowSize
	if h.SingleSegment {
		window = h.FrameContentSize
	}
	most := min(window, maxBlock)

	at, last := h.HeaderSize, false
	for !last {
		if len(src)-at < blockHeader {
			return frame{}, fmt.Errorf("%w: ends at byte %d, expected another block at %d", transform.ErrDamaged, len(src), at)
		}
		block := uint(src[at]) | uint(src[at+1])<<8 | uint(src[at+2])<<16
		at += blockHeader
		last = block&1 != 0
		size := int(block >> 3)
		switch kind := block >> 1 & 3; {
		case size > maxBlock:
			return frame{}, fmt.Errorf("%w: block of %d bytes at byte %d, expected at most %d", transform.ErrDamaged, size, at, maxBlock)
		case kind == blockRaw:
			f.most += uint64(size)
			at += size
		case kind == blockRepeated:
			f.most += uint64(size)
			at++
		case kind == blockCompressed:
			f.most += most
			at += size
		default:
			return frame{}, fmt.Errorf("%w: block of a reserved type at byte %d", transform.ErrDamaged, at)
		}
	}
	if h.HasCheckSum {
		at += checksum
	}
	switch {
	case at != len(src):
		return frame{}, fmt.Errorf("%w: %d bytes, expected %d", transform.ErrDamaged, len(src), at)
	case f.hasSize && f.size > f.most:
		return frame{}, fmt.Errorf("%w: says that it holds %d bytes, and can't hold more than %d", transform.ErrDamaged, f.size, f.most)
	}
	return f, nil
}
