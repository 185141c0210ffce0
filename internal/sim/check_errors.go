package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/hub"
	"github.com/tinyproto-go/tinyproto/wire"
)

// unexplained returns the parts of an error that have no name, or no reason in
// what was done to this end, to its peer, and to the network between them.
func (e *endpoint) unexplained(err error) (wrong []string) {
	if err == nil {
		return nil
	}
	why := e.reasons()
	for _, part := range parts(err, e.conn.RemoteAddr()) {
		ok, known := why.explain(part)
		switch {
		case !known:
			wrong = append(wrong, fmt.Sprintf("%T without a name (%v)", part, part))
		case !ok:
			wrong = append(wrong, fmt.Sprintf("%T without a reason (%v)", part, part))
		}
	}
	return wrong
}

// parts takes an error apart, down to those that wrap nothing. Those that say
// something themselves are parts, too. The error of a connection with somebody
// else than remote is none: it is explained there.
func parts(err error, remote net.Addr) (all []error) {
	switch err := err.(type) {
	case nil:
		return nil
	case *conn.Error:
		if err.Remote != remote {
			return nil
		}
		return parts(err.Err, remote)
	case *conn.StallError, *wire.IncompleteError, *wire.ProtocolError, *conn.TooLargeError, *tinyproto.PanicError, *wire.HelloError:
		return []error{err}
	case interface{ Unwrap() []error }:
		for _, e := range err.Unwrap() {
			all = append(all, parts(e, remote)...)
		}
		return all
	case interface{ Unwrap() error }:
		if inner := err.Unwrap(); inner != nil {
			return parts(inner, remote)
		}
	}
	if inner, ok := errors.AsType[*conn.Error](err); ok { // it has hidden it
		return parts(inner, remote)
	}
	return []error{err}
}

// reasons is what may explain an error of an end.
type reasons struct {
	e       *endpoint
	ctx     bool // its context ended
	server  bool // its server's context ended
	within  bool // its Shutdown had not time enough
	handler bool
	peer    bool // the peer has ended, not later
	broken  bool // the network broke or cut the connection
	slow    bool // the network, or what the application does, is slow
	delayed bool // so slow that it may take any time
	refused bool // a message was refused
	streams bool

	pipelined bool
}

func (e *endpoint) reasons() reasons {
	e.mu.Lock()
	r := reasons{e: e, within: e.ended.late, handler: e.ended.handler || e.isServer,
		ctx: e.ended.ctx, server: e.isServer || e.relayed != nil}
	gone := e.goneAt
	e.mu.Unlock()
	if peer := e.peer(); peer == nil {
		r.peer = true
	} else {
		peer.mu.Lock()
		r.peer = !peer.doneAt.IsZero() && !peer.doneAt.After(gone)
		peer.mu.Unlock()
	}
	r.pipelined = e.link.pipelined()
	r.ctx = r.ctx || !gone.Before(e.w.began.Add(e.w.plan.limit))
	r.fromFaults(gone)
	r.fromPlan()
	return r
}

// fromFaults looks at what the network did to the connection before it was gone.
func (r *reasons) fromFaults(gone time.Time) {
	w := r.e.w
	host, _, _ := strings.Cut(r.e.link.name, ":")
	for _, f := range w.plan.faults {
		if from, _ := w.plan.linkOf(f); from != host || w.began.Add(f.at).After(gone) {
			continue
		}
		switch f.kind {
		case faultReset, faultCloseWrite:
			r.broken = true
		case faultPartition:
			r.broken, r.delayed = true, true
		case faultStall, faultConditions:
			r.delayed = true
		}
	}
}

// fromPlan looks at what was planned for everybody.
func (r *reasons) fromPlan() {
	p := r.e.w.plan
	r.delayed = r.delayed || p.network.Bandwidth > 0
	options := []optionsPlan{p.relay.near, p.relay.far}
	for _, c := range p.clients {
		options = append(options, c.dialer.options, c.served.options)
		for _, e := range []*endPlan{c.dialer, c.served} {
			for _, producer := range e.sender.producers {
				for _, m := range producer.messages {
					r.streams = r.streams || m.way == bySendFrom
					r.delayed = r.delayed || m.pause > 0
				}
			}
		}
	}
	for _, o := range options {
		r.delayed = r.delayed || o.slowWriter > 0 || o.hold > 0
		r.refused = r.refused || o.maxMessage > 0 || o.refuseEvery > 0
	}
	r.slow = r.delayed || r.delay() > 10*time.Millisecond
}

