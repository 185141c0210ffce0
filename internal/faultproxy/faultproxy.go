// Package faultproxy is a TCP proxy that mistreats what passes through it: it
// delays, splits, coalesces and corrupts, resets connections and swallows them.
// What it does to which byte is drawn from a seed, so that a run can be had
// again, as far as the order of events on a real network allows.
package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Faults are what a proxy does. The zero value forwards everything as it is.
// Averages are of an exponential distribution: each byte is as likely as any other.
type Faults struct {
	// Delay is how long each piece waits before it is forwarded, at the most.
	Delay time.Duration
	// Split is how many bytes are forwarded in one piece at the most, each in a
	// segment of its own as far as the system allows. Zero means no limit.
	Split int
	// Coalesce is how long is waited for more before anything is forwarded.
	Coalesce time.Duration
	// Corrupt is after how many bytes, on average, a bit of one is changed. Zero
	// means never.
	Corrupt int64
	// Reset is after how many bytes, on average, a connection is reset, both
	// ends of it. Zero means never.
	Reset int64
	// BlackHole is after how many bytes, on average, nothing of a connection is
	// forwarded any more, in either direction, not even its end. Zero means never.
	BlackHole int64
	// HalfClose is after how many bytes, on average, a direction ends, as if who
	// writes had ended it there: what it writes after that is dropped, and the other
	// direction goes on. Zero means never.
	HalfClose int64
}

// Stats are counts of what a proxy has done.
type Stats struct {
	Connections, Bytes, Corrupted, Resets, BlackHoles, HalfCloses int64
}

// Proxy forwards connections to Target. Its fields must not be changed while it
// serves.
type Proxy struct {
	// Target is the address of the server, host:port.
	Target string
	// Faults are what is done to each connection.
	Faults Faults
	// Seed decides about the places.
	Seed uint64

	connections, bytes, corrupted, resets, blackHoles, halfCloses atomic.Int64
}

// Stats returns the counts so far. It may be called concurrently.
func (p *Proxy) Stats() Stats {
	return Stats{p.connections.Load(), p.bytes.Load(), p.corrupted.Load(), p.resets.Load(), p.blackHoles.Load(), p.halfCloses.Load()}
}

// Serve forwards the connections that l accepts, until ctx ends or l fails. Then
// it closes l, resets all connections, and returns when all is done: nil if ctx
// ended. It must be called once.
func (p *Proxy) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var links sync.WaitGroup
	defer links.Wait()
	defer cancel()
	for {
		client, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				client.Close()
			}
			return nil
		}
		if temporary, ok := err.(interface{ Temporary() bool }); ok && temporary.Temporary() {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("faultproxy: accept on %v: %w", l.Addr(), err)
		}
		tcp, ok := client.(*net.TCPConn)
		if !ok {
			client.Close()
			return fmt.Errorf("faultproxy: %v is no TCP listener", l.Addr())
		}
		number := uint64(p.connections.Add(1))
		links.Go(func() { p.forward(ctx, tcp, number) }) // ends with the connection, or with ctx
	}
}

// link is a connection through the proxy.
type link struct {
	client, server *net.TCPConn
	swallowed      chan struct{} // closed when nothing is forwarded any more
	swallow        func()        // closes it
}

// forward forwards one connection.
func (p *Proxy) forward(ctx context.Context, client *net.TCPConn, number uint64) {
	var d net.Dialer
	server, err := d.DialContext(ctx, "tcp", p.Target)
	if err != nil {
		client.SetLinger(0)
		client.Close()
		return
	}
	k := &link{client: client, server: server.(*net.TCPConn), swallowed: make(chan struct{})}
	k.swallow = sync.OnceFunc(func() {
		p.blackHoles.Add(1)
		close(k.swallowed)
		k.client.SetReadDeadline(time.Unix(1, 0))
		k.server.SetReadDeadline(time.Unix(1, 0))
	})
	stop := context.AfterFunc(ctx, k.reset)
	defer stop()
	var directions sync.WaitGroup
	for i, ends := range [][2]*net.TCPConn{{k.client, k.server}, {k.server, k.client}} {
		directions.Go(func() { // ends with the connection, or with ctx
			pl := newPlan(p.Faults, p.Seed, 2*number+uint64(i))
			if err := p.pump(ctx, k, pl, ends[0], ends[1]); errors.Is(err, errReset) {
				p.resets.Add(1)
				k.reset()
			} else if err != nil {
				k.reset() // as one end of it was
			}
		})
	}
	directions.Wait()
	k.client.Close()
	k.server.Close()
}

// reset resets both ends.
func (k *link) reset() {
	for _, nc := range []*net.TCPConn{k.client, k.server} {
		nc.SetLinger(0)
		nc.Close()
	}
}
