package main

import (
	"context"
	"math"
	"os"
)

// sums returns the SHA-256 sums of the first bytes of a local file and of one
// of the server, or with a nil length of all. Both ends calculate at the same
// time.
func (c *client) sums(ctx context.Context, f *os.File, path string, length *int64) (mine, theirs sum, err error) {
	n := int64(math.MaxInt64)
	if length != nil {
		n = *length
	}
	digesting, cancel := context.WithCancel(ctx) // not for the request: a connection lives as long as its context
	defer cancel()
	done := make(chan error, 1)
	go func() { // ends with the file or with cancel, and is waited for
		var err error
		mine, err = digest(digesting, f, n)
		done <- err
	}()
	theirs = sum{Length: -1}
	l, err := c.request(ctx, typeSumOf, &sumRequest{path, length})
	if err == nil {
		err = l.await(ctx, typeSum, &theirs)
	}
	if err == nil {
		err = l.busy(ctx, func() error { return <-done })
	} else {
		cancel()
		<-done
	}
	c.midway = c.midway && err != nil
	return mine, theirs, err
}
