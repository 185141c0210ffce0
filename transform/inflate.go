package transform

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"slices"
	"sync"
)

// inflater is a reader, where it reads from, and the memory that it reads into:
// how much a message needs is known only at its end. A bytes.Reader is read byte
// by byte, so that what is left in it follows the stream.
type inflater struct {
	src bytes.Reader
	r   io.ReadCloser // nil before the first header that it could read
	buf []byte
}

// maxKept is how much of that memory is kept for the next message.
const maxKept = 1 << 20

var inflaters = sync.Pool{New: func() any { return new(inflater) }}

// Decode appends to dst what src was made of. It fails with [ErrTooLong] as
// soon as that turns out to be more than limit bytes: it produces one byte
// more at most, and takes memory for what it has produced, not for what may
// come. Anything that is not one whole zlib stream, and nothing but that, is
// [ErrDamaged]; so are streams with a dictionary. A negative limit means 0.
func (z *Zlib) Decode(dst, src []byte, limit int) ([]byte, error) {
	in := inflaters.Get().(*inflater)
	in.src.Reset(src)
	err := in.decode(len(src), max(limit, 0))
	if err == nil {
		dst = append(dst, in.buf...)
	} else {
		err = fmt.Errorf("zlib: %w", err)
	}
	in.src.Reset(nil)
	if cap(in.buf) > maxKept {
		in.buf = nil
	}
	inflaters.Put(in)
	return dst, err
}

// decode reads the stream, of so many bytes, into buf.
func (in *inflater) decode(size, limit int) error {
	in.buf = in.buf[:0]
	if err := in.header(); err != nil {
		return in.damaged(size, err)
	}
	for {
		produced := len(in.buf)
		room := limit - produced
		if produced == cap(in.buf) {
			more := max(2*size, produced, 512)
			if more > room {
				more = room + 1
			}
			in.buf = slices.Grow(in.buf, more)
		}
		free := in.buf[produced:cap(in.buf)]
		if len(free) > room {
			free = free[:room+1] // one more than allowed, to notice it
		}
		n, err := in.r.Read(free)
		in.buf = in.buf[:produced+n]
		switch {
		case n > room:
			return fmt.Errorf("%w: %d bytes hold more than the %d that are allowed", ErrTooLong, size, limit)
		case err == nil:
		case err != io.EOF:
			return in.damaged(size, err)
		case in.src.Len() > 0:
			return fmt.Errorf("%w: the stream ends at byte %d of %d, expected the last", ErrDamaged, size-in.src.Len(), size)
		default:
			return nil
		}
	}
}

// header reads the first bytes of the stream.
func (in *inflater) header() (err error) {
	if in.r != nil {
		return in.r.(zlib.Resetter).Reset(&in.src, nil)
	}
	in.r, err = zlib.NewReader(&in.src)
	return err
}

func (in *inflater) damaged(size int, err error) error {
	return fmt.Errorf("%w: at byte %d of %d: %w", ErrDamaged, size-in.src.Len(), size, err)
}
