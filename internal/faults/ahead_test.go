//go:build unix

package faults

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/tinyproto-go/tinyproto"
)

// How many requests are sent before a reply is read, and how much of them: a server
// that echoes from one goroutine takes no more than a window of what is not read.
const (
	maxAhead      = 16
	maxBytesAhead = 512 << 10
)

// askAhead sends some requests, and then receives the replies, in their order.
func (c *client) askAhead(nc *tinyproto.Conn, random *rand.Rand) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), c.Timeout, errNoReply)
	defer cancel()
	requests := [][]byte{c.request(random)}
	bytes := len(requests[0])
	for range random.IntN(maxAhead) {
		more := c.request(random)
		if bytes += len(more); bytes > maxBytesAhead {
			break
		}
		requests = append(requests, more)
	}
	answered := nc.Stats().MessagesSent
	taken, replied := 0, 0
	err := func() error {
		for _, msg := range requests {
			select {
			case nc.Outbox() <- msg:
				taken++
				c.sent.Add(1)
			case <-nc.Done():
				return cmp.Or(nc.Err(), io.EOF)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		for _, msg := range requests {
			if err := receive(ctx, nc, msg); err != nil {
				return err
			}
			replied++
			c.replied.Add(1)
		}
		return nil
	}()
	if err == nil {
		return nil
	}
	c.lost.Add(int64(taken - replied))
	nc.Close()
	// What was taken is answered, or known to be unsent.
	if n := int(nc.Stats().MessagesSent-answered) + len(nc.Unsent()); n != taken {
		c.ends.add(unnamed, fmt.Sprintf("%d requests were taken, %d are answered or unsent: %v", taken, n, nc.Err()))
	}
	return err
}
