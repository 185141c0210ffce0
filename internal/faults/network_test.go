//go:build unix

package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/faultproxy"
)

func TestANetworkThatDelaysSplitsAndCoalescesLosesNothing(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode conn.Mode) {
		s := newScene(t, mode, serverOrders{})
		behind := map[string]*process[clientReport]{}
		proxies := []*faultproxy.Proxy{}
		for name, f := range map[string]faultproxy.Faults{
			"small pieces":    {Split: 3},
			"pieces, delayed": {Split: 1000, Delay: 3 * time.Millisecond},
			"coalesced":       {Coalesce: 2 * time.Millisecond},
			"all":             {Split: 500, Delay: time.Millisecond, Coalesce: time.Millisecond},
		} {
			p, address := s.through(f)
			proxies = append(proxies, p)
			behind[name] = s.client(clientOrders{Address: address, Largest: 4 << 10})
		}
		for s.goesOn() {
			s.othersAreServed()
		}
		var hit []clientReport
		for name, c := range behind {
			s.isServed(c, otherConns)
			r := c.ends()
			noticedNothing(t, name, r, otherConns)
			hit = append(hit, r)
		}
		if r := s.ends(); len(r.Ends) > 0 {
			t.Errorf("connections ended with %v", r.Ends)
		}
		passed := int64(0)
		for _, p := range proxies {
			passed += p.Stats().Bytes
		}
		s.figures(fmt.Sprintf("%d bytes delayed, split and coalesced", passed), hit...)
	})
}

// What the protocol can notice, it names; the content is protected by nothing
// but what the application checks, as over TCP itself.
func TestACorruptingNetworkIsNoticedByNameAndByTheApplication(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode conn.Mode) {
		s := newScene(t, mode, serverOrders{})
		s.corrupts = true
		type line struct {
			name   string
			proxy  *faultproxy.Proxy
			victim *process[clientReport]
		}
		var lines []line
		for name, test := range map[string]struct{ largest, average int }{
			"mostly content":           {64 << 10, 10_000},
			"mostly sizes and answers": {50, 300},
		} {
			p, address := s.through(faultproxy.Faults{Corrupt: int64(test.average)})
			victim := s.client(clientOrders{Address: address, Redial: true, Largest: test.largest, Timeout: 500 * time.Millisecond})
			lines = append(lines, line{name, p, victim})
		}
		for _, l := range lines {
			s.waitFor("some corruption", func() bool { return l.proxy.Stats().Corrupted > 20 && l.victim.asks().Replied > 10 })
		}
		for first := true; first || s.goesOn(); first = false {
			s.othersAreServed()
		}
		var hit []clientReport
		var corrupted, passed int64
		for _, l := range lines {
			r := l.victim.ends()
			// Every connection loses one request at most, the one that it ends with.
			accounts(t, r, r.Connected,
				"wrong content", "no reply", "too large", "reset", "incomplete", "ended by the peer",
				"stall: reading", "stall: writing", "stall: waiting for the answer to an offer",
				"violation: answer nobody asked for", "violation: unknown answer to an offer",
				"violation: ERROR as the answer to a legal size", "violation: CONFLICT without a payload owed",
				"violation: second offer before the first was settled", "violation: offer above the largest size",
				"not tinyproto", "connection limit", "refused", "no hello", "grace over",
				"mode refused", "stall: waiting for the answer to a message", "stall: waiting for a sign of life",
				"violation: terms", "violation: byte that begins no item", "violation: message that the window had no room for",
				"violation: message behind BYE", "violation: second BYE",
				"violation: second PING before the first was answered", "violation: PONG nobody asked for")
			t.Logf("%s: the client's connections ended with %v", l.name, r.Ends)
			if r.Lost == 0 {
				t.Errorf("%s: nothing was noticed", l.name)
			}
			stats := l.proxy.Stats()
			hit, corrupted, passed = append(hit, r), corrupted+stats.Corrupted, passed+stats.Bytes
		}
		t.Logf("the server's ended with %v", s.ends().Ends)
		s.figures(fmt.Sprintf("%d bytes corrupted of %d", corrupted, passed), hit...)
	})
}

func TestAResetConnectionLosesOnlyTheRequestInProgress(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode conn.Mode) {
		s := newScene(t, mode, serverOrders{})
		p, address := s.through(faultproxy.Faults{Reset: 100_000, Split: 5000})
		victim := s.client(clientOrders{Address: address, Redial: true, Largest: 64 << 10})
		s.waitFor("resets", func() bool { return p.Stats().Resets > 5 && victim.asks().Replied > 10 })
		for s.goesOn() {
			s.othersAreServed()
		}
		r := victim.ends()
		accounts(t, r, p.Stats().Resets, "reset", "incomplete", "refused", "mode refused", "ended by the peer", "unsent")
		for name := range s.ends().Ends {
			if name != "reset" && name != "incomplete" && name != "unsent" {
				t.Errorf("the server ended connections with %q", name)
			}
		}
		s.figures(fmt.Sprintf("%d resets", p.Stats().Resets), r)
	})
}

func TestAHalfClosedConnectionLosesOnlyTheRequestInProgress(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode conn.Mode) {
		s := newScene(t, mode, serverOrders{})
		p, address := s.through(faultproxy.Faults{HalfClose: 100_000, Split: 5000})
		victim := s.client(clientOrders{Address: address, Redial: true, Largest: 64 << 10})
		s.waitFor("half-closes", func() bool { return p.Stats().HalfCloses > 5 && victim.asks().Replied > 10 })
		for s.goesOn() {
			s.othersAreServed()
		}
		r := victim.ends()
		accounts(t, r, p.Stats().HalfCloses, "reset", "incomplete", "refused", "mode refused", "ended by the peer", "unsent")
		for name := range s.ends().Ends {
			if name != "reset" && name != "incomplete" && name != "unsent" {
				t.Errorf("the server ended connections with %q", name)
			}
		}
		s.figures(fmt.Sprintf("%d half-closes", p.Stats().HalfCloses), r)
	})
}

func TestABlackHoleIsNoticedByTheClientsTimeouts(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode conn.Mode) {
		s := newScene(t, mode, serverOrders{})
		p, address := s.through(faultproxy.Faults{BlackHole: 100_000})
		victim := s.client(clientOrders{Address: address, Redial: true, Largest: 64 << 10, Timeout: 300 * time.Millisecond})
		s.waitFor("black holes", func() bool { return p.Stats().BlackHoles > 3 && victim.asks().Replied > 10 })
		for s.goesOn() {
			s.othersAreServed()
		}
		r := victim.ends()
		accounts(t, r, r.Connected,
			"no reply", "no hello", "grace over", "stall: reading", "stall: writing", "stall: waiting for the answer to an offer",
			"mode refused", "stall: waiting for the answer to a message", "stall: waiting for a sign of life")
		if r.Lost == 0 {
			t.Error("nothing was noticed")
		}
		s.ends()
		s.figures(fmt.Sprintf("%d black holes", p.Stats().BlackHoles), r)
	})
}
