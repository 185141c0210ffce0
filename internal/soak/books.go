package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// books reconcile what the clients and the servers counted, connection by
// connection. Their methods may be called concurrently.
type books struct {
	mu      sync.Mutex
	servers map[int]*ledger // guarded by mu
	totals  totals          // guarded by mu
	reasons []string        // guarded by mu: what does not reconcile
	wrong   int             // guarded by mu: how many there are, those that are not kept included
}

// ledger is one server process's accounts.
type ledger struct {
	clients, guests map[uint64]*account // those whose other end is not known yet, by session
	strangers       []*account          // of the server, that did not introduce themselves
	summed          counters            // of all accounts of the server
	greeted         map[string]uint64   // connections without a hello that it greeted, by the kind expected
	killed          bool
}

func newBooks() *books {
	return &books{
		servers: map[int]*ledger{},
		totals: totals{clients: map[string]uint64{}, guests: map[string]uint64{}, roles: map[string]uint64{},
			greeted: map[string]uint64{}},
	}
}

// server returns the ledger of a server. mu is held.
func (b *books) server(n int) *ledger {
	l := b.servers[n]
	if l == nil {
		l = &ledger{clients: map[uint64]*account{}, guests: map[uint64]*account{}, greeted: map[string]uint64{}}
		b.servers[n] = l
	}
	return l
}

// client takes the account of a client's end.
func (b *books) client(a account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.totals.clients[a.End]++
	b.totals.roles[a.Role]++
	b.totals.conflicts += a.Conflicts
	l := b.server(a.Server)
	if guest := l.guests[a.Session]; guest != nil {
		delete(l.guests, a.Session)
		b.pair(&a, guest)
		return
	}
	if l.killed {
		b.orphan(&a)
		return
	}
	l.clients[a.Session] = &a
}

// guest takes the account of a server's end.
func (b *books) guest(a account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.totals.guests[a.End]++
	b.totals.conflicts += a.Conflicts
	l := b.server(a.Server)
	l.summed.add(&a)
	if a.Session == 0 {
		l.strangers = append(l.strangers, &a)
		return
	}
	if client := l.clients[a.Session]; client != nil {
		delete(l.clients, a.Session)
		b.pair(client, &a)
		return
	}
	if l.guests[a.Session] != nil {
		b.blame("server %d accounts twice for connection %d", a.Server, a.Session)
	}
	l.guests[a.Session] = &a
}

// greetedWrongly notes a connection without a hello, and what its server may
// take it for.
func (b *books) greetedWrongly(server int, kind string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.server(server).greeted[kind]++
	b.totals.greeted[kind]++
}

// maxReasons are kept: the others only count.
const maxReasons = 50

// blame notes what does not reconcile. mu is held.
func (b *books) blame(format string, args ...any) {
	if b.wrong++; len(b.reasons) < maxReasons {
		b.reasons = append(b.reasons, fmt.Sprintf(format, args...))
	}
}

// fault notes something else that must not be.
func (b *books) fault(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.blame(format, args...)
}

// pair reconciles the two ends of a connection. mu is held.
func (b *books) pair(client, guest *account) {
	if wrong := reconcile(client, guest); len(wrong) > 0 {
		b.blame("%v with server %d: %s\n\tclient: %s\n\tserver: %s", client, client.Server, strings.Join(wrong, "; "),
			client.details(), guest.details())
	}
	b.totals.pairs++
	b.totals.up.add(client, guest)
	b.totals.down.add(guest, client)
}

// orphan accounts for a client whose server was killed: all that it sent was
// checked when the echoes came, as far as they did.
func (b *books) orphan(a *account) {
	if wrong := a.check(); len(wrong) > 0 {
		b.blame("%v with server %d, which was killed: %s\n\tclient: %s", a, a.Server, strings.Join(wrong, "; "), a.details())
	}
	b.totals.orphans++
	b.totals.unheard.add(a, nil)
}

