package hub

import (
	"errors"
	"fmt"

	"github.com/tinyproto-go/tinyproto/conn"
)

// Sentinels for [errors.Is].
var (
	// ErrClosed matches the error of a Join to a hub that has ended.
	ErrClosed = errors.New("hub closed")
	// ErrNotMember matches a Send to somebody who is not, or no longer, a member.
	ErrNotMember = errors.New("not a member")
	// ErrEvicted matches the error of a member that was evicted: see [EvictedError].
	ErrEvicted = errors.New("evicted")
	// ErrDropped matches a Send whose message the policy dropped.
	ErrDropped = errors.New("message dropped: the member's queue is full")

	// errGrace is why a member that left was cut off with messages queued.
	errGrace = fmt.Errorf("hub: %w", conn.ErrGrace)
	// errCut is why one was that had received them all, which is no error.
	errCut = fmt.Errorf("hub: cut off: %w", conn.ErrGrace)
)

// EvictedError is why a member was evicted: its queue was full.
type EvictedError struct {
	ID              ID
	Messages, Bytes int // that were queued
}

// Error says who was evicted, and how far it was behind.
func (e *EvictedError) Error() string {
	return fmt.Sprintf("hub: member %s evicted: %d messages of %d bytes were queued and the next did not fit", e.ID, e.Messages, e.Bytes)
}

// Is reports whether target is [ErrEvicted].
func (e *EvictedError) Is(target error) bool { return target == ErrEvicted }
