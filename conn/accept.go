package conn

import (
	"fmt"
	"io"
)

// Accept decides on a message of size bytes that the peer offers, before it is
// answered: see [Options].
//
// It is called once for each offer, in the order of the offers, as soon as an
// offer has arrived: messages before it may still wait in the Inbox. A message
// for the Inbox that has no room there may be put off and offered again, and is
// asked about again; one with a Writer is not.
//
// Nothing that the peer sends is read until it returns, so it must not wait for
// anything that comes over this connection. A panic in it, in a Writer or in a
// Done is one of the program's.
type Accept func(size uint32) Placement

// Placement is what becomes of an offered message. The zero value is what
// happens without an [Accept]: the message goes into the Inbox if it is not
// above Options.MaxMessage, and is refused otherwise.
type Placement struct {
	// Refuse answers TOO_LARGE. The connection lives on.
	Refuse bool

	// Writer, if set, takes the message instead of the Inbox, however large it
	// is, piece by piece as it arrives: only a buffer of 64 KiB is held in
	// memory. Into an *os.File the operating system copies, where it can
	// (Linux), from TCP and Unix sockets.
	//
	// The goroutine that reads the connection writes to it. While a Write
	// takes its time, nothing else that the peer sends is read, neither
	// messages nor the answers to ours, so a Writer must not wait for this
	// connection: not for a message from it, nor for a Send to it to return.
	// The peer sees a slow Writer as a slow reader, and its StallTimeout
	// applies; ours does not run meanwhile.
	//
	// If a Write fails, the rest of the message is read and dropped, and the
	// connection lives on: Done has the error.
	Writer io.Writer

	// Done, if set, is called once for a Writer: with a nil error when the
	// message is complete and all of it was written, before anything that
	// follows it is accepted; otherwise with a [*PartialError], also if it
	// was never begun because the connection ended. moved is how many bytes
	// were written. The Writer is not used any more by then. Done must not
	// wait, as an Accept must not.
	//
	// When the Inbox closes after a graceful end, every Done has returned.
	// After Close, or the end of the context, one may still be to come, from a
	// Writer that has not returned.
	Done func(moved int64, err error)
}

// SetAccept replaces Options.Accept, for the offers that arrive from now on. A
// Handler of a server calls it, where each connection decides for itself; as
// offers may have come before, it needs Options.HoldOffers to decide on all:
// then one that is held is decided on before SetAccept returns. A Receive or Send
// that is reading meanwhile may have to call accept once, in its goroutine. Nil means that
// all messages go into the Inbox again. It may be called concurrently, but not
// by an Accept.
//
// In pipelined mode a peer knows our limit, and does not send what is above it:
// to take messages above Options.MaxMessage into a Writer, set Options.Accept or
// HoldOffers as well.
func (c *Conn) SetAccept(accept Accept) {
	c.mu.Lock()
	defer c.unlock()
	c.accept, c.holdOffers = accept, false
	c.readAlways()
	if c.pipe != nil {
		c.flush(false) // our terms wait for this
	}
	if !c.undecided {
		return
	}
	c.undecided = false
	if size, ok := c.ledger.PeerOffer(); ok {
		c.settling = true
		defer func() { // also if accept exits its goroutine
			c.settling = false
			c.note()
			c.flush(false)
		}()
		c.place(size, c.unlocked)
	}
}

// PartialError is a streamed message that was broken off, at either end.
type PartialError struct {
	// Size of the message, in bytes.
	Size int64
	// Moved is how many of them were moved: read and written, at this end.
	Moved int64
	// Err is why it was broken off: io.ErrUnexpectedEOF for a reader that
	// ended early, the error of a Reader or Writer, or what ended the connection.
	Err error
}

// Error says how much was moved, and why not all.
func (e *PartialError) Error() string {
	return fmt.Sprintf("message broken off after %d of %d bytes: %v", e.Moved, e.Size, e.Err)
}

// Unwrap returns Err.
func (e *PartialError) Unwrap() error { return e.Err }
