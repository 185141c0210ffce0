//go:build !unix

package conn

import "net"

// tryWriter is not to be had here: the writer goroutine does all the writing.
type tryWriter struct{}

func newTryWriter(net.Conn) *tryWriter { return nil }

func (*tryWriter) bounced() error { return nil }

func (*tryWriter) write([]byte) (int, error) { panic("unreachable: newTryWriter returns nil") }

// vectored says that a tryWriter can write several pieces at once.
const vectored = false

func (*tryWriter) writev([][]byte) (int, error) { panic("unreachable: vectored is false") }
