//go:build unix && !linux

package conn

import "syscall"

// vectored says that a tryWriter can write several pieces at once.
const vectored = false

type vector struct{}

func (t *tryWriter) writev([][]byte) (int, error) { panic("unreachable: vectored is false") }

func (t *tryWriter) writePieces(fd uintptr) (int, error) { return syscall.Write(int(fd), t.p) }
