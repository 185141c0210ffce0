//go:build unix

package conn

import (
	"io"
	"net"
	"syscall"
)

// socketReader reads from a socket into a buffer that is borrowed only once there
// is something to read. It is owned by whoever reads.
type socketReader struct {
	raw  syscall.RawConn
	call func(fd uintptr) bool // attempt, bound once: a closure per read would be an allocation

	most   int // how much to read
	buffer *[streamBuffer]byte
	n      int
	err    error
}

// newSocketReader returns nil where nc is not a plain socket.
func newSocketReader(nc net.Conn) *socketReader {
	if !isSocket(nc) {
		return nil
	}
	raw, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil
	}
	r := &socketReader{raw: raw}
	r.call = r.attempt
	return r
}

// read blocks until there is something to read, and returns the buffer that it is
// in, which the caller gives back; nil if there is none. It may be told to read
// only a little.
func (r *socketReader) read(little bool) (buffer *[streamBuffer]byte, n int, err error) {
	r.n, r.err, r.most = 0, nil, streamBuffer
	if little {
		r.most = firstRead
	}
	err = r.raw.Read(r.call)
	buffer, r.buffer = r.buffer, nil
	if err == nil {
		err = r.err
	}
	return buffer, r.n, err
}

// attempt reports whether there is no need to wait.
func (r *socketReader) attempt(fd uintptr) bool {
	buffer := streamBuffers.Get().(*[streamBuffer]byte)
	for {
		n, err := syscall.Read(int(fd), buffer[:r.most])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			streamBuffers.Put(buffer)
			return false
		case err != nil:
			r.err = &net.OpError{Op: "read", Err: err}
		case n == 0:
			r.err = io.EOF
		}
		r.buffer, r.n = buffer, max(n, 0)
		return true
	}
}
