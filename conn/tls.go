package conn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"time"

	"github.com/tinyproto-go/tinyproto/wire"
)

// ErrNotTLS matches a TLS handshake with a peer that does not speak TLS: see
// [NotTLSError].
var ErrNotTLS = errors.New("the peer does not speak TLS")

// NotTLSError is a peer whose first byte can't begin TLS. It matches [ErrNotTLS].
type NotTLSError struct {
	// Seen is that byte. 0xff and 0xfe are the hellos of tinyproto without TLS.
	Seen byte
	// Server says that the peer is the server, which we dialled. If false, it
	// is not known, or it is a client.
	Server bool
}

// Error says what was seen and what it means.
func (e *NotTLSError) Error() string {
	peer := "peer"
	if e.Server {
		peer = "server"
	}
	switch wire.Signal(e.Seen) {
	case wire.OK:
		return fmt.Sprintf("the %s speaks plain tinyproto, expected TLS", peer)
	case wire.ConnLimit:
		return "the server speaks plain tinyproto, expected TLS; besides, it is at its connection limit (CONLIMIT)"
	}
	return fmt.Sprintf("the %s does not speak TLS: its first byte is 0x%02x, expected 0x%02x", peer, e.Seen, recordHandshake)
}

// Is reports whether target is [ErrNotTLS].
func (e *NotTLSError) Is(target error) bool { return target == ErrNotTLS }

// The first bytes that a TLS stream can have: the types of its first record.
const (
	recordAlert     = 0x15
	recordHandshake = 0x16
)

// TLS returns what was agreed on with the peer, the peer's certificates
// included, and nil for a connection without TLS. It does not block.
func (c *Conn) TLS() *tls.ConnectionState {
	t := tlsConn(c.nc)
	if t == nil {
		return nil
	}
	state := t.ConnectionState()
	return &state
}

// tlsConn returns the outermost TLS connection that nc is or stands on, or nil.
func tlsConn(nc net.Conn) *tls.Conn {
	for nc != nil {
		if t, ok := nc.(*tls.Conn); ok {
			return t
		}
		nc, _ = below(nc)
	}
	return nil
}

// handshakeError says why a TLS handshake failed.
func handshakeError(nc net.Conn, err error) error {
	header, isHeader := errors.AsType[tls.RecordHeaderError](err)
	alert, isAlert := alertOf(err)
	switch _, isNet := errors.AsType[*net.OpError](err); {
	case isAlert:
		err = fmt.Errorf("%w%.0w", err, alert)
	case isHeader && header.Conn != nil: // it was the first record
		what := ErrNotTLS
		if b := header.RecordHeader[0]; b != recordHandshake && b != recordAlert {
			what = &NotTLSError{Seen: b}
		}
		err = fmt.Errorf("%w: %w", what, err)
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		err = fmt.Errorf("%w: the peer ended the connection in the middle of the handshake", ErrRefused)
	case isTimeout(err):
	case isNet, err == io.ErrClosedPipe:
		err = fmt.Errorf("%w: the connection broke: %w", ErrRefused, err)
	}
	return fmt.Errorf("tinyproto: TLS handshake with %v: %w", nc.RemoteAddr(), err)
}

// alertOf returns the alert that err is about, if it is. Package tls has
// AlertError for that, but what it returns for a stream is of an unexported
// type of the same kind.
func alertOf(err error) (tls.AlertError, bool) {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" && op.Op != "local error" {
		return 0, false
	}
	v := reflect.ValueOf(op.Err)
	if v.Kind() != reflect.Uint8 {
		return 0, false
	}
	return tls.AlertError(v.Uint()), true
}

// plainAlert is what a client without TLS reads: a fatal alert, unexpected_message.
var plainAlert = []byte{recordAlert, 3, 3, 0, 2, 2, 10}

// lastWords sees to it that a peer whose greeting failed learns why, from the
// alert that was written, or from plainAlert where package tls wrote none:
// closing a socket with unread input destroys what was written to it last. So it
// ends our stream and reads on until the peer ends its own, for at most
// refuseTime, or until ctx ends.
func lastWords(ctx context.Context, nc net.Conn, reason error) {
	nc = bottom(nc)
	if nc.SetDeadline(time.Now().Add(refuseTime)) != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { interrupt(nc) })
	defer stop()
	if errors.Is(reason, ErrNotTLS) {
		if e, ok := errors.AsType[*NotTLSError](reason); !ok || !e.Server {
			nc.Write(plainAlert)
		}
	}
	if halfClose(nc) == nil {
		io.Copy(io.Discard, nc)
	}
}
