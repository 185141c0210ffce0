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

	most   int                 // how much to read
	buffer *[streamBuffer]byte // nil while there is nothing
	n      int                 // of it
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

func (r *socketReader) read(little bool) ([]byte, error) {
	r.n, r.err, r.most = 0, nil, streamBuffer
	if little {
		r.most = firstRead
	}
	if err := r.raw.Read(r.call); err != nil {
		return nil, err
	}
	if r.buffer == nil {
		return nil, r.err
	}
	return r.buffer[:r.n], r.err
}

func (r *socketReader) giveBack() {
	giveBack(r.buffer)
	r.buffer = nil
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
