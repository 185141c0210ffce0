package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// patience is how long an end may take, and an answer of a server. What its
// clients wait for may take as long as the flag says.
const patience = time.Minute

// endpoint is one end of a connection, and counts what is done with it. Its
// methods may be called concurrently.
type endpoint struct {
	*conn.Conn
	traffic *traffic

	mu      sync.Mutex
	account account // guarded by mu
}

// traffic is what all connections of a process do together.
type traffic struct {
	messages, bytes atomic.Int64 // taken or handed over
}

func (t *traffic) add(size int) {
	t.messages.Add(1)
	t.bytes.Add(int64(size))
}

// send is Send, counted.
func (e *endpoint) send(ctx context.Context, msg []byte) error {
	err := e.Send(ctx, msg)
	e.sent(len(msg), err, mayArrive(err), false)
	return err
}

// sendFrom is SendFrom, counted.
func (e *endpoint) sendFrom(ctx context.Context, r io.Reader, size int) error {
	err := e.SendFrom(ctx, r, int64(size))
	doubtful := mayArrive(err) && e.Stats().Pipelined // else that is the connection's end
	e.sent(size, err, doubtful, doubtful)
	return err
}

// mayArrive reports whether a Send was cancelled on its way: it is written yet, or
// listed as unsent, unless it is a SendFrom's.
func mayArrive(err error) bool {
	return errors.Is(err, conn.ErrInDoubt) && !errors.Is(err, conn.ErrClosed)
}

func (e *endpoint) sent(size int, err error, doubtful, unlisted bool) {
	e.traffic.add(size)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.account.Handed++
	switch {
	case err == nil:
	case doubtful:
		e.account.Doubtful++
		if unlisted {
			e.account.Unlisted++
		}
	default:
		e.account.Failed++
		// Only an empty message is in doubt without being written.
		e.account.EmptyInDoubt = e.account.EmptyInDoubt || errors.Is(err, conn.ErrInDoubt)
	}
}

// post puts msg into the Outbox, and reports false if nothing more is taken.
func (e *endpoint) post(msg []byte) bool {
	select {
	case e.Outbox() <- msg:
	case <-e.Done():
		return false
	}
	e.traffic.add(len(msg))
	e.mu.Lock()
	defer e.mu.Unlock()
	e.account.Handed++
	return true
}

// take counts a message that the application took, with what is wrong with it.
func (e *endpoint) take(size int, err error) {
	e.traffic.add(size)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.account.Taken++
	if err != nil {
		e.blame(err)
	}
}

// note changes the account.
func (e *endpoint) note(change func(*account)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.account)
}

// violated notes what must not be.
func (e *endpoint) violated(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.blame(err)
}

// maxViolations of one connection are reported: the others follow from the first.
const maxViolations = 3

func (e *endpoint) blame(err error) {
	if len(e.account.Violations) < maxViolations {
		e.account.Violations = append(e.account.Violations, err.Error())
	}
}

// settle waits for the connection, which has to be ending, and returns the
// final account. Nothing may be sent or taken any more.
func (e *endpoint) settle() account {
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience, fmt.Errorf("its end takes more than %v", patience))
	defer cancel()
	e.Shutdown(ctx)
	if ctx.Err() != nil {
		e.violated(context.Cause(ctx))
	}
	stats, left, err := e.Stats(), e.Unsent(), e.Err()
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.account
	a.Written, a.Arrived = stats.MessagesSent, stats.MessagesReceived
	a.Refused, a.PeerRefused = stats.Refused, stats.PeerRefused
	a.BytesSent, a.BytesReceived, a.Conflicts = stats.BytesSent, stats.BytesReceived, stats.Conflicts
	a.Unsent = uint64(len(left))
	if a.Pipelined = stats.Pipelined; a.Pipelined && a.Window == 0 {
		a.Window = conn.DefaultWindowMessages
	}
	a.EmptyInDoubt = a.EmptyInDoubt || len(left) > 0 && len(left[0]) == 0
	if a.End == "" {
		a.End = kindOf(err)
	}
	if err != nil {
		a.Err = err.Error()
	}
	if e, ok := errors.AsType[*conn.Error](err); ok {
		a.InDoubt = e.InDoubt
	}
	switch a.End {
	case stalled, protocol, grace, evicted, closed:
		a.Broke = true
	}
	if _, ok := errors.AsType[*conn.PartialError](err); ok {
		a.Broke = true
	}
	return a
}
