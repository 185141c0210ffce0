package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
)

// intake decides where the messages of a connection go: envelopes into its
// Inbox, and the chunks of a file that is expected into the file, so that no
// byte of them passes through this program where the system can copy.
type intake struct {
	changed chan struct{} // cap 1: something happened that wait has to look at

	mu     sync.Mutex
	limit  uint32   // guarded by mu; of a message for the Inbox
	hasty  bool     // immutable: give up when a write fails, not when all has come
	file   *os.File // guarded by mu; nil while none is expected
	left   int64    // guarded by mu; bytes of it that were not offered yet
	moving bool     // guarded by mu; a chunk of it is arriving
	err    error    // guarded by mu; of the first write that failed, or of a chunk too many
	excess bool     // guarded by mu; err is the latter
}

// newIntake makes an intake. A hasty one gives up a file when a write fails,
// for someone who ends the connection then; the other when all has come, as a
// Python client understands a rejection only then.
func newIntake(hasty bool) *intake {
	return &intake{changed: make(chan struct{}, 1), limit: maxEnvelope, hasty: hasty}
}

// accept is the connection's [conn.Accept].
func (in *intake) accept(size uint32) conn.Placement {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.file == nil || in.left == 0:
		return conn.Placement{Refuse: size > in.limit}
	case size == 0 || int64(size) > in.left: // an empty one would be no progress
		in.err = fmt.Errorf("a chunk of %d bytes was sent where %d were left of what was announced", size, in.left)
		in.excess = true
		in.notify()
		return conn.Placement{Refuse: true}
	}
	in.left -= int64(size)
	in.moving = true
	if in.err != nil {
		return conn.Placement{Writer: io.Discard, Done: in.done}
	}
	return conn.Placement{Writer: in.file, Done: in.done}
}

// done is called at the end of each chunk.
func (in *intake) done(_ int64, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.moving = false
	if partial, ok := errors.AsType[*conn.PartialError](err); ok {
		err = partial.Err
	}
	if in.err == nil {
		in.err = err
	}
	in.notify()
}

func (in *intake) notify() {
	select {
	case in.changed <- struct{}{}:
	default:
	}
}

// expect has the next n bytes go into file, from its offset on.
func (in *intake) expect(file *os.File, n int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.file, in.left, in.moving, in.err, in.excess = file, n, false, nil, false
}

// forget has all messages be envelopes again, of at most limit bytes.
func (in *intake) forget(limit uint32) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.file, in.left, in.limit = nil, 0, limit
}

// state reports whether all that was expected has come, or ever will.
func (in *intake) state() (over, moving bool, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.excess || in.hasty && in.err != nil || in.left == 0 && !in.moving, in.moving, in.err
}

// wait waits until all that was expected has come. It gives up when the
// connection ends, or the peer does not go on for the timeout. If what came
// could not be kept, or was too much, the error is a [*rejection].
func (in *intake) wait(ctx context.Context, c *tinyproto.Conn, timeout time.Duration) error {
	began := time.Now()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		over, _, err := in.state()
		if over && err == nil {
			return nil
		}
		if over && !isOver(c) {
			return &rejection{plain(err)}
		}
		select {
		case <-in.changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			for range c.Inbox() { // is closed when no chunk is on its way any more
			}
			if over, _, err := in.state(); over && err == nil {
				return nil
			}
			return ended(c)
		case <-timer.C:
			// Inside a chunk the connection sees to it that the peer goes on.
			idle := idleSince(c, began)
			_, moving, _ := in.state()
			if moving || isOver(c) {
				idle = 0
			}
			if idle >= timeout {
				return &silentError{timeout}
			}
			timer.Reset(max(timeout-idle, timeout/16))
		}
	}
}

// abandon ends the connection and waits until nothing is written to the file
// any more: a write to the disk that is in progress can't be stopped.
func (in *intake) abandon(c *tinyproto.Conn) {
	c.Close()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	for {
		if _, moving, _ := in.state(); !moving {
			return
		}
		select {
		case <-in.changed:
		case <-timer.C:
			return
		}
	}
}

// idleSince returns how long nothing has moved on c, or how long ago t is.
func idleSince(c *tinyproto.Conn, t time.Time) time.Duration {
	return min(time.Since(c.Stats().LastActivity), time.Since(t))
}

// silentError is a peer that does nothing while it is its turn.
type silentError struct{ timeout time.Duration }

func (e *silentError) Error() string { return fmt.Sprintf("the peer was silent for %v", e.timeout) }

func isOver(c *tinyproto.Conn) bool {
	select {
	case <-c.Done():
		return true
	default:
		return false
	}
}

// ended returns why c is over.
func ended(c *tinyproto.Conn) error {
	if err := c.Err(); err != nil {
		return err
	}
	return errEnded
}

var errEnded = errors.New("the peer ended the connection")
