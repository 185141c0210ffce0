// Package zstd has a transform of messages for the option Transforms of package
// conn: each message becomes one Zstandard frame (RFC 8878). Messages become
// about as small as with zlib, in less time if they have more than a few KiB.
// The errors match those of package transform.
//
// It is a module of its own, as it needs a library that whoever uses only the
// core need not download.
package zstd

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/tinyproto-go/tinyproto/transform"
)

// Transform compresses each message into one frame, with a checksum that
// detects accidents, and no attack.
//
// The zero value is ready for use. A Transform keeps nothing between messages,
// starts no goroutines, needs no Close, and its methods may be called
// concurrently; they do not block. The memory that they work with is shared by
// all connections, and belongs to none while it is idle.
type Transform struct {
	// Level is from 1, fast, to 22, small, as for the zstd program. 0 means its
	// default, which is 3. There are four steps behind these: 1 and 2, 3 to 5,
	// 6 to 9, and 10 to 22. While an Encode works, it has memory of up to 5, 11,
	// 14 and 45 MB; less than 2 MB for the first two if the message is small.
	Level int
}

const (
	defaultLevel = 3
	maxLevel     = 22
)

// encoders are those without work, by speed.
var encoders [zstd.SpeedBestCompression + 1]sync.Pool

// Encode appends src, compressed, to dst. The only error is
// [transform.ErrLevel].
func (t *Transform) Encode(dst, src []byte) ([]byte, error) {
	level := t.Level
	if level == 0 {
		level = defaultLevel
	}
	if level < 1 || level > maxLevel {
		return dst, fmt.Errorf("zstd: %w: %d, expected 1 to %d", transform.ErrLevel, level, maxLevel)
	}
	speed := zstd.EncoderLevelFromZstd(level)
	pool := &encoders[speed]
	e, _ := pool.Get().(*zstd.Encoder)
	if e == nil {
		var err error
		e, err = zstd.NewWriter(nil,
			zstd.WithEncoderLevel(speed),
			zstd.WithEncoderConcurrency(1),
			zstd.WithLowerEncoderMem(true),
			zstd.WithZeroFrames(true), // an empty message is a frame, too
		)
		if err != nil {
			return dst, fmt.Errorf("zstd: level %d: %w", level, err)
		}
	}
	defer pool.Put(e)
	return e.EncodeAll(src, dst), nil
}
