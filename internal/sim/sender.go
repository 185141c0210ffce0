package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// startSenders starts the producers. They end when all is sent, or the
// connection takes no more.
func (e *endpoint) startSenders() {
	seq := 0
	for i, p := range e.plan.sender.producers {
		first := seq
		seq += len(p.messages)
		e.senders.Add(1)
		e.w.all.Go(func() {
			defer e.senders.Done()
			if e.w.plan.gentle && e.w.plan.topology == hubTopology {
				<-e.w.ready
			}
			e.produce(i, p, first)
		})
	}
}

func (e *endpoint) produce(producer int, p producerPlan, seq int) {
	for i, m := range p.messages {
		if i > 0 && p.think > 0 {
			time.Sleep(p.think)
		}
		body := body(e.plan.number, seq+i, m.size)
		rec := e.record(body, producer, m.way)
		if !e.send(rec, m, p.patience) {
			return
		}
		if e.plan.sender.request && rec.outcome == sent && !e.awaitReply(i+1) {
			return
		}
	}
}

// send sends a message, and reports whether more can be sent.
func (e *endpoint) send(rec *message, m messagePlan, patience time.Duration) bool {
	if rec.way == byOutbox {
		return e.put(rec)
	}
	ctx := context.Background()
	if patience > 0 {
		timeout, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
		defer cancel()
		ctx = timeout
	}
	var err error
	began := time.Now()
	if rec.way == bySend {
		err = e.conn.Send(ctx, rec.body)
		if patience > 0 {
			e.bound("Send with a context", began, patience)
		}
	} else {
		r := &reader{data: rec.body, failAt: m.failAt, pause: m.pause}
		err = e.conn.SendFrom(ctx, r, int64(len(rec.body)))
	}
	switch {
	case err == nil:
		e.settle(rec, sent, nil)
	case errors.Is(err, conn.ErrInDoubt):
		e.settle(rec, inDoubt, err)
	default:
		e.settle(rec, failed, err)
	}
	select {
	case <-e.conn.Done():
		return false
	default:
		if errors.Is(err, conn.ErrClosed) {
			e.w.violate("%s: Send says %v, but Done is not closed", e.name, err)
			return false
		}
		return true
	}
}

// put sends a message to the Outbox.
func (e *endpoint) put(rec *message) bool {
	select {
	case e.conn.Outbox() <- rec.body:
		e.settle(rec, queued, nil)
		return true
	case <-e.conn.Done():
		e.settle(rec, failed, nil)
		return false
	}
}

// awaitReply waits for the n-th message, and reports false if the connection
// ended before.
func (e *endpoint) awaitReply(n int) bool {
	for e.arrivals() < n {
		select {
		case <-e.arrival:
		case <-e.conn.Done():
			return false
		}
	}
	return true
}

// reader is what SendFrom reads: a little at a time, with pauses, and it may
// fail.
type reader struct {
	data   []byte
	at     int
	failAt int // -1: never
	pause  time.Duration
}

func (r *reader) Read(p []byte) (int, error) {
	if r.pause > 0 {
		time.Sleep(r.pause)
	}
	end := len(r.data)
	if r.failAt >= 0 {
		end = min(end, r.failAt)
	}
	n := copy(p, r.data[r.at:end])
	r.at += n
	switch {
	case r.at == r.failAt:
		return n, errReader
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}
