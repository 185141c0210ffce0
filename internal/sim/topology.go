package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
)

// runPair starts two ends without a server.
func (w *world) runPair() {
	c := w.plan.clients[0]
	x, y := w.net.Pair(c.name, serverName)
	for _, end := range []struct {
		plan     *endPlan
		nc       net.Conn
		accepted bool
	}{{c.dialer, x, false}, {c.served, y, true}} {
		e := w.newEndpoint(end.plan)
		w.all.Go(func() { // ends with the connection
			if e.greet(end.nc, end.accepted) == nil {
				e.live()
			}
		})
	}
}

// runServer starts a server whose handlers are the served ends of the plan, and
// its clients.
func (w *world) runServer() {
	w.startServer(w.plan.server.endAt, serverName, w.plan.clients[0].served, func(ctx context.Context, c *conn.Conn) error {
		e := w.newEndpoint(w.clientOf(c).served)
		e.isServer = true
		w.attach(e, c, true)
		e.decide()
		return e.serve(ctx)
	})
	w.startClients()
}

// clientOf returns the plan of the client that dialled.
func (w *world) clientOf(c *conn.Conn) *clientPlan {
	name, _, _ := strings.Cut(c.RemoteAddr().String(), ":")
	for _, client := range w.plan.clients {
		if client.name == name {
			return client
		}
	}
	return w.plan.clients[0] // of the relay, which has only one
}

// startServer serves a name until endAt, or with everything. Its goroutine
// ends then.
func (w *world) startServer(endAt time.Duration, name string, options *endPlan, handler tinyproto.Handler) {
	l, err := w.net.Listen(name)
	if err != nil {
		panic(err) // the plan is wrong
	}
	w.serve(w.until(endAt), l, options, handler)
}

// until returns a context that ends with everything, or after d if that is not 0.
func (w *world) until(d time.Duration) context.Context {
	ctx, cancel := context.WithCancelCause(w.ctx)
	w.all.Go(func() { // ends with ctx
		defer cancel(errServer)
		if d > 0 {
			w.sleep(ctx, d)
		} else {
			<-ctx.Done()
		}
	})
	return ctx
}

// serve runs a server, and checks that it ends as it says.
func (w *world) serve(ctx context.Context, l net.Listener, options *endPlan, handler tinyproto.Handler) {
	s := &tinyproto.Server{
		Handler: handler,
		Grace:   w.plan.server.grace,
		Conn:    *w.newEndpoint(options).connOptions(true),
		Logger:  w.logger(),
	}
	if l.Addr().String() == serverName {
		s.MaxConns = w.plan.server.maxConns
	}
	var ended time.Time
	context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		ended = time.Now()
	})
	w.all.Go(func() { // ends with ctx
		err := s.Serve(ctx, l)
		w.logf("%v: Serve returned %v", l.Addr(), err)
		var took time.Duration
		w.mu.Lock()
		if !ended.IsZero() { // it may have ended at this very moment
			took = time.Since(ended)
		}
		w.mu.Unlock()
		if errors.Is(err, tinyproto.ErrHandlers) && w.chat != nil && w.plan.hub.deafAfter > 0 {
			err = nil // the members wait for the hub, which waits for its program
		}
		if ctx.Err() == nil || err != nil {
			w.violate("Serve on %v returned %v, its context: %v; expected nil, and only then", l.Addr(), err, ctx.Err())
		}
		if limit := graceOf(w.plan.server.grace) + 2*time.Second; took > limit {
			w.violate("Serve on %v returned %v after the end of its context, expected at most %v", l.Addr(), took, limit)
		}
	})
}

// startClients starts those who dial.
func (w *world) startClients() {
	for _, c := range w.plan.clients {
		w.all.Go(func() { // ends with the connection
			if !w.sleep(w.ctx, c.start) {
				return
			}
			e := w.newEndpoint(c.dialer)
			err := w.dial(e)
			if errors.Is(err, conn.ErrModeRefused) { // as tinyproto.Dial does where it may
				e = w.newEndpoint(c.dialer)
				e.asks = false
				err = w.dial(e)
			}
			if err == nil {
				e.live()
			}
		})
	}
}

// dial makes the connection of a client.
func (w *world) dial(e *endpoint) error {
	nc, err := w.net.DialFrom(w.ctx, e.name, serverName)
	if err != nil {
		w.logf("%s: %v", e.name, err)
		w.checkDial(e.name, err)
		return err
	}
	return e.greet(nc, false)
}
