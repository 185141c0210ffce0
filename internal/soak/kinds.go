package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/hub"
)

// Kinds of ends.
const (
	clean      = "clean"
	reset      = "reset"
	incomplete = "incomplete"
	protocol   = "protocol"
	stalled    = "stalled"
	evicted    = "evicted"
	ending     = "context"
	grace      = "grace"
	closed     = "closed"
	vanished   = "vanished"
	refused    = "refused"
	foreign    = "not tinyproto"
	tooLarge   = "too large"
	unsent     = "unsent"
	noServer   = "no server"
	noMode     = "no agreement"
	timeout    = "timeout"
	other      = "other"
)

// knownKinds are those that an end of a connection may be of.
var knownKinds = map[string]bool{
	clean: true, reset: true, incomplete: true, protocol: true, stalled: true, evicted: true, ending: true,
	grace: true, closed: true, vanished: true, unsent: true,
}

// errEnding is the cause of the contexts that this program ends.
var errEnding = errors.New("the soak ends it")

// kindOf names what an error is: the first of these that it matches.
func kindOf(err error) string {
	if err == nil {
		return clean
	}
	if _, ok := errors.AsType[*conn.StallError](err); ok {
		return stalled
	}
	for _, k := range []struct {
		target error
		kind   string
	}{
		{hub.ErrEvicted, evicted},
		{conn.ErrGrace, grace},
		{errEnding, ending},
		{context.Canceled, ending},
		{hub.ErrClosed, closed},
		{conn.ErrModeRefused, noMode},
		{conn.ErrNotTinyproto, foreign},
		{conn.ErrProtocol, protocol},
		{conn.ErrTooLarge, tooLarge},
		{syscall.ECONNREFUSED, noServer},
		{os.ErrNotExist, noServer}, // no such Unix socket
		{syscall.EAGAIN, noServer}, // its backlog is full
		{syscall.ECONNRESET, reset},
		{syscall.EPIPE, reset},
		{conn.ErrRefused, refused},
		{net.ErrClosed, vanished},
		{io.ErrUnexpectedEOF, incomplete},
		{os.ErrDeadlineExceeded, timeout},
		{conn.ErrClosed, closed},
		{conn.ErrUnsent, unsent},
		{io.EOF, clean},
	} {
		if errors.Is(err, k.target) {
			return k.kind
		}
	}
	return other
}
