package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// pump sends and is sent nothing.
func (v *visit) pump() error {
	if err := v.connect(v.buffers(), intro{Service: serviceSink}); err != nil {
		return err
	}
	received := v.receiving(func(msg []byte) { v.take(len(msg), errUnasked) })
	channels := v.rng.IntN(2) == 0
	for size := sizes(v.rng, maxMessage); v.turn(size); size = sizes(v.rng, maxMessage) {
		msg := compose(v.session, v.sender, size)
		if channels && !v.post(msg) || !channels && v.send(context.Background(), msg) != nil {
			break
		}
		v.sender++
	}
	e := v.drawEnd()
	if channels && e == finish && v.rng.IntN(2) == 0 && !isOver(v.endpoint) {
		v.note(func(a *account) { a.Complete = true })
		close(v.Outbox()) // which flushes it and ends the connection, as Shutdown does
	} else {
		v.end(e, nothingDue)
	}
	received.Wait()
	v.handIn()
	return nil
}

// impatient sends to a slow receiver, and gives up each message after a while.
// It uses no number twice that may have arrived.
func (v *visit) impatient() error {
	slowness := time.Duration(10+v.rng.IntN(500)) * time.Millisecond
	if err := v.connect(v.buffers(), intro{Service: serviceSink, Pause: slowness}); err != nil {
		return err
	}
	received := v.receiving(func(msg []byte) { v.take(len(msg), errUnasked) })
	for {
		size := max(headerSize, sizes(v.rng, 16<<10)) // with a number to be seen
		if !v.turn(size) {
			break
		}
		ctx, cancel := context.WithTimeoutCause(context.Background(), upTo(v.rng, slowness), errEnding)
		err := v.send(ctx, compose(v.session, v.sender, size))
		cancel()
		if err == nil || errors.Is(err, conn.ErrInDoubt) {
			v.sender++
		}
	}
	e := v.drawEnd()
	if e == finish {
		e = depart // what it gave up is no reason for a complaint
	}
	v.end(e, nil)
	received.Wait()
	v.handIn()
	return nil
}

// drain is sent messages, a certain number or until it goes.
func (v *visit) drain() error {
	i := intro{Service: serviceSource, Channels: v.rng.IntN(2) == 0, Limit: 64 << 10}
	if v.rng.IntN(2) == 0 {
		i.Count = 1 + v.rng.IntN(200)
	}
	if err := v.connect(v.buffers(), i); err != nil {
		return err
	}
	staying := true
	received := v.receiving(func(msg []byte) {
		staying = staying && v.turn(len(msg)) // once it is over, what comes is taken as it comes
		v.take(len(msg), v.from.take(msg))
	})
	pause(time.Hour, v.leave, v.over, v.Done())
	if i.Count == 0 {
		e := v.drawEnd()
		if e == finish {
			e = depart // a server that goes on to send sees it as an end amid a message
		}
		v.end(e, nil)
	} else if pause(v.fleet.patience, v.Done()) { // the handler's return ends the connection
		v.late()
	}
	received.Wait()
	if i.Count > 0 && v.Err() == nil {
		v.note(func(a *account) { a.Complete = true })
	}
	v.handIn()
	return nil
}

// request asks for messages of a size, some of which are larger than it takes.
func (v *visit) request() error {
	const limit = 64 << 10
	opts := v.buffers()
	opts.MaxMessage = limit
	if err := v.connect(opts, intro{Service: serviceRequest}); err != nil {
		return err
	}
	for {
		size := sizes(v.rng, limit)
		if v.rng.IntN(20) == 0 {
			size = limit + 1 + v.rng.IntN(limit)
		}
		if !v.turn(size) || v.send(context.Background(), asking(v.session, v.sender, size)) != nil {
			break
		}
		v.sender++
		msg, ok := v.reply()
		if !ok {
			break
		}
		v.take(len(msg), v.checkReply(msg, size, limit))
	}
	received := v.receiving(func(msg []byte) { v.take(len(msg), errUnasked) })
	v.end(v.drawEnd(), nothingDue)
	received.Wait()
	v.handIn()
	return nil
}

// checkReply checks the answer to a request for size bytes.
func (v *visit) checkReply(msg []byte, size, limit int) error {
	if size > limit {
		size = headerSize // the server's answer to a refusal
	}
	if len(msg) != size {
		return fmt.Errorf("a reply of %d bytes, expected %d: %w", len(msg), size, errDamaged)
	}
	gaps := v.from.gaps
	if err := v.from.take(msg); err != nil {
		return err
	}
	if v.from.gaps != gaps {
		return fmt.Errorf("reply %d: %w", v.from.next-1, errMissing)
	}
	return nil
}
