package tinytest

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"
)

// Network is a set of names, and the links between them. Its methods may be
// called concurrently. It has no goroutines, and needs no end.
type Network struct {
	config Config // immutable

	mu        sync.Mutex // also guards all links, listeners and connections
	listeners map[string]*listener
	links     map[[2]string]*Link
	dialled   map[string]int
	changed   chan struct{} // closed, and replaced, when a Dial that waits should look again
}

// NewNetwork returns a network without anybody in it. In a synctest bubble,
// make it inside the bubble.
func NewNetwork(config Config) *Network {
	config.Conditions = config.Conditions.valid()
	if config.Backlog <= 0 {
		config.Backlog = defaultBacklog
	}
	return &Network{
		config:    config,
		listeners: map[string]*listener{},
		links:     map[[2]string]*Link{},
		dialled:   map[string]int{},
		changed:   make(chan struct{}),
	}
}

// Addr is the address of a [Conn] or of a listener: the name that it listens on,
// or the name that dialled with a number behind it, as "client:1".
type Addr string

// Network returns "tinytest".
func (Addr) Network() string { return networkName }

// String returns the address.
func (a Addr) String() string { return string(a) }

// Dialer is the name that [Network.Dial] dials from.
const Dialer = "client"

// Listen announces on a name, which may be any string. It fails with
// syscall.EADDRINUSE if there is a listener on that name. What is accepted is a
// [*Conn]. Closing the listener resets what waits to be accepted, and leaves
// alone what was accepted.
func (n *Network) Listen(name string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[name] != nil {
		return nil, &net.OpError{Op: "listen", Net: networkName, Addr: Addr(name), Err: syscall.EADDRINUSE}
	}
	l := &listener{net: n, name: name}
	l.arrived.L = &n.mu
	n.listeners[name] = l
	n.change()
	return l, nil
}

// Dial is DialFrom with the name [Dialer].
func (n *Network) Dial(ctx context.Context, to string) (net.Conn, error) {
	return n.DialFrom(ctx, Dialer, to)
}

// DialFrom connects the name from to the listener on the name to. It blocks for
// one round trip, while nothing moves on the link or the listener's backlog
// is full, and at the longest until ctx ends: the error matches its cause then.
// It is syscall.ECONNREFUSED if nobody listens, or the link refuses. What it
// returns is a [*Conn].
func (n *Network) DialFrom(ctx context.Context, from, to string) (net.Conn, error) {
	nc, err := n.dial(ctx, from, to)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: networkName, Addr: Addr(to), Err: err}
	}
	return nc, nil
}

func (n *Network) dial(ctx context.Context, from, to string) (*Conn, error) {
	link := n.Link(from, to)
	if wait := 2 * link.Conditions().Latency; wait > 0 && ctx.Err() == nil {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		c, changed, err := n.connect(link)
		if c != nil || err != nil {
			return c, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// connect connects over a link if that is possible now. If it has to be tried
// again, there is neither a connection nor an error, but a channel to wait for.
func (n *Network) connect(link *Link) (*Conn, <-chan struct{}, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.listeners[link.to]
	switch {
	case link.held(ToListener), link.held(ToDialer):
	case l == nil, link.refuse:
		n.trace(Event{Op: OpRefuse, At: link.from, Peer: link.to}, nil)
		return nil, nil, syscall.ECONNREFUSED
	case len(l.backlog) < n.config.Backlog:
		dialled, accepted := link.connect()
		l.backlog = append(l.backlog, accepted)
		l.arrived.Signal()
		return dialled, nil, nil
	}
	return nil, n.changed, nil
}

// Pair returns two connected ends, as if from had dialled to and been accepted,
// at once. There need not be a listener.
func (n *Network) Pair(from, to string) (dialled, accepted *Conn) {
	link := n.Link(from, to)
	n.mu.Lock()
	defer n.mu.Unlock()
	return link.connect()
}

// Link returns the link between a name that dials and one that listens, which
// exists as soon as somebody asks for it.
func (n *Network) Link(from, to string) *Link {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := [2]string{from, to}
	l := n.links[key]
	if l == nil {
		l = &Link{net: n, from: from, to: to, conditions: n.config.Conditions}
		n.links[key] = l
	}
	return l
}

// change has those who wait to dial look again. mu is held.
func (n *Network) change() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// random returns a source for one purpose.
func (n *Network) random(purpose ...any) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q", purpose)
	return rand.New(rand.NewPCG(n.config.Seed, h.Sum64()))
}

const networkName = "tinytest"
