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
// Receive takes messages from the Inbox: of several receivers each gets some.
func (c *Conn) Receive(ctx context.Context) ([]byte, error) {
	if ctx.Err() == nil {
		select {
		case msg, ok := <-c.inbox:
			if ok {
				return msg, nil
			}
			if err := c.Err(); err != nil {
				return nil, err
			}
			return nil, io.EOF
		case <-ctx.Done():
		}
	}
	return nil, fmt.Errorf("tinyproto: receive from %v: %w", c.nc.RemoteAddr(), context.Cause(ctx))
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
