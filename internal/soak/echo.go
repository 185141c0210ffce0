package main

import (
	"context"
	"fmt"
	"time"
)

// echo keeps several messages on their way, over the channels or the calls, and
// receives the echoes in another goroutine.
func (v *visit) echo() error { return v.echoes(0) }

// slowReader is an echo that takes its time before each message that it takes.
func (v *visit) slowReader() error {
	return v.echoes(time.Duration(1+v.rng.IntN(1000)) * time.Millisecond)
}

func (v *visit) echoes(slowness time.Duration) error {
	if err := v.connect(v.buffers(), intro{Service: serviceEcho, Channels: v.rng.IntN(2) == 0}); err != nil {
		return err
	}
	due := newBook(v.session, 1)
	window := make(chan struct{}, 1+v.rng.IntN(8))
	received := v.receiving(func(msg []byte) {
		pause(slowness, v.leave, v.over)
		v.take(len(msg), due.take(msg))
		select {
		case <-window:
		default: // there is one too many, which the book has noted
		}
	})
	channels := v.rng.IntN(2) == 0
	limit := maxMessage
	if slowness > 0 {
		limit = 64 << 10 // or there is nothing but a few large ones
	}
sending:
	for {
		size := sizes(v.rng, limit)
		if !v.turn(size) {
			break
		}
		select {
		case window <- struct{}{}:
		case <-v.over:
			break sending
		case <-v.leave:
			break sending
		case <-v.Done():
			break sending
		}
		if !v.sendEcho(due, size, channels) {
			break
		}
	}
	v.end(v.drawEnd(), func(ctx context.Context) bool {
		for range cap(window) { // until nothing is on its way
			select {
			case window <- struct{}{}:
			case <-v.Done():
				return due.open() == 0
			case <-ctx.Done():
				return false
			}
		}
		return true
	})
	received.Wait()
	v.handIn()
	return nil
}

// sendEcho sends a message whose echo is due. It reports false if it was not
// taken.
func (v *visit) sendEcho(due *book, size int, channels bool) bool {
	number := due.expect(size)
	msg := compose(v.session, number, size)
	if channels {
		if !v.post(msg) {
			due.withdraw(number)
			return false
		}
		return true
	}
	if err := v.send(context.Background(), msg); err != nil {
		if err := due.withdraw(number); err != nil {
			v.violated(err)
		}
		return false
	}
	return true
}

// pingPong sends a message, receives its echo, and sends the next, all in one
// goroutine. Some messages are larger than the server takes.
func (v *visit) pingPong() error {
	if err := v.connect(v.buffers(), intro{Service: serviceEcho}); err != nil {
		return err
	}
	due := newBook(v.session, 1)
	for {
		size := sizes(v.rng, maxMessage)
		if !v.turn(size) {
			break
		}
		if v.rng.IntN(50) == 0 {
			if err := v.send(context.Background(), oversized); kindOf(err) != tooLarge && !isOver(v.endpoint) {
				v.violated(fmt.Errorf("a message of %d bytes was not refused, but: %v", len(oversized), err))
			}
		}
		if !v.sendEcho(due, size, false) {
			break
		}
		msg, ok := v.reply()
		if !ok {
			break
		}
		v.take(len(msg), due.take(msg))
	}
	received := v.receiving(func(msg []byte) { v.take(len(msg), due.take(msg)) })
	v.end(v.drawEnd(), nothingDue)
	received.Wait()
	v.handIn()
	return nil
}

// oversized is never read: it is refused before that.
var oversized = make([]byte, maxMessage+1)

// abandon sends to an echo and takes nothing, until the server takes nothing
// either; then it goes without a word.
func (v *visit) abandon() error {
	if err := v.connect(v.buffers(), intro{Service: serviceEcho, Channels: v.rng.IntN(2) == 0}); err != nil {
		return err
	}
	due := newBook(v.session, 1)
	for size := sizes(v.rng, 64<<10); v.turn(size); size = sizes(v.rng, 64<<10) {
		ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, errEnding)
		err := v.send(ctx, compose(v.session, due.expect(size), size))
		cancel()
		if err != nil {
			break
		}
	}
	pause(time.Hour, v.leave, v.over, v.Done())
	v.note(func(a *account) { a.Abandoned = true })
	if v.rng.IntN(2) == 0 {
		v.end(breakOff, nil)
	} else {
		v.end(outOfTime, nil)
	}
	for range v.Inbox() {
	}
	v.handIn()
	return nil
}

// isOver reports whether the connection takes nothing more.
func isOver(e *endpoint) bool {
	select {
	case <-e.Done():
		return true
	default:
		return false
	}
}
