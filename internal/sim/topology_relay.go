package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/flow"
)

// relayed is what is known of the two connections of a relay.
type relayed struct {
	near, far *endpoint
	stuck     [2]*flow.ForwardError // by direction, there first: what flow.Forward could not pass on
}

// runRelay starts a client, a relay and the server behind it.
func (w *world) runRelay() {
	c := w.plan.clients[0]
	w.startServer(0, originName, c.served, func(ctx context.Context, nc *conn.Conn) error {
		e := w.newEndpoint(c.served)
		e.isServer = true
		w.attach(e, nc, true)
		e.decide()
		return e.serve(ctx)
	})
	near := &endPlan{name: "relay-near", options: w.plan.relay.near}
	w.startServer(w.plan.server.endAt, serverName, near, func(ctx context.Context, nc *conn.Conn) error {
		e := w.newEndpoint(near)
		e.isServer, e.noDrain, e.opaque = true, true, !w.plan.relay.recorded
		w.attach(e, nc, true)
		e.watch()
		return w.relay(ctx, e)
	})
	w.startClients()
}

// relay passes on what comes over one connection to another one, both ways.
func (w *world) relay(ctx context.Context, near *endpoint) error {
	nc, err := w.net.DialFrom(ctx, relayName, originName)
	if err != nil {
		w.checkDial(relayName, err)
		return fmt.Errorf("%w: %v", errUpstream, err)
	}
	far := w.newEndpoint(&endPlan{name: "relay-far", options: w.plan.relay.far})
	far.cancel = func(error) {}
	c, err := conn.New(ctx, nc, far.connOptions(false))
	if err != nil {
		w.checkHello(far, nc, err)
		return fmt.Errorf("%w: %v", errUpstream, err)
	}
	far.opaque = near.opaque
	w.attach(far, c, false)
	far.watch()
	r := &relayed{near: near, far: far}
	w.mu.Lock()
	near.relayed, far.relayed = r, r
	w.mu.Unlock()

	var both sync.WaitGroup
	both.Go(func() { // ends when the client does, or the origin takes no more
		r.forward(ctx, 0, near, far)
		far.mu.Lock()
		far.ended.late = true
		far.mu.Unlock()
		bounded, cancel := context.WithCancelCause(context.Background())
		defer cancel(nil)
		defer context.AfterFunc(ctx, func() { cancel(errWithin) })()
		far.conn.Shutdown(bounded)
	})
	both.Go(func() { // ends when the origin does, or the client takes no more
		r.forward(ctx, 1, far, near)
		for range far.conn.Inbox() { // what can't be passed on must not stop its end
			far.mu.Lock()
			far.noDrain = true
			far.mu.Unlock()
		}
	})
	both.Wait()
	return far.conn.Err()
}

// forward passes on in one direction, in the way of the plan.
func (r *relayed) forward(ctx context.Context, direction int, from, to *endpoint) {
	w := from.w
	if !w.plan.relay.recorded {
		err := flow.Forward(ctx, from.conn, to.conn)
		w.logf("%s: Forward to %s: %v", from.name, to.name, err)
		errors.As(err, &r.stuck[direction])
		return
	}
	for {
		select {
		case msg, ok := <-from.conn.Inbox():
			if !ok {
				return
			}
			from.take(msg, false)
			if !to.send(to.record(msg, 0, w.plan.relay.way), messagePlan{}, 0) {
				return
			}
		case <-to.conn.Done():
			return
		}
	}
}
