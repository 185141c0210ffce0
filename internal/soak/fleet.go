package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// fleet is the clients: a number of places, each of which always has a
// connection, or tries to have one.
type fleet struct {
	connections int
	stay        time.Duration // of a connection, on average
	patience    time.Duration // with what is due
	seed        uint64
	turns       *limiter // of messages
	dials       *limiter // of connections
	books       *books   // where the accounts go
	dir         string   // for files
	failures    tally    // to dial, by kind
	traffic     traffic
	at          atomic.Pointer[child]
	sessions    atomic.Uint64 // numbers of connections
	open        atomic.Int64  // connections

	phase   uint64         // of the random numbers; owned by who starts and stops
	leave   chan struct{}  // closed to have all leave; owned by who starts and stops
	running sync.WaitGroup // the places
}

// dialsPerSecond is how many connections may be begun: fewer than the backlog
// of a listener has room for.
const dialsPerSecond = 500

// start has clients come. They come and go until stop.
func (f *fleet) start() {
	f.leave = make(chan struct{})
	f.dials.reset() // whoever left did not take their turns
	f.turns.reset()
	f.phase++
	for i := range f.connections {
		rng := rand.New(rand.NewPCG(f.seed+f.phase<<32, uint64(i)))
		f.running.Go(func() { f.place(rng, f.leave) }) // ends with leave
	}
}

// stop has all clients finish, and returns when they have, or when they have
// tried for longer than all that they may wait for.
func (f *fleet) stop() error {
	close(f.leave)
	stopped := make(chan struct{})
	go func() { // ends with the clients
		f.running.Wait()
		close(stopped)
	}()
	bound := 3*f.patience + patience
	if !pause(bound, stopped) {
		return nil
	}
	var stacks strings.Builder
	pprof.Lookup("goroutine").WriteTo(&stacks, 1)
	return fmt.Errorf("%d clients do not finish, for %v:\n%s", f.open.Load(), bound, &stacks)
}

// Bounds of the wait before a client dials again.
const (
	minBackoff = 20 * time.Millisecond
	maxBackoff = 2 * time.Second
)

// place is one place in the fleet.
func (f *fleet) place(rng *rand.Rand, leave <-chan struct{}) {
	backoff := minBackoff
	for f.dials.wait(1, leave) {
		v := &visit{fleet: f, rng: rng, leave: leave, server: f.at.Load(), session: f.sessions.Add(1)}
		v.stay = time.Duration(rng.ExpFloat64() * float64(f.stay))
		r := pickRole(rng)
		v.role = r.name
		f.open.Add(1)
		v.server.visits.Add(1)
		err := r.visit(v)
		if err != nil {
			f.failures.add(kindOf(err))
			v.server.failedDials.Add(1)
		}
		v.server.visits.Add(-1)
		f.open.Add(-1)
		if err == nil {
			backoff = minBackoff
			continue
		}
		pause(backoff/2+upTo(rng, backoff), leave)
		backoff = min(2*backoff, maxBackoff)
	}
}

// role is what a client does.
type role struct {
	name   string
	weight int // of 1000 connections
	// visit connects, and does it until its time is over. It returns an error
	// if it could not connect; what happens later is in the accounts.
	visit func(*visit) error
}

var roles = []role{
	{"echo", 340, (*visit).echo},
	{"ping-pong", 140, (*visit).pingPong},
	{"request", 100, (*visit).request},
	{"pump", 80, (*visit).pump},
	{"drain", 60, (*visit).drain},
	{"stream", 50, (*visit).stream},
	{"member", 100, (*visit).member},
	{"slow member", 10, (*visit).slowMember},
	{"slow reader", 30, (*visit).slowReader},
	{"impatient", 15, (*visit).impatient},
	{"abandoner", 15, (*visit).abandon},
	{"bare", 30, (*visit).bare},
	{"wrong hello", 30, (*visit).wrongHello},
}

func pickRole(rng *rand.Rand) role {
	total := 0
	for _, r := range roles {
		total += r.weight
	}
	n := rng.IntN(total)
	for _, r := range roles {
		if n -= r.weight; n < 0 {
			return r
		}
	}
	panic("the weights have changed")
}

// tally counts by kind.
type tally struct {
	mu     sync.Mutex
	counts map[string]uint64 // guarded by mu
}

func (t *tally) add(kind string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]uint64{}
	}
	t.counts[kind]++
}

func (t *tally) snapshot() map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.counts)
}
