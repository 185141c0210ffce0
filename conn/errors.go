package conn

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/tinyproto-go/tinyproto/wire"
)

// Sentinels for [errors.Is]. Those of the protocol itself are package wire's.
var (
	// ErrClosed matches every Send and Receive that failed because the
	// connection was over, and the Err of a connection ended by Close.
	ErrClosed = errors.New("connection closed")
	// ErrTooLarge matches a message over the limit: see [TooLargeError].
	ErrTooLarge = errors.New("message too large")
	// ErrInDoubt matches a failure after which the message may still arrive,
	// or may have arrived.
	ErrInDoubt = errors.New("the message may still arrive")
	// ErrUnsent matches the Err of a connection that left messages unsent.
	ErrUnsent = errors.New("messages were left unsent")
	// ErrGrace matches an end whose grace period was too short for all that was queued.
	ErrGrace = errors.New("grace period over")

	// ErrProtocol, ErrConnLimit, ErrRefused and ErrNotTinyproto are those of package wire.
	ErrProtocol     = wire.ErrProtocol
	ErrConnLimit    = wire.ErrConnLimit
	ErrRefused      = wire.ErrRefused
	ErrNotTinyproto = wire.ErrNotTinyproto
)

// TooLargeError is a message that was not sent because of its size. It matches
// [ErrTooLarge].
type TooLargeError struct {
	// Size of the message as it would be offered, in bytes.
	Size int64
	// Peer says that the peer refused it; if false, it is above [wire.MaxSize].
	Peer bool
}

// Error says who refused how much.
func (e *TooLargeError) Error() string {
	if e.Peer {
		return fmt.Sprintf("message of %d bytes is over the peer's limit (TOO_LARGE)", e.Size)
	}
	return fmt.Sprintf("message of %d bytes is over the protocol's limit of %d", e.Size, uint32(wire.MaxSize))
}

// Is reports whether target is [ErrTooLarge].
func (e *TooLargeError) Is(target error) bool { return target == ErrTooLarge }

// StallError is a peer that made no progress for too long. It is a timeout in
// the sense of [net.Error].
type StallError struct {
	// Doing is what we were waiting for.
	Doing string
	// After is how long we waited.
	After time.Duration
	// State says what was unfinished; it may be nil.
	State error
}

// Error says what did not come, for how long, and what is unfinished.
func (e *StallError) Error() string {
	s := fmt.Sprintf("peer stalled: no progress for %v while %s", e.After, e.Doing)
	if e.State != nil {
		s += "; " + e.State.Error()
	}
	return s
}

// Unwrap returns State.
func (e *StallError) Unwrap() error { return e.State }

// Timeout returns true.
func (e *StallError) Timeout() bool { return true }

// Temporary returns false.
func (e *StallError) Temporary() bool { return false }

// Error is why a connection ended, as Err returns it. errors.Is and errors.As
// look through it.
type Error struct {
	// Remote is the address of the peer.
	Remote net.Addr
	// Err is the reason.
	Err error
	// Unsent is how many messages Unsent lists.
	Unsent int
	// InDoubt says that the last message that was written, of InDoubtSize
	// bytes, may or may not have arrived. The peer answered every earlier one's
	// successor, and so has read it. An empty message is complete for the peer
	// with its answer: one that was offered, and the answer not read, is in doubt
	// too, though it is also unsent.
	InDoubt     bool
	InDoubtSize int64
}

// Error says which connection ended, why, and what that means for its messages.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "tinyproto: connection with %v: %v", e.Remote, e.Err)
	if e.Unsent > 0 {
		fmt.Fprintf(&b, "; %d not sent", e.Unsent)
	}
	if e.InDoubt {
		fmt.Fprintf(&b, "; the last message written (%d bytes) may not have arrived", e.InDoubtSize)
	}
	return b.String()
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is [ErrUnsent] and messages are unsent, or
// [ErrInDoubt] and one is in doubt.
func (e *Error) Is(target error) bool {
	return target == ErrUnsent && e.Unsent > 0 || target == ErrInDoubt && e.InDoubt
}

// elsewhere is a reason that has in it the end of another connection, whose
// messages in doubt or unsent are none of ours.
type elsewhere struct{ err error }

func (e elsewhere) Error() string { return e.err.Error() }

func (e elsewhere) Is(target error) bool {
	return target != ErrInDoubt && target != ErrUnsent && errors.Is(e.err, target)
}

func (e elsewhere) As(target any) bool { return errors.As(e.err, target) }

// own makes a reason given by the application one that says nothing of our messages.
func own(reason error) error {
	if _, ok := errors.AsType[*Error](reason); ok {
		return elsewhere{reason}
	}
	return reason
}

// notSent is the error of a Send whose message was not, or not wholly, written.
func (c *Conn) notSent(m *outgoing, reason error) error {
	if m.send != nil && m.send.streamingOut != nil {
		switch {
		case m.send.broken != nil:
			reason = m.send.broken
		case m.send.begun:
			reason = &PartialError{Size: m.size(), Moved: m.send.moved, Err: reason}
		}
	}
	return fmt.Errorf("tinyproto: message of %d bytes to %v not sent: %w", m.size(), c.nc.RemoteAddr(), own(reason))
}
