package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"time"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
)

// row is one pattern's attack.
type row struct {
	pattern pattern
	workers int
	took    time.Duration // from the attack's start to its end
	attack  totals

	before usage         // of the server, collected, with its honest clients alone
	peak   usage         // at the worst moments
	held   usage         // collected, at the end of the attack
	after  usage         // collected, when the attacker has gone
	cpu    time.Duration // that the attack took the server, beyond what its honest clients do

	calm, attacked         sample // regular clients
	calmVisits, attackedBy sample // newcomers
}

// settleTime bounds how long a server may take to be rid of an attacker that
// has gone, beyond its hello timeout.
const settleTime = 10 * time.Second

// measure starts a server and honest clients, and attacks it with a pattern.
func measure(ctx context.Context, p pattern, sc scale, stderr io.Writer) (row, error) {
	set := settings{Address: "127.0.0.1:0", MaxHellos: sc.hellos, HelloTimeout: sc.hello}
	if p.drips {
		set.StallTimeout = sc.stall
	}
	if p.silent {
		set.PeerTimeout = sc.stall
	}
	if p.server != nil {
		p.server(&set, sc.conns)
	}
	server, err := startChild(ctx, "server", set, stderr)
	if err != nil {
		return row{}, err
	}
	r := row{pattern: p, workers: p.workers(sc.conns)}
	err = r.measure(ctx, server, set, sc, stderr)
	return r, errors.Join(err, server.stop(nil))
}

func (r *row) measure(ctx context.Context, server *child, set settings, sc scale, stderr io.Writer) error {
	var at listening
	if err := server.read(&at); err != nil {
		return err
	}
	clients, err := startHonest(ctx, dialTo(at.Address, set.TLS, r.pattern.mode()))
	if err != nil {
		return err
	}
	defer clients.stop()

	// Calm.
	var begin, end usage
	if err := server.ask("collected", &begin); err != nil {
		return err
	}
	clients.regular.take()
	clients.newcomer.take()
	began := time.Now()
	pause(ctx, sc.calm)
	if err := server.ask("now", &end); err != nil {
		return err
	}
	calmCPU := float64(end.CPU-begin.CPU) / float64(time.Since(began))
	r.calm, r.calmVisits = clients.regular.take(), clients.newcomer.take()

	// The attack.
	if err := server.ask("collected", &r.before); err != nil {
		return err
	}
	if err := server.ask("peak", &r.peak); err != nil { // forget what was before
		return err
	}
	clients.regular.take()
	clients.newcomer.take()
	began = time.Now()
	attacker, err := startChild(ctx, "attacker", orders{
		Pattern: r.pattern.name, Address: at.Address, Workers: r.workers, Period: sc.stall * 9 / 10,
	}, stderr)
	if err != nil {
		return err
	}
	err = attacker.read(&r.attack) // when all are in position
	if err == nil {
		pause(ctx, sc.duration)
		for late := time.Now().Add(sc.patience); !clients.served() && ctx.Err() == nil && time.Now().Before(late); {
			pause(ctx, time.Millisecond)
		}
		err = errors.Join(server.ask("peak", &r.peak), attacker.ask("totals", &r.attack))
	}
	r.took = time.Since(began)
	r.attacked, r.attackedBy = clients.regular.take(), clients.newcomer.take()
	r.cpu = max(0, r.peak.CPU-r.before.CPU-time.Duration(calmCPU*float64(r.took)))
	if err == nil {
		err = server.ask("collected", &r.held)
	}
	var last totals
	if err := errors.Join(err, attacker.stop(&last)); err != nil {
		return err
	}

	// What is left of it.
	deadline := time.Now().Add(sc.hello + settleTime)
	for {
		if err := server.ask("collected", &r.after); err != nil {
			return err
		}
		if !r.leaves() || ctx.Err() != nil || time.Now().After(deadline) {
			return ctx.Err()
		}
		pause(ctx, 20*time.Millisecond)
	}
}

// leaves reports whether the server has more goroutines or descriptors than
// before: honest newcomers may be there or not, with two goroutines each.
func (r *row) leaves() bool {
	return r.after.Goroutines > r.before.Goroutines+3*honestConns || r.after.Descriptors > r.before.Descriptors+honestConns
}

// dialTo returns how an honest client connects.
func dialTo(address string, isTLS bool, mode conn.Mode) dialer {
	opts := &tinyproto.DialOptions{Conn: tinyproto.Options{Mode: mode}}
	if isTLS {
		opts.TLS = &tls.Config{InsecureSkipVerify: true} // the certificate is the server's alone
	}
	return func(ctx context.Context) (*tinyproto.Conn, error) { return tinyproto.Dial(ctx, address, opts) }
}
