//go:build unix

package conn

import (
	"net"
	"syscall"
)

// tryWriter writes to a socket what it takes without waiting. It is owned by
// whoever holds Conn.writing.
type tryWriter struct {
	raw  syscall.RawConn
	call func(fd uintptr) bool // attempt, bound once: a closure per write would be an allocation

	p      []byte
	vector *vector // nil until several pieces were written at once
	n      int
	err    error
}

// newTryWriter returns nil where nc is not a plain socket.
func newTryWriter(nc net.Conn) *tryWriter {
	if !isSocket(nc) {
		return nil
	}
	raw, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil
	}
	t := &tryWriter{raw: raw}
	t.call = t.attempt
	return t
}

// write returns how much of p the socket took at once, 0 and nil if nothing.
func (t *tryWriter) write(p []byte) (int, error) {
	t.p, t.n, t.err = p, 0, nil
	err := t.raw.Write(t.call)
	t.p = nil
	if err == nil {
		err = t.err
	}
	return t.n, err
}

// bounced returns the error that the socket has pending: EPIPE, where the peer
// refused what was written after it had closed.
func (t *tryWriter) bounced() (pending error) {
	t.raw.Control(func(fd uintptr) {
		if code, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR); err == nil && code != 0 {
			pending = syscall.Errno(code)
		}
	})
	return pending
}

func (t *tryWriter) attempt(fd uintptr) bool {
	for {
		n, err := t.writePieces(fd)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
		case err != nil:
			t.err = &net.OpError{Op: "write", Err: err}
		default:
			t.n = n
		}
		return true // never wait
	}
}
