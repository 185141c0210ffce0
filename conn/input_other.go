//go:build !unix

package conn

import "net"

// hasInput reports whether there are bytes of the peer that nobody has read yet,
// where that can be told.
func hasInput(net.Conn) bool { return false }
