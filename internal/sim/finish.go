package main

import (
	"context"
	"errors"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// due returns how many messages an end expects, if nothing goes wrong.
func (e *endpoint) due() int {
	n := 0
	count := func(p *endPlan) {
		for _, producer := range p.sender.producers {
			n += len(producer.messages)
		}
	}
	if e.w.plan.topology == hubTopology {
		for _, c := range e.w.plan.clients {
			if c.dialer != e.plan {
				count(c.dialer)
			}
		}
		return n
	}
	for _, c := range e.w.plan.clients {
		switch e.plan {
		case c.dialer:
			if count(c.served); c.served.sender.echo {
				count(c.dialer)
			}
		case c.served:
			if count(c.dialer); c.dialer.sender.echo {
				count(c.served)
			}
		}
	}
	return n
}

// idle reports whether an end neither sends nor expects anything.
func (e *endpoint) idle() bool {
	for _, p := range e.plan.sender.producers {
		if len(p.messages) > 0 {
			return false
		}
	}
	return e.due() == 0
}

// awaitAnswers waits until an echo has sent back all that is due, and reports
// false if the connection ended before.
func (e *endpoint) awaitAnswers() bool {
	for e.plan.sender.echo && e.settled() < e.due() {
		select {
		case <-e.arrival:
		case <-e.conn.Done():
			return false
		}
	}
	return true
}

// trigger returns a channel that is closed when it is time to end the
// connection. Its goroutine ends then, or with the connection.
func (e *endpoint) trigger() <-chan struct{} {
	now := make(chan struct{})
	f := e.plan.finish
	e.w.all.Go(func() {
		switch {
		case f.kind == finishNever:
			return
		case !f.afterWork:
			select {
			case <-time.After(f.at):
			case <-e.conn.Done():
			}
		default:
			e.senders.Wait()
			if !e.awaitReply(e.due()) || !e.awaitAnswers() {
				e.w.logf("%s: the connection ended before the work was done", e.name)
				if e.w.plan.gentle {
					e.w.violate("%s: the connection ended with %d of %d messages received, though nobody ended it: %v",
						e.name, e.arrivals(), e.due(), e.conn.Err())
				}
			}
			e.awaitHolds()
		}
		close(now)
	})
	return now
}

// awaitHolds waits, where nothing may go wrong, until both ends have said what they
// accept: in pipelined mode an end before that is none that a peer takes for graceful.
func (e *endpoint) awaitHolds() {
	if !e.w.plan.gentle {
		return
	}
	for _, c := range e.w.plan.clients {
		if c.dialer == e.plan || c.served == e.plan {
			select {
			case <-time.After(max(c.dialer.options.hold, c.served.options.hold) + time.Millisecond):
			case <-e.conn.Done():
			}
		}
	}
}

// end ends the connection in the way of the plan. It returns when that has.
func (e *endpoint) end() {
	f := e.plan.finish
	e.w.logf("%s: ends it: %s", e.name, f.kind)
	if f.again {
		e.w.all.Go(func() { e.endBy(finishClose) }) // ends at once
	}
	e.endBy(f.kind)
}

func (e *endpoint) endBy(kind finish) {
	e.mu.Lock()
	e.endedBy = append(e.endedBy, kind)
	began := time.Now()
	if e.endedAt.IsZero() {
		e.endedAt = began
	}
	e.mu.Unlock()
	switch kind {
	case finishShutdown:
		e.notice(e.conn.Shutdown(context.Background()))
	case finishWithin:
		ctx, cancel := context.WithTimeoutCause(context.Background(), e.plan.finish.within, errWithin)
		defer cancel()
		e.mu.Lock()
		e.ended.late = true
		e.mu.Unlock()
		err := e.conn.Shutdown(ctx)
		e.bound("Shutdown with a context", began, e.plan.finish.within)
		if errors.Is(err, errWithin) && ctx.Err() == nil {
			e.w.violate("%s: Shutdown returned %v, but its context has not ended", e.name, err)
		}
	case finishClose:
		e.mu.Lock()
		e.ended.closed = true
		e.mu.Unlock()
		if err := e.conn.Close(); err != nil {
			e.w.violate("%s: Close returned %v", e.name, err)
		}
		e.bound("Close", began, 0)
	case finishCancel:
		e.endContext(errFinish)
	case finishOutbox:
		e.senders.Wait() // so that nobody sends to it any more
		close(e.conn.Outbox())
		e.await()
	}
}

// endContext ends the context of the connection, and expects it to be gone
// within its grace period.
func (e *endpoint) endContext(cause error) {
	began := time.Now()
	e.mu.Lock()
	e.ended.ctx = true
	e.mu.Unlock()
	e.cancel(cause)
	<-e.conn.Done()
	e.bound("Done after the end of the context", began, 0)
	e.await()
	e.bound("the end after that of the context", began, e.grace())
}

// await waits until the connection is gone.
func (e *endpoint) await() {
	<-e.conn.Done()
	e.conn.Shutdown(context.Background())
}

func (e *endpoint) grace() time.Duration { return graceOf(e.plan.options.grace) }

func graceOf(d time.Duration) time.Duration {
	if d == 0 {
		return conn.DefaultGrace
	}
	return max(d, 0)
}
