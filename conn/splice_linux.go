package conn

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// errNoSplice says that the operating system can't copy here, and that nothing
// was read.
var errNoSplice = errors.New("splice is not possible")

// From minSplice bytes on, a message is spliced: a pipe is not worth it below.
const minSplice = 64 << 10

// pipeSize is how much a splice moves at once, if the system grants it.
const pipeSize = 1 << 20

// Flags and commands that package syscall does not name.
const (
	spliceMove     = 1
	spliceNonblock = 2
	setPipeSize    = 1031
)

// splicing moves a message from a socket to a file, through a pipe, without a
// byte of it passing through this program. It is the reader's. Unlike
// os.File.ReadFrom it knows what it has read when a write fails.
type splicing struct {
	socket   syscall.RawConn
	file     *os.File
	pipe     [2]int
	capacity int
}

// newSplicing returns nil where it is not possible, or not worth it.
func newSplicing(nc net.Conn, file *os.File, size uint32) *splicing {
	if size < minSplice || !isSocket(nc) {
		return nil
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	socket, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil
	}
	s := &splicing{socket: socket, file: file, capacity: minSplice}
	if syscall.Pipe2(s.pipe[:], syscall.O_CLOEXEC) != nil {
		return nil
	}
	if n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(s.pipe[1]), setPipeSize, pipeSize); errno == 0 {
		s.capacity = int(n)
	}
	return s
}

// fill reads up to left bytes from the socket into the empty pipe. It waits
// until there are some.
func (s *splicing) fill(left uint32) (n int, err error) {
	size := int(min(uint64(left), uint64(s.capacity)))
	waited := s.socket.Read(func(fd uintptr) bool {
		n, err = splice(int(fd), s.pipe[1], size, spliceMove|spliceNonblock)
		return err != syscall.EAGAIN
	})
	switch {
	case waited != nil:
		return 0, waited
	case err == syscall.EINVAL || err == syscall.ENOSYS || err == syscall.EPERM:
		return 0, errNoSplice
	case err != nil:
		return 0, &net.OpError{Op: "read", Err: os.NewSyscallError("splice", err)}
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// empty writes the n bytes in the pipe to the file. If it fails, the rest stays
// in the pipe, which is of no more use.
func (s *splicing) empty(n int) (moved int, err error) {
	conn, err := s.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	control := conn.Control(func(fd uintptr) {
		for moved < n && err == nil {
			var m int
			m, err = splice(s.pipe[0], int(fd), n-moved, spliceMove)
			moved += m
		}
	})
	switch {
	case control != nil: // it is closed
		return moved, &os.PathError{Op: "splice", Path: s.file.Name(), Err: os.ErrClosed}
	case err == syscall.EINVAL: // as of a file that is open for appending
		return s.copy(moved, n)
	case err != nil:
		return moved, &os.PathError{Op: "splice", Path: s.file.Name(), Err: err}
	}
	return moved, nil
}

// copy writes what is left in the pipe in the usual way.
func (s *splicing) copy(moved, n int) (int, error) {
	buffer := streamBuffers.Get().(*[streamBuffer]byte)
	defer streamBuffers.Put(buffer)
	for moved < n {
		k, err := syscall.Read(s.pipe[0], buffer[:min(n-moved, len(buffer))])
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return moved, os.NewSyscallError("read", err)
		}
		k, err = s.file.Write(buffer[:k])
		if moved += k; err != nil {
			return moved, err
		}
	}
	return moved, nil
}

// close closes the pipe. It may be called with a nil splicing.
func (s *splicing) close() {
	if s != nil {
		syscall.Close(s.pipe[0])
		syscall.Close(s.pipe[1])
	}
}

// splice moves up to n bytes between two descriptors, one of them a pipe.
func splice(from, to, n, flags int) (int, error) {
	for {
		m, err := syscall.Splice(from, nil, to, nil, n, flags)
		if err != syscall.EINTR {
			return max(int(m), 0), err
		}
	}
}