// delay is what the network needs at most for a byte, if nothing holds it up.
func (r *reasons) delay() time.Duration {
	n := r.e.w.plan.network
	return n.Latency + n.Jitter
}

// explain reports whether there is a reason for a part of an error, and
// whether that part is known at all.
func (r reasons) explain(part error) (ok, known bool) {
	switch part := part.(type) {
	case *conn.StallError:
		if part.Doing == "waiting for a sign of life" { // half of the time for a PING and its PONG
			return r.pipelined && (r.delayed || part.After/2 <= 2*r.delay()), true
		}
		return r.slow || r.e.plan.options.answerTimeout > 0, true
	case *wire.IncompleteError:
		return r.peer || r.broken, true
	case *conn.TooLargeError:
		return r.refused, true
	case *hub.EvictedError:
		return r.e.member != nil, true
	case *tinyproto.PanicError:
		return r.handler && part.Value == panicValue, true
	case *wire.ProtocolError:
		if part.Seen == wire.PipelinedRequest[0] { // a request that is refused, or ends too soon
			return r.e.plan.options.classic || r.e.peer() == nil && r.e.w.heardEnd(r.e), true
		}
		// The first byte of a size, 00, may be ERROR for whoever sees no more.
		return part.Violation == wire.ErrorAnswer && (r.broken || r.peer) && !r.pipelined, true
	}
	switch part {
	case errLimit:
		return r.ctx, true
	case errServer:
		return r.server, true
	case errFinish, conn.ErrGrace: // which a Server gives those whose handler has returned, too
		return r.ctx || r.server, true
	case conn.ErrClosed, conn.ErrUnsent, conn.ErrInDoubt, errPatience, errWriter:
		return true, true
	case errWithin:
		return r.within, true
	case errUpstream:
		return r.e.name == "relay-near", true
	case errMember:
		return r.e.member != nil, true
	case errHandler:
		return r.handler, true
	case errReader:
		return r.streams, true
	case io.ErrUnexpectedEOF:
		return r.peer || r.broken, true
	case syscall.ECONNRESET, syscall.EPIPE:
		return r.peer || r.broken, true
	case syscall.ETIMEDOUT:
		return r.broken || r.slow, true
	}
	return false, false
}

// checkDial expects that a Dial fails only if the network or its context was
// made to.
func (w *world) checkDial(name string, err error) {
	w.mu.Lock()
	refused := w.refused[name]
	w.mu.Unlock()
	ended := w.ctx.Err() != nil || w.plan.server.endAt > 0 && w.now() >= w.plan.server.endAt
	if !(refused || ended) || w.plan.gentle {
		w.violate("%s: dialling failed without a reason: %v", name, err)
	}
}

// checkHello expects that a hello fails only for a reason that the plan has.
func (w *world) checkHello(e *endpoint, nc net.Conn, err error) {
	if w.plan.gentle {
		// A peer that has nothing to say may end before it has read what we ask.
		if !(e.idle() && errors.Is(err, conn.ErrModeRefused) && errors.Is(err, io.EOF)) {
			w.violate("%s: nothing went wrong, but there was no hello: %v", e.name, err)
		}
		return
	}
	for _, known := range []error{errLimit, errServer, errFinish, conn.ErrConnLimit, conn.ErrRefused, os.ErrDeadlineExceeded} {
		if errors.Is(err, known) {
			if known == conn.ErrConnLimit && w.plan.server.maxConns == 0 {
				w.violate("%s: refused without a limit: %v", e.name, err)
			}
			return
		}
	}
	// A request may be refused, or the connection break before it is answered;
	// then it may break amid the terms.
	for _, known := range []error{conn.ErrModeRefused, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if e.asks && errors.Is(err, known) {
			return
		}
	}
	w.violate("%s: hello with %v failed with an error without a name: %v", e.name, nc.RemoteAddr(), err)
}
