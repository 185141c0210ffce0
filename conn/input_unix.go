//go:build unix

package conn

import (
	"net"
	"syscall"
)

// hasInput reports whether the operating system has bytes of the peer, or its
// end of stream, that nobody has read yet. It is false where it can't tell.
func hasInput(nc net.Conn) (has bool) {
	socket, ok := bottom(nc).(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	raw.Control(func(fd uintptr) {
		var p [1]byte
		_, _, err := syscall.Recvfrom(int(fd), p[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		has = err == nil
	})
	return has
}
