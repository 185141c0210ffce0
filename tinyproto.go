// Package tinyproto moves messages over a connection. Every connection has an
// Inbox channel to range over and an Outbox channel to send to, both ends may
// talk at once, and contexts end all of it. On the wire it speaks the
// size/ack/payload protocol of the Python library of the same name
// (wire/PROTOCOL.md), so Go and Python programs talk to each other.
//
// [Dial] connects, [Server] listens, over TCP, TLS or a Unix socket. What a
// connection does is in package conn, whose [Conn] and [Options] are the ones
// here.
package tinyproto

import (
	"github.com/tinyproto-go/tinyproto/conn"
)

// Conn is a connection: see [conn.Conn].
type Conn = conn.Conn

// Options are the limits and buffers of a connection: see [conn.Options].
type Options = conn.Options

// Modes of a connection: see [conn.Mode].
const (
	Either    = conn.Either
	Classic   = conn.Classic
	Pipelined = conn.Pipelined
)

// Errors of package conn that programs ask for with [errors.Is].
var (
	ErrClosed       = conn.ErrClosed
	ErrTooLarge     = conn.ErrTooLarge
	ErrInDoubt      = conn.ErrInDoubt
	ErrUnsent       = conn.ErrUnsent
	ErrGrace        = conn.ErrGrace
	ErrBudget       = conn.ErrBudget
	ErrProtocol     = conn.ErrProtocol
	ErrConnLimit    = conn.ErrConnLimit
	ErrRefused      = conn.ErrRefused
	ErrNotTinyproto = conn.ErrNotTinyproto
	ErrNotTLS       = conn.ErrNotTLS
	ErrModeRefused  = conn.ErrModeRefused
)
