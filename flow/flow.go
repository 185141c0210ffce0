// Package flow composes channels, such as the Inboxes of connections: [Merge]
// and [Tee] join and split them, [Map] works on their values in parallel, and
// [Forward] joins two connections. What is a loop of a few lines is not here.
//
// Of the channels that Merge, Tee and Map return:
//
//   - The functions return at once. Their goroutines end, and the channels close,
//     when the inputs are closed and all values handed on; or when ctx ends, also
//     if nobody receives. Whoever stops receiving before that has to end ctx.
//   - They have no buffer, and a function takes no more ahead than it says. When
//     ctx ends, what it holds is dropped; what came before has no gaps.
//   - A closed channel does not say why. After the range ask ctx, and Err of the
//     connections behind the inputs.
package flow

import (
	"context"
	"fmt"
	"sync"

	"github.com/tinyproto-go/tinyproto/conn"
)

// Merge returns a channel of the values of all inputs. Those of one input keep
// their order, and inputs that have a value take turns, one value each. Merge
// holds one value per input. The channel closes when all inputs are closed, at
// once if there are none, or when ctx ends.
func Merge[T any](ctx context.Context, ins ...<-chan T) <-chan T {
	out := make(chan T)
	var inputs sync.WaitGroup
	for _, in := range ins {
		inputs.Go(func() { // ends with in or ctx
			for v, ok := receive(ctx, in); ok; v, ok = receive(ctx, in) {
				send(ctx, out, v)
			}
		})
	}
	go func() { inputs.Wait(); close(out) }() // ends with them
	return out
}

// Tee returns n channels, each of which gets every value, in order. The value
// is shared, not copied: a slice may be sent on several connections, but whoever
// wants to change it has to copy it.
//
// Each value is handed to all n, in whatever order they are received from,
// before the next one is taken: Tee holds one value. So a slow receiver delays
// all others, and one that stops receiving stops them, until ctx ends; then the
// last value may have reached only some. If n is 0, the values are dropped.
func Tee[T any](ctx context.Context, in <-chan T, n int) []<-chan T {
	outs, ends := make([]<-chan T, n), make([]chan T, n)
	for i := range n {
		ends[i] = make(chan T)
		outs[i] = ends[i]
	}
	go func() { // ends with in or ctx
		for v, ok := receive(ctx, in); ok; v, ok = receive(ctx, in) {
			var handing sync.WaitGroup
			for _, end := range ends {
				handing.Go(func() { send(ctx, end, v) }) // ends with its receiver or ctx
			}
			handing.Wait()
		}
		for _, end := range ends {
			close(end)
		}
	}()
	return outs
}

// Map returns a channel of f's results for the values of in, in their order.
// At most workers calls of f run at once; fewer than one worker is a panic.
//
// Map holds at most workers values and results, so no more than workers-1 calls
// get ahead of a slow one. The channel closes when in is closed, or when ctx ends
// and the calls in progress have returned: none runs on unseen, so a slow f
// should watch ctx. A panic in f is not recovered.
//
// f gets no context, as it can use the caller's, and returns no error, as only
// the caller knows what one means. To pass it on, make it part of U. To end the
// work, take a ctx of [context.WithCancelCause] and have f call cancel(err):
// neither the result of that call nor any later one is handed on.
func Map[T, U any](ctx context.Context, in <-chan T, workers int, f func(T) U) <-chan U {
	if workers < 1 {
		panic(fmt.Sprintf("flow: Map with %d workers", workers))
	}
	out := make(chan U)
	// Only the worker that has the turn takes a value. With the turn it learns
	// when the result before its own has been sent.
	turn := make(chan chan struct{}, 1)
	start := make(chan struct{})
	close(start)
	turn <- start
	var working sync.WaitGroup
	for range workers {
		working.Go(func() { // ends with in or ctx
			for before, ok := receive(ctx, turn); ok; before, ok = receive(ctx, turn) {
				v, ok := receive(ctx, in)
				sent := make(chan struct{})
				turn <- sent // never waits: there is only one turn
				if !ok {
					return
				}
				u := f(v)
				receive(ctx, before) // until it is closed
				send(ctx, out, u)
				close(sent)
			}
		})
	}
	go func() { working.Wait(); close(out) }() // ends with the workers
	return out
}

// receive returns the next value, and false once in is closed or ctx ended.
func receive[T any](ctx context.Context, in <-chan T) (v T, ok bool) {
	if ctx.Err() == nil {
		select {
		case v, ok = <-in:
		case <-ctx.Done():
		}
	}
	return v, ok
}

// send hands v on, or drops it when ctx ended.
func send[T any](ctx context.Context, out chan<- T, v T) {
	if ctx.Err() == nil {
		select {
		case out <- v:
		case <-ctx.Done():
		}
	}
}

// Forward passes what from's Inbox has on to to's Outbox, in order and without
// copying. It starts no goroutine and ends neither connection. It blocks until
//
//   - from ends: it returns from.Err(), nil for a clean end;
//   - to takes no more: the error matches [conn.ErrClosed], and wraps to.Err()
//     as far as that is known by then;
//   - ctx ends: the error matches its cause.
//
// Forward holds one message. If it cannot pass that on, the error is a
// [*ForwardError] with it. What to's Outbox took is to's: Shutdown says whether
// all was sent, Unsent what was not. Nobody may close that Outbox meanwhile.
func Forward(ctx context.Context, from, to *conn.Conn) error {
	for {
		if err := forwardEnd(ctx, from, to); err != nil {
			return err
		}
		select {
		case msg, ok := <-from.Inbox():
			if !ok {
				return from.Err()
			}
			select {
			case to.Outbox() <- msg:
				continue
			case <-to.Done():
			case <-ctx.Done():
			}
			return &ForwardError{Message: msg, Err: forwardEnd(ctx, from, to)}
		case <-to.Done():
		case <-ctx.Done():
		}
	}
}

// forwardEnd says why nothing can be forwarded any more, nil if it can.
func forwardEnd(ctx context.Context, from, to *conn.Conn) error {
	reason := context.Cause(ctx)
	if reason == nil {
		select {
		case <-to.Done():
		default:
			return nil
		}
		if reason = conn.ErrClosed; to.Err() != nil {
			reason = fmt.Errorf("%w: %w", reason, to.Err())
		}
	}
	return fmt.Errorf("tinyproto: forward from %v to %v: %w", from.RemoteAddr(), to.RemoteAddr(), reason)
}

// ForwardError is the end of a Forward that could not pass on what it held.
type ForwardError struct {
	Message []byte // received from the one, not sent to the other
	Err     error  // why Forward ended
}

// Error says why, and how long the message is.
func (e *ForwardError) Error() string {
	return fmt.Sprintf("%v; a message of %d bytes was not passed on", e.Err, len(e.Message))
}

// Unwrap returns Err.
func (e *ForwardError) Unwrap() error { return e.Err }