// killed settles the connections with a server that can't account for them.
func (b *books) killed(server int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.server(server)
	l.killed = true
	for _, a := range l.clients {
		b.orphan(a)
	}
	clear(l.clients)
}

// late says whether guests of a server that was killed are left without a client.
func (b *books) late(server int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.server(server).guests {
		b.blame("server %d, which was killed, accounts for a connection that no client does: %v", server, a)
	}
}

// settle reconciles all connections that a server has had, with c, which is
// what it says that it counted. It is to be called when they have all ended and
// been accounted for.
func (b *books) settle(server int, c counters, failedDials uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.server(server)
	for _, f := range c.Faults {
		b.blame("server %d: %s", server, f)
	}
	if s := l.summed; s.Accounts != c.Accounts || s.Anonymous != c.Anonymous || s.Handed != c.Handed ||
		s.Written != c.Written || s.Arrived != c.Arrived || s.Taken != c.Taken {
		b.blame("server %d counted %d connections with %d messages arrived and %d written, its accounts have %d, %d and %d",
			server, c.Accounts, c.Arrived, c.Written, s.Accounts, s.Arrived, s.Written)
	}
	for _, a := range l.guests {
		b.blame("server %d accounts for a connection that no client does: %v", server, a)
	}
	b.settleStrangers(server, l)
	b.settleHellos(server, l, c.NoHello, failedDials)
	for name, h := range c.Hubs {
		if h.Sent != h.Delivered+h.Dropped+h.Undelivered+uint64(h.QueuedMessages) || h.QueuedMessages > 0 ||
			h.Members > 0 || h.Joined != h.Left || h.Unheard > 0 {
			b.blame("server %d: hub %s does not add up: %+v", server, name, h)
		}
	}
	clear(l.guests)
	clear(l.clients)
	l.strangers = nil
}

// settleStrangers reconciles the connections whose introduction was not taken,
// nor what may have arrived behind it. mu is held.
func (b *books) settleStrangers(server int, l *ledger) {
	var written, arrived, doubts uint64
	for _, a := range l.clients {
		for _, w := range a.check() {
			b.blame("%v with server %d, which does not know it: %s", a, server, w)
		}
		if a.Arrived > 0 {
			b.blame("%v: server %d does not know it, but sent it %d messages", a, server, a.Arrived)
		}
		written += a.Written
		if a.InDoubt || a.Vanished {
			doubts++
		}
	}
	for _, a := range l.strangers {
		for _, w := range a.check() {
			b.blame("server %d, a connection without introduction: %s", server, w)
		}
		arrived += a.Arrived
	}
	if arrived > written || written > arrived+doubts {
		b.blame("server %d: %d clients that it does not know sent %d messages, of which %d arrived and %d may be in doubt",
			server, len(l.clients), written, arrived, doubts)
	}
}

// settleHellos reconciles the connections without a hello. mu is held.
func (b *books) settleHellos(server int, l *ledger, counted map[string]uint64, failedDials uint64) {
	sum := func(m map[string]uint64) (n uint64) {
		for _, k := range m {
			n += k
		}
		return n
	}
	// A client that could not dial may have come as far as the server's hello,
	// and one that the server does not know no further.
	most := failedDials + uint64(len(l.clients))
	if greeted, seen := sum(l.greeted), sum(counted); seen < greeted || seen > greeted+most {
		b.blame("server %d counted %d connections without a hello, the clients %d, and %d that failed: %v, %v",
			server, seen, greeted, most, counted, l.greeted)
	}
	for kind, n := range counted {
		if n > l.greeted[kind] && (kind == foreign || kind == other) {
			b.blame("server %d counted %d hellos of kind %q, the clients %d", server, n, kind, l.greeted[kind])
		}
	}
}

// snapshot returns the totals so far, and what does not reconcile.
func (b *books) snapshot() (totals, []string, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.totals
	t.clients, t.guests = maps.Clone(t.clients), maps.Clone(t.guests)
	t.roles, t.greeted = maps.Clone(t.roles), maps.Clone(t.greeted)
	return t, slices.Clone(b.reasons), b.wrong
}
