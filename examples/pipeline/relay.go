package main

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/tinyproto-go/tinyproto"
)

// relay receives messages from one server, transforms them, workers at a time,
// and sends the results, in the order of the messages, to each of the others.
// It ends when the source does, or with the first connection that fails: all
// of them live in the group's context.
func relay(ctx context.Context, source string, sinks []string, workers int, transform func([]byte) []byte) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	from, err := tinyproto.Dial(ctx, source, nil)
	if err != nil {
		return 0, err
	}
	defer from.Close()
	to := make([]*tinyproto.Conn, len(sinks))
	for i, sink := range sinks {
		if to[i], err = tinyproto.Dial(ctx, sink, nil); err != nil {
			return 0, err
		}
		defer to[i].Close()
	}

	// Results travel as channels, in the order of the messages.
	results := make(chan chan []byte, workers-1)
	g.Go(func() error { // ends with the source, or with ctx, which ends the source
		defer close(results)
		for msg := range from.Inbox() {
			result := make(chan []byte, 1)
			select {
			case results <- result:
				go func() { result <- transform(msg) }() // at most workers of them
			case <-ctx.Done():
			}
		}
		return from.Err()
	})

	count := 0
	g.Go(func() error { // ends with results, or with the first sink that is gone
		for result := range results {
			msg := <-result
			for _, c := range to { // one slice for all: sending never writes to it
				select {
				case c.Outbox() <- msg:
				case <-c.Done():
					return fmt.Errorf("sink %v is gone: %w", c.RemoteAddr(), endOf(c))
				}
			}
			count++
		}
		// What was sent is flushed before the connections end.
		var ends errgroup.Group
		for _, c := range to {
			ends.Go(func() error { return c.Shutdown(ctx) })
		}
		return ends.Wait()
	})
	err = g.Wait()
	return count, err
}

// endOf returns why c ended, also where that was no error for c.
func endOf(c *tinyproto.Conn) error {
	for range c.Inbox() { // Err is final once the Inbox is closed
	}
	if err := c.Err(); err != nil {
		return err
	}
	return tinyproto.ErrClosed
}
