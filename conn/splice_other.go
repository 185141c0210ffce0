//go:build !linux

package conn

import (
	"errors"
	"net"
	"os"
)

var errNoSplice = errors.New("splice is not possible")

// splicing is not possible here: messages are copied.
type splicing struct{}

func newSplicing(net.Conn, *os.File, uint32) *splicing { return nil }

func (s *splicing) fill(uint32) (int, error) { return 0, errNoSplice }
func (s *splicing) empty(int) (int, error)   { return 0, errNoSplice }
func (s *splicing) close()                   {}
