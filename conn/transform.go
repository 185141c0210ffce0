package conn

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tinyproto-go/tinyproto/wire"
)

// Transform changes messages on their way, as a compression or an encryption
// does (PROTOCOL.md section 4). Package transform has some.
//
// A connection never calls the methods of one Transform at the same time. They
// must not wait for anything: the end of the connection waits for them. What they
// return may share no memory with src, which they must not change. A panic in
// one is the program's, so mind that Decode gets whatever a peer likes to send.
type Transform interface {
	// Encode appends the encoded form of src to dst.
	Encode(dst, src []byte) ([]byte, error)
	// Decode appends to dst what src was made of. If that is more than limit
	// bytes, it fails, without having produced much more.
	Decode(dst, src []byte, limit int) ([]byte, error)
}

// ErrTransform matches the failure of a [Transform]: the Err of a connection
// whose peer sent something that can't be decoded, or the error of a message
// that could not be encoded.
var ErrTransform = errors.New("transform failed")

// ErrTransformed matches the error of a streamed message, by SendFrom or with
// a Placement's Writer, on a connection with transforms: its size would be
// known only after it was encoded.
var ErrTransformed = errors.New("messages of a connection with transforms cannot be streamed")

// encode applies the transforms to the message that is next. Only the writer
// does: it may take its time. It reports whether there was anything to do.
func (c *Conn) encode() bool {
	if !c.toEncode() || c.end.state == over {
		return false
	}
	c.encoding = true
	msg := c.current.body
	buffers := c.buffers
	c.buffers = nil
	var out []byte
	var err error
	func() {
		defer func() {
			c.encoding = false
			if c.end.state == over && !c.writing {
				c.settle()
			}
		}()
		c.unlocked(func() { out, buffers, err = encodeAll(c.transforms, msg, buffers) })
	}()
	c.buffers = buffers
	switch {
	case c.end.state == over:
	case err != nil:
		c.refused(fmt.Errorf("%w: encoding a message of %d bytes: %w", ErrTransform, len(msg), err))
	default:
		c.current.aside = &aside{ready: true, encoded: out}
		if n := c.current.size(); n > wire.MaxSize {
			c.refused(&TooLargeError{Size: n})
		}
	}
	return true
}

// toEncode reports whether the message that is next is to be encoded first.
func (c *Conn) toEncode() bool {
	return len(c.transforms) > 0 && c.current.active && !c.current.ready()
}

// encodeAll applies the transforms in their order. It takes memory from
// buffers where there is some, and returns those that are left.
func encodeAll(transforms []Transform, msg []byte, buffers [][]byte) (out []byte, left [][]byte, err error) {
	out = msg
	for i, t := range transforms {
		var buffer []byte
		if last := len(buffers) - 1; last >= 0 {
			buffer, buffers = buffers[last], buffers[:last]
		}
		encoded, err := t.Encode(buffer[:0], out)
		if err != nil {
			return nil, buffers, err
		}
		if i > 0 {
			buffers = keepBuffer(buffers, out)
		}
		out = encoded
	}
	return out, buffers, nil
}

// A connection keeps buffers for the messages that are on their way, if they
// are small.
const (
	maxBuffers    = 3
	maxBufferSize = 64 << 10
)

func keepBuffer(buffers [][]byte, b []byte) [][]byte {
	if cap(b) > maxBufferSize || len(buffers) == maxBuffers {
		return buffers
	}
	return append(buffers, b)
}

// reclaim keeps the memory of an encoded message that is no longer needed.
func (c *Conn) reclaim(m *outgoing) {
	if m.ready() {
		c.buffers = keepBuffer(c.buffers, m.aside.encoded)
	}
}

// decode applies the transforms, in reverse, to the message that is held. Only
// the writer does. It reports whether there was anything to do.
func (c *Conn) decode() bool {
	if !c.encoded || c.end.abandoned && c.end.state == over {
		return false
	}
	msg := c.held
	var out []byte
	var err error
	c.unlocked(func() { out, err = decodeAll(c.transforms, msg, int(c.opts.MaxMessage)) })
	c.encoded, c.held = false, out
	if err != nil {
		c.held, c.holding = nil, false
		err = fmt.Errorf("%w: decoding a message of %d bytes: %w", ErrTransform, len(msg), err)
		if c.end.state == over && c.end.failure == nil {
			c.end.failure = err
		}
		c.terminate(err)
	}
	return true
}

func decodeAll(transforms []Transform, msg []byte, limit int) (out []byte, err error) {
	out = msg
	for _, t := range slices.Backward(transforms) {
		if out, err = t.Decode(nil, out, limit); err != nil {
			return nil, err
		}
		if len(out) > limit {
			return nil, fmt.Errorf("it became %d bytes, over the limit of %d", len(out), limit)
		}
	}
	if out == nil {
		out = []byte{}
	}
	return out, nil
}
