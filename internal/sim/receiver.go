package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// receive takes messages until the connection or ctx ends, or as many as the
// plan says.
func (e *endpoint) receive(ctx context.Context) {
	r, echo := e.plan.receiver, e.plan.sender.echo
	for n := 0; r.stopAfter < 0 || n < r.stopAfter; n++ {
		msg, ok := e.next(ctx)
		if !ok {
			return
		}
		if !echo {
			e.take(bytes.Clone(msg), false)
			clear(msg) // it is ours now: nobody else may see this
		} else if e.take(msg, false); !e.answer(msg) {
			echo = false // and go on receiving
		}
		if r.think > 0 {
			time.Sleep(r.think)
		}
	}
	e.w.logf("%s: receives no more", e.name)
}

// next takes a message in the way of the plan.
func (e *endpoint) next(ctx context.Context) ([]byte, bool) {
	switch e.plan.receiver.how {
	case byReceive:
		msg, err := e.conn.Receive(ctx)
		return msg, e.received(ctx, err)
	case byMessages:
		for msg, err := range e.conn.Messages(ctx) {
			return msg, e.received(ctx, err)
		}
		return nil, e.received(ctx, io.EOF)
	}
	select {
	case msg, ok := <-e.conn.Inbox():
		return msg, ok
	case <-ctx.Done():
		return nil, false
	}
}

// received checks what Receive or Messages returned, and reports whether it was
// a message.
func (e *endpoint) received(ctx context.Context, err error) bool {
	switch {
	case err == nil:
		return true
	case err == io.EOF:
		if err := e.conn.Err(); err != nil {
			e.w.violate("%s: Receive returned io.EOF, but Err is %v", e.name, err)
		}
	case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
	default:
		e.notice(err)
	}
	return false
}

// answer sends back a message, and reports whether that is still possible.
func (e *endpoint) answer(msg []byte) bool {
	rec := e.record(msg, 0, e.plan.sender.way)
	return e.send(rec, messagePlan{}, 0)
}

// accept is what decides on the offers of the peer.
func (e *endpoint) accept() conn.Accept {
	o, offers := e.plan.options, 0
	if o.streamFrom == 0 && o.refuseEvery == 0 {
		return nil
	}
	return func(size uint32) conn.Placement {
		offers++                                         // the reader alone is here
		if c := e.greeted(); c != nil && offers%3 == 0 { // nothing that is asked for here may wait for the reader
			c.Stats()
			c.Unsent()
			c.RemoteAddr()
		}
		if o.refuseEvery > 0 && offers%o.refuseEvery == 0 {
			e.w.logf("%s: refuses an offer of %d bytes", e.name, size)
			return conn.Placement{Refuse: true}
		}
		if o.streamFrom == 0 || int(size) < o.streamFrom {
			return conn.Placement{}
		}
		e.mu.Lock()
		e.accepts++
		fails := o.failingWriter > 0 && e.accepts%o.failingWriter == 0
		e.mu.Unlock()
		sw := &writer{size: int(size), pause: o.slowWriter, fails: fails}
		return conn.Placement{Writer: sw, Done: func(moved int64, err error) { e.streamedIn(sw, moved, err) }}
	}
}

// streamedIn is the Done of a streamed message.
func (e *endpoint) streamedIn(sw *writer, moved int64, err error) {
	e.mu.Lock()
	e.dones++
	dones := e.dones
	e.mu.Unlock()
	if moved != int64(sw.buf.Len()) {
		e.w.violate("%s: Done says that %d bytes were moved, but %d were written", e.name, moved, sw.buf.Len())
	}
	if sw.over {
		e.w.violate("%s: Done was called twice for a Writer", e.name)
	}
	sw.over = true
	if dones == e.plan.options.closeInDone && e.greeted() != nil {
		defer e.endBy(finishClose)
	}
	if err == nil {
		if int(moved) != sw.size {
			e.w.violate("%s: Done has no error after %d of %d bytes", e.name, moved, sw.size)
		}
		e.take(sw.buf.Bytes(), true)
		return
	}
	var partial *conn.PartialError
	if !errors.As(err, &partial) || partial.Moved != moved || partial.Size != int64(sw.size) {
		e.w.violate("%s: Done of a message of %d bytes, of which %d were moved, got %#v: %v", e.name, sw.size, moved, err, err)
	}
	e.notice(err)
	e.w.logf("%s: streamed %d of %d bytes: %v", e.name, moved, sw.size, err)
	if errors.Is(err, errWriter) { // it may have arrived wholly, or not
		e.mu.Lock()
		e.spoilt++
		e.mu.Unlock()
		e.arrived()
	}
}

// writer is what a message is streamed into.
type writer struct {
	buf   bytes.Buffer
	size  int
	pause time.Duration
	fails bool // half way
	over  bool // Done was called
}

func (sw *writer) Write(p []byte) (int, error) {
	if sw.over {
		panic("sim: Write after Done")
	}
	if sw.pause > 0 {
		time.Sleep(sw.pause)
	}
	if left := sw.size/2 - sw.buf.Len(); sw.fails && len(p) > left {
		n, _ := sw.buf.Write(p[:left])
		return n, errWriter
	}
	return sw.buf.Write(p)
}
