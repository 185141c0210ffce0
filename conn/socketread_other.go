//go:build !unix

package conn

import "net"

// newSocketReader returns nil: there is no such thing here.
func newSocketReader(net.Conn) input { return nil }
