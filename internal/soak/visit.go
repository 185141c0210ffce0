package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
)

// visit is one connection of a client, from its dialling to its account. What
// is not said otherwise is owned by the goroutine of its place in the fleet.
type visit struct {
	fleet   *fleet
	rng     *rand.Rand
	role    string
	server  *child
	session uint64
	stay    time.Duration
	leave   <-chan struct{} // closed when all clients are to finish

	*endpoint
	cancel context.CancelCauseFunc // ends the connection's context
	over   chan struct{}           // closed when stay is over
	clock  *time.Timer             // closes over
	sender uint64                  // number of the next message, where there is no book
	from   sequence                // what the server sends; owned by whoever receives
}

// connect dials, introduces the client, and begins to count the time.
func (v *visit) connect(opts tinyproto.Options, i intro) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	if v.rng.IntN(2) == 0 {
		opts.Mode = conn.Pipelined
		opts.WindowMessages = uint32([]int{0, 1, 2, 5, 100}[v.rng.IntN(5)])
		opts.WindowBytes = []int64{0, -1, 1000, 100_000}[v.rng.IntN(4)]
	}
	c, err := tinyproto.Dial(ctx, v.address(), &tinyproto.DialOptions{Conn: opts})
	if err != nil {
		cancel(nil)
		return err
	}
	v.cancel = cancel
	v.endpoint = &endpoint{Conn: c, traffic: &v.fleet.traffic}
	i.Role = v.role
	v.account = account{Session: v.session, Server: v.server.number, Role: i.Role, Service: i.Service,
		Room: uint64(opts.InboxBuffer) + 1, Window: uint64(opts.WindowMessages)}
	v.from.from = v.session | fromServer
	v.sender = 1
	v.send(ctx, i.message(v.session)) // if it fails, so does what follows
	v.over = make(chan struct{})
	v.clock = time.AfterFunc(v.stay, func() { close(v.over) })
	return nil
}

// address is one of the server's.
func (v *visit) address() string {
	return v.server.addresses[v.rng.IntN(len(v.server.addresses))]
}

// buffers returns random options.
func (v *visit) buffers() tinyproto.Options {
	return tinyproto.Options{InboxBuffer: v.rng.IntN(4), OutboxBuffer: v.rng.IntN(4), Grace: graceTime}
}

// turn waits for the client's turn to send a message of size bytes. It
// reports false when the visit is over, or the connection.
func (v *visit) turn(size int) bool {
	return v.fleet.turns.wait(costOf(size), v.leave, v.over, v.Done())
}

// leaving reports whether all clients are to finish.
func (v *visit) leaving() bool {
	select {
	case <-v.leave:
		return true
	default:
		return false
	}
}

// ends are how a visit can end.
type end int

const (
	finish    end = iota // wait for all that is due, then Shutdown
	depart               // Shutdown at once
	outOfTime            // end the connection's context
	breakOff             // Close
	vanish               // take the transport from the connection
)

// drawEnd is finish, mostly, and always when all clients are to finish.
func (v *visit) drawEnd() end {
	n := v.rng.IntN(100)
	switch {
	case v.leaving() || n < 80:
		return finish
	case n < 86:
		return depart
	case n < 92:
		return outOfTime
	case n < 96:
		return breakOff
	}
	return vanish
}

// end ends the connection, and waits until nothing is due if it is to finish.
// Somebody else receives meanwhile, until the Inbox is closed.
func (v *visit) end(e end, due func(context.Context) bool) {
	switch e {
	case finish:
		ctx, cancel := context.WithTimeout(context.Background(), v.fleet.patience)
		defer cancel()
		complete := due(ctx)
		if !complete && ctx.Err() != nil {
			v.late()
			return
		}
		select {
		case <-v.Done(): // the server has ended it
		default:
			v.note(func(a *account) { a.Complete = complete })
		}
		if err := v.Shutdown(ctx); ctx.Err() != nil {
			v.violated(fmt.Errorf("a Shutdown takes more than %v: %w", v.fleet.patience, err))
		}
	case depart:
		ctx, cancel := context.WithTimeout(context.Background(), v.fleet.patience)
		defer cancel()
		v.Shutdown(ctx)
	case outOfTime:
		v.note(func(a *account) { a.Abandoned = true })
		v.cancel(errEnding)
	case breakOff:
		v.note(func(a *account) { a.Abandoned, a.Broke = true, true })
		v.Close()
	case vanish:
		v.note(func(a *account) { a.Vanished = true })
		v.NetConn().Close()
	}
}

// handIn hands in the account, when nothing more is sent or received.
func (v *visit) handIn() {
	v.clock.Stop()
	v.note(func(a *account) { a.Gaps += v.from.gaps })
	v.fleet.books.client(v.settle())
	v.cancel(nil)
}

// reply receives the answer to what was sent. It reports false if there is
// none.
func (v *visit) reply() ([]byte, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), v.fleet.patience)
	defer cancel()
	msg, err := v.Receive(ctx)
	if err != nil && ctx.Err() != nil {
		v.late()
	}
	return msg, err == nil
}

// late gives up what does not come.
func (v *visit) late() {
	v.violated(fmt.Errorf("what is due does not come, for %v", v.fleet.patience))
	v.note(func(a *account) { a.Abandoned, a.Broke = true, true })
	v.Close()
}

// nothingDue is for clients that are due nothing.
func nothingDue(context.Context) bool { return true }

// receiving calls take for each message, in a goroutine of its own, which ends
// with the connection.
func (v *visit) receiving(take func(msg []byte)) *sync.WaitGroup {
	var wg sync.WaitGroup
	wg.Go(func() {
		for msg := range v.Inbox() {
			take(msg)
		}
	})
	return &wg
}

// network splits an address for package net.
func network(address string) (network, rest string) {
	network, rest, _ = strings.Cut(address, "://")
	return network, rest
}
