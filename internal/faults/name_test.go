//go:build unix

package faults

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/wire"
)

// Errors of the application.
var (
	errContent = errors.New("the content is not what was sent")
	errNoReply = errors.New("no reply in time")
)

// unnamed is the name of an error that has none.
const unnamed = "unnamed"

// nameOf says by what a program can tell an error of the library or of the
// network apart. It is empty for nil.
func nameOf(err error) string {
	var stall *conn.StallError
	var violation *wire.ProtocolError
	var terms *wire.TermsError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, errContent):
		return "wrong content"
	case errors.Is(err, errNoReply):
		return "no reply"
	case errors.As(err, &stall):
		return "stall: " + stall.Doing
	case errors.As(err, &violation):
		return "violation: " + violation.Violation.String()
	case errors.As(err, &terms):
		return "violation: terms"
	case errors.Is(err, tinyproto.ErrModeRefused):
		return "mode refused"
	case errors.Is(err, tinyproto.ErrConnLimit):
		return "connection limit"
	case errors.Is(err, tinyproto.ErrNotTinyproto):
		return "not tinyproto"
	case errors.Is(err, tinyproto.ErrTooLarge):
		return "too large"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNABORTED):
		return "reset"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "incomplete"
	case errors.Is(err, tinyproto.ErrRefused):
		return "refused"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "no hello"
	case errors.Is(err, conn.ErrGrace):
		return "grace over"
	case errors.Is(err, tinyproto.ErrUnsent):
		return "unsent"
	case errors.Is(err, context.Canceled):
		return "told to end"
	case err == io.EOF, errors.Is(err, tinyproto.ErrClosed):
		return "ended by the peer"
	}
	return unnamed
}
