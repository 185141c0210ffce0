package conn

import (
	"errors"
	"fmt"
	"slices"
)

// reason says why the connection ended, nil for a clean end.
func (c *Conn) reason() error {
	switch {
	case c.end.cause != nil && c.end.failure != nil:
		return fmt.Errorf("%w; then: %w", c.end.cause, c.end.failure)
	case c.end.cause != nil:
		return c.end.cause
	}
	return c.end.failure
}

// closedReason is the reason for those who come too late; it matches ErrClosed.
func (c *Conn) closedReason() error {
	reason := c.reason()
	switch {
	case reason != nil && !errors.Is(reason, ErrClosed):
		return fmt.Errorf("%w: %w", ErrClosed, reason)
	case c.end.byPeer:
		return fmt.Errorf("%w by the peer", ErrClosed)
	}
	return ErrClosed
}

// Err returns why the connection ended, an [*Error]: the cause of its context,
// [ErrClosed] after Close, or what broke. It is nil as long as the transport
// is open, and after a clean end: the peer or Shutdown ended the connection
// between messages, and nothing is unsent. It is final once Done and Inbox
// are closed, but for a producer that goes on: what it puts into the Outbox's
// buffer then is unsent, too. In pipelined mode it is final once Ended is closed:
// the Inbox closes behind the peer's last message, and the answers to
// ours may still be to come.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end.state != over {
		return nil
	}
	reason := c.reason()
	unsent := len(c.end.unsent) + len(c.outbox)
	if reason == nil {
		if unsent == 0 {
			return nil
		}
		if reason = ErrUnsent; c.end.byPeer {
			reason = fmt.Errorf("the peer ended it: %w", ErrUnsent)
		}
	}
	return &Error{Remote: c.nc.RemoteAddr(), Err: reason, Unsent: unsent,
		InDoubt: c.end.inDoubt, InDoubtSize: c.end.inDoubtSize}
}

// Unsent lists the messages of the Outbox that were not wholly written, in
// their order, and those whose Send gave up with [ErrInDoubt] and that were not
// written after all. (A Send that failed otherwise has told its caller.) While
// the connection lives these are the refused ones alone. After the end what is
// left in the Outbox's buffer is part of it, so it is exact once the producers
// have stopped.
//
// In pipelined mode it lists what was not answered: these may have arrived.
//
// In classic mode, in doubt may be, besides, the last message that was written, and an empty
// one among these: [Error] says so.
func (c *Conn) Unsent() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.end.state == over && !c.writing {
		select {
		case msg, ok := <-c.outbox:
			if ok {
				c.end.unsent = append(c.end.unsent, msg)
				continue
			}
		default:
		}
		break
	}
	return slices.Clone(c.end.unsent)
}
