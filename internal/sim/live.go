package main

import (
	"context"
	"net"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// connOptions are those of the plan. A Server's connections share theirs, so an
// Accept is left to SetAccept there.
func (e *endpoint) connOptions(shared bool) *conn.Options {
	p := &e.plan.options
	o := &conn.Options{
		MaxMessage:    uint32(p.maxMessage),
		InboxBuffer:   p.inbox,
		OutboxBuffer:  p.outbox,
		StallTimeout:  p.stallTimeout,
		AnswerTimeout: p.answerTimeout,
		Grace:         p.grace,
		MaxRefused:    p.maxRefused,
		Logger:        e.w.logger(),

		WindowMessages: uint32(p.windowMessages),
		WindowBytes:    int64(p.windowBytes),
		PeerTimeout:    p.peerTimeout,
	}
	switch {
	case e.asks:
		o.Mode = conn.Pipelined
	case p.classic:
		o.Mode = conn.Classic
	}
	o.HoldOffers = p.hold > 0
	if !shared && !o.HoldOffers {
		o.Accept = e.accept()
	}
	if p.transforms {
		o.Transforms = func() []conn.Transform { return []conn.Transform{&counting{w: e.w}, &flipping{}} }
	}
	return o
}

// greet makes a connection of an end that is not a Server's, and returns why
// that did not work.
func (e *endpoint) greet(nc net.Conn, accepted bool) error {
	ctx, cancel := context.WithCancelCause(e.w.ctx)
	e.cancel = cancel
	c, err := conn.New(ctx, nc, e.connOptions(false))
	if err != nil {
		e.w.logf("%s: no hello: %v", e.name, err)
		e.w.checkHello(e, nc, err)
		return err
	}
	e.w.attach(e, c, accepted)
	if e.plan.options.hold > 0 {
		e.decide()
	}
	return nil
}

// decide says what the connection accepts, in due time.
func (e *endpoint) decide() {
	if e.plan.options.hold == 0 {
		if accept := e.accept(); accept != nil {
			e.conn.SetAccept(accept)
		}
		return
	}
	e.w.all.Go(func() { // ends with the connection, at the latest
		select {
		case <-time.After(e.plan.options.hold):
			e.w.logf("%s: decides on offers from now on", e.name)
			e.conn.SetAccept(e.accept())
		case <-e.conn.Done():
		}
	})
}

// live is the application of an end that is not a Server's. It returns when the
// connection and the application have ended.
func (e *endpoint) live() {
	defer e.cancel(nil)
	e.watch()
	e.startSenders()
	e.w.all.Go(func() { e.receive(context.Background()) }) // ends with the connection
	select {
	case <-e.trigger():
		e.end()
	case <-e.conn.Done():
	}
	e.await()
	e.senders.Wait()
}

// serve is the application of an end as a Handler.
func (e *endpoint) serve(ctx context.Context) error {
	e.watch()
	e.startSenders()
	receiving, stop := context.WithCancelCause(ctx)
	defer stop(errStop)
	received := make(chan struct{})
	e.w.all.Go(func() { // ends with the connection, its context, or with stop
		defer close(received)
		e.receive(receiving)
	})
	kind := e.plan.finish.kind
	select {
	case <-e.trigger():
	case <-e.conn.Done():
		kind = finishNever
	}
	switch kind {
	case finishNever:
	case finishReturn, finishError, finishPanic:
		stop(errStop)
		<-received
		e.mu.Lock()
		e.noDrain, e.ended.handler = true, true
		e.endedBy = append(e.endedBy, kind)
		e.mu.Unlock()
		e.w.logf("%s: the handler ends: %s", e.name, kind)
		if kind == finishPanic {
			panic(panicValue)
		}
		if kind == finishError {
			return errHandler
		}
		return nil
	default:
		e.end()
	}
	<-received
	e.mu.Lock()
	e.noDrain = true // what the application has left is the Server's
	e.mu.Unlock()
	return e.conn.Err()
}
