package tinyproto

import (
	"context"
	"sync"
	"time"
)

// handlerContext is the context of a Handler: it ends with the server's, or when
// the Handler has returned. Most Handlers only hand it on to their connection, which
// needs no context of its own for that: it is made when somebody else waits for it.
type handlerContext struct {
	server context.Context // immutable

	mu     sync.Mutex
	own    context.Context    // guarded by mu; nil until it is made
	cancel context.CancelFunc // guarded by mu; own's
	over   bool               // guarded by mu: the Handler has returned
}

// Life tells the connection that its own context, the server's, will do.
func (c *handlerContext) Life() context.Context { return c.server }

func (c *handlerContext) Deadline() (time.Time, bool) { return c.server.Deadline() }

func (c *handlerContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own == nil {
		c.own, c.cancel = context.WithCancel(c.server)
		if c.over {
			c.cancel()
		}
	}
	return c.own.Done()
}

func (c *handlerContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.own != nil:
		return c.own.Err()
	case c.over:
		return context.Canceled
	}
	return c.server.Err()
}

// Value asks own, where there is one, so that package context knows it.
func (c *handlerContext) Value(key any) any {
	c.mu.Lock()
	ctx := c.own
	c.mu.Unlock()
	if ctx == nil {
		ctx = c.server
	}
	return ctx.Value(key)
}

// end is the return of the Handler.
func (c *handlerContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.cancel != nil {
		c.cancel()
	}
}
