//go:build !unix

package conn

import "net"

// socketReader is not to be had here.
type socketReader struct{}

func newSocketReader(net.Conn) *socketReader { return nil }

func (*socketReader) read(bool) (*[streamBuffer]byte, int, error) {
	panic("unreachable: newSocketReader returns nil")
}
