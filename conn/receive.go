package conn

import (
	"context"
	"fmt"
	"io"
	"iter"
)

// Receive returns the next message. It blocks until there is one, or until ctx
// or the connection ends. At the clean end of the connection the error is
// io.EOF; otherwise it is Err's, or the cause of ctx, which takes no message
// and leaves the connection alone. In pipelined mode io.EOF says that the peer sends
// no more; what we sent may still be unanswered, which Shutdown tells.
//
// Receive takes messages from the Inbox: of several receivers each gets some. On a
// socket, as long as Inbox has not been called, a Receive or a Send that waits reads
// the transport itself, which is the fastest way to wait for a message. In pipelined
// mode the answer to a message that it returns may then wait for the next message, if
// that is at hand, or for the reply of a program that was seen to reply at once: for
// 10 ms at most.
func (c *Conn) Receive(ctx context.Context) ([]byte, error) {
	if ctx.Err() == nil {
		var inbox <-chan []byte
		if c.shared.Load() {
			var msg []byte
			var ok bool
			if msg, inbox, ok = c.readUntilReceived(ctx); ok {
				return msg, nil
			}
		} else {
			inbox = c.inbox
		}
		select {
		case msg, ok := <-inbox:
			return c.received(msg, ok)
		case <-ctx.Done():
		}
	}
	return nil, fmt.Errorf("tinyproto: receive from %v: %w", c.nc.RemoteAddr(), context.Cause(ctx))
}

func (c *Conn) received(msg []byte, ok bool) ([]byte, error) {
	if ok {
		return msg, nil
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	return nil, io.EOF
}

// Messages returns the messages to come, each with a nil error, until the
// connection or ctx ends. If that is not the clean end of the connection, the
// last pair is nil and the error. Breaking off leaves the connection alone.
func (c *Conn) Messages(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for {
			msg, err := c.Receive(ctx)
			if err == io.EOF || !yield(msg, err) || err != nil {
				return
			}
		}
	}
}

// readUntilReceived receives a message, and reads the transport itself as long as
// nobody else does. It reports whether there is one: if not, all that is left is to
// wait for the Inbox, which it returns, or for ctx.
func (c *Conn) readUntilReceived(ctx context.Context) (msg []byte, inbox <-chan []byte, ok bool) {
	if stop := c.interruptOn(ctx); stop != nil {
		defer stop()
	}
	c.mu.Lock()
	defer c.unlock()
	defer c.passOn()
	for {
		select {
		case msg, ok := <-c.inbox:
			c.fillInbox()
			return msg, c.inbox, ok
		default:
		}
		switch {
		case !c.shared.Load() || ctx.Err() != nil:
			return nil, c.inbox, false
		case c.mayTakeHeld():
			return c.takeHeld(), nil, true
		case c.mayAnswer():
			c.flush(false) // there is no reply that the answers could go with
		case c.reader == readerAway:
			c.readHere(nil)
		default:
			msg, ok, closed := c.awaitReceived(ctx)
			if ok || closed {
				return msg, c.inbox, ok
			}
		}
	}
}

// awaitReceived waits until somebody else has read.
func (c *Conn) awaitReceived(ctx context.Context) (msg []byte, ok, closed bool) {
	turn := c.receivers.join()
	c.makeInbox()
	inbox := c.inbox
	c.mu.Unlock()
	select {
	case msg, ok = <-inbox:
		closed = !ok
	case <-ctx.Done():
	case <-turn:
	}
	c.mu.Lock()
	c.receivers.n--
	if ok {
		c.fillInbox()
	}
	return msg, ok, closed
}

// mayTakeHeld reports whether there is a message that waits for the Inbox, and the
// application may still have it. mu is held.
func (c *Conn) mayTakeHeld() bool {
	return c.holding && !(c.end.abandoned && (c.pipe != nil || c.end.state == over))
}

// takeHeld takes it. mu is held.
func (c *Conn) takeHeld() []byte {
	msg := c.held
	c.heldTaken()
	return msg
}

// fillInbox moves what is held to where a Receive has made room. Where Receives do
// not read, that is the writer's. mu is held.
func (c *Conn) fillInbox() {
	if !c.shared.Load() || !c.mayTakeHeld() {
		return
	}
	select {
	case c.inbox <- c.held:
		c.heldTaken()
	default:
	}
}

// heldTaken lets others come. mu is held.
func (c *Conn) heldTaken() {
	c.held, c.holding = nil, false
	c.handedOver()
	if c.pipe == nil || !c.deferAnswer() {
		c.flush(false)
	}
}

// mayAnswer reports whether there are answers that a flush would write. mu is held.
func (c *Conn) mayAnswer() bool {
	return c.pipe != nil && len(c.pipe.answers) > 0 && !c.writing && !c.streaming &&
		c.end.state != over && !c.end.deaf && c.end.writeErr == nil
}

// deferAnswer reports whether the answer to a message that Receive returns may wait
// for the next one, which is at hand already, or for the reply of an application
// that was seen to reply at once. It waits for readerPatience at most.
func (c *Conn) deferAnswer() bool {
	c.pipe.replyDue = true
	if !c.holding && !c.pipe.prompt || c.end.state != open {
		return false
	}
	if c.watch.deferred == 0 {
		c.watch.deferred = c.watch.now()
		c.watch.look(c, c.watch.deferred, readerPatience)
	}
	return true
}

// replies notes that the application sends a message: is it a prompt reply?
func (c *Conn) replies() {
	if pl := c.pipe; pl != nil && pl.replyDue {
		pl.replyDue = false
		pl.prompt = pl.prompt || c.watch.since(c.watch.read) < promptReply
	}
}
