package conn

import (
	"syscall"
	"unsafe"
)

// vectored says that a tryWriter can write several pieces at once.
const vectored = true

// vector is several pieces for one write.
type vector struct {
	pieces [3]syscall.Iovec
	n      int
}

// writev returns how much of the pieces, at most three and none of them empty, the
// socket took at once.
func (t *tryWriter) writev(pieces [][]byte) (int, error) {
	if t.vector == nil {
		t.vector = new(vector)
	}
	v := t.vector
	for i, p := range pieces {
		v.pieces[i].Base = &p[0]
		v.pieces[i].SetLen(len(p))
	}
	v.n = len(pieces)
	n, err := t.write(nil)
	*v = vector{}
	return n, err
}

// writePieces is syscall.Write for what t.vector points at, or else t.p.
func (t *tryWriter) writePieces(fd uintptr) (int, error) {
	v := t.vector
	if v == nil || v.n == 0 {
		return syscall.Write(int(fd), t.p)
	}
	n, _, errno := syscall.Syscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&v.pieces[0])), uintptr(v.n))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
