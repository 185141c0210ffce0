package transform

import (
	"compress/zlib"
	"fmt"
	"sync"
)

// Zlib compresses each message into one zlib stream (RFC 1950). Its twin in
// Python is zlib.compress and zlib.decompress. It detects accidents, by a
// checksum, and no attack.
//
// The zero value is ready for use. A Zlib keeps nothing between messages, and
// its methods may be called concurrently. The memory that they work with is
// shared by all connections, and belongs to none while it is idle: up to 1.2 MB
// for an Encode; 50 KB and about twice the decoded message for a Decode.
type Zlib struct {
	// Level is from 1, fast, to 9, small; or [zlib.HuffmanOnly]. 0 and
	// [zlib.DefaultCompression] mean the default, which is 6. There is no
	// level that only stores.
	Level int
}

// deflater is a writer of one level, and where it writes to.
type deflater struct {
	w   *zlib.Writer
	out appender
}

// deflaters are those without work, by level from zlib.HuffmanOnly on.
var deflaters [zlib.BestCompression - zlib.HuffmanOnly + 1]sync.Pool

// Encode appends src, compressed, to dst. The only error is [ErrLevel].
func (z *Zlib) Encode(dst, src []byte) ([]byte, error) {
	level := z.Level
	if level == 0 {
		level = zlib.DefaultCompression
	}
	if level < zlib.HuffmanOnly || level > zlib.BestCompression {
		return dst, fmt.Errorf("zlib: %w: %d, expected %d to %d", ErrLevel, level, zlib.HuffmanOnly, zlib.BestCompression)
	}
	pool := &deflaters[level-zlib.HuffmanOnly]
	d, _ := pool.Get().(*deflater)
	if d == nil {
		w, err := zlib.NewWriterLevel(nil, level)
		if err != nil {
			return dst, fmt.Errorf("zlib: %w: %w", ErrLevel, err)
		}
		d = &deflater{w: w}
	}
	defer pool.Put(d)

	d.out = dst
	d.w.Reset(&d.out)
	_, err := d.w.Write(src)
	if err == nil {
		err = d.w.Close()
	}
	out := d.out
	d.out = nil
	if err != nil {
		return dst, fmt.Errorf("zlib: %w", err)
	}
	return out, nil
}

// appender is a slice as an io.Writer. It never fails.
type appender []byte

func (a *appender) Write(p []byte) (int, error) {
	*a = append(*a, p...)
	return len(p), nil
}
