package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// Generous, for a busy machine and the race detector: what is to be caught here
// is memory or waiting without bound.
const (
	mostWaiting    = 10 * time.Second // of an honest client
	mostGoroutines = 4                // for each connection of an attacker
	slack          = 1 << 20          // bytes that a server may hold besides
	garbage        = 16 << 20         // bytes that it may take besides
)

func TestUnderEachAttackMemoryIsBoundedAndHonestClientsAreServed(t *testing.T) {
	sc := scale{conns: 32, duration: 50 * time.Millisecond, calm: 20 * time.Millisecond,
		hello: 5 * time.Second, stall: 200 * time.Millisecond, patience: mostWaiting}
	for _, p := range patterns {
		t.Run(p.name, func(t *testing.T) {
			leaktest.Check(t)
			var stderr bytes.Buffer
			r, err := measure(t.Context(), p, sc, &shared{w: &stderr})
			if err != nil || stderr.Len() > 0 {
				t.Fatalf("%v\n%s", err, &stderr)
			}
			if r.attack.Opened < int64(r.workers) || r.attack.Failed > 0 {
				t.Errorf("%d connections of %d workers, %d failed: that is no attack", r.attack.Opened, r.workers, r.attack.Failed)
			}
			// A server may learn of a connection when the attacker has left it already:
			// there may be more of them than the attacker has.
			if n, most := r.held.Memory-r.before.Memory, (r.conns()+honestConns)*p.memory+slack; n > most {
				t.Errorf("the attack holds %d bytes, expected at most %d for %d connections", n, most, r.conns())
			}
			conns := max(r.peak.Descriptors-r.before.Descriptors, int64(r.workers)) + honestConns
			if n, most := r.peak.Memory-r.before.Memory, 2*conns*p.memory+garbage; n > most {
				t.Errorf("the attack takes %d bytes at its peak, expected at most %d", n, most)
			}
			if n, most := r.peak.Goroutines-r.before.Goroutines, mostGoroutines*conns; n > most {
				t.Errorf("the attack takes %d goroutines, expected at most %d", n, most)
			}
			if r.leaves() {
				t.Errorf("when the attacker has gone, the server has %d goroutines and %d descriptors, before: %d and %d",
					r.after.Goroutines, r.after.Descriptors, r.before.Goroutines, r.before.Descriptors)
			}
			served(t, "that keep a connection", r.attacked)
			if p.name == "conn-flood" { // which takes all that MaxConns leaves
				return
			}
			served(t, "that come and go", r.attackedBy)
		})
	}
}

func served(t *testing.T, who string, s sample) {
	t.Helper()
	if len(s.replies) == 0 || s.failed > 0 {
		t.Errorf("of the clients %s, %d were served and %d not: %v", who, len(s.replies), s.failed, s.err)
	}
	if s.longest > mostWaiting {
		t.Errorf("a client of those %s waited for %v", who, s.longest)
	}
}
