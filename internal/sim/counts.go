package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// counts are figures of some runs.
type counts struct {
	runs, failed                          int
	topologies                            map[topology]int
	gentle                                int
	connections, pipelined                int
	termless                              int // ends that had nothing to send, and no terms of the peer's
	messages, bytes                       int // that applications handed over to be sent
	delivered, unsent, doubted, conflicts int
	faults                                map[fault]int // that came before all had ended
	ends                                  map[finish]int
	virtual                               time.Duration
}

func newCounts() counts {
	return counts{topologies: map[topology]int{}, faults: map[fault]int{}, ends: map[finish]int{}}
}

// count counts what happened in a run that is over.
func (w *world) count() counts {
	c := newCounts()
	c.runs, c.virtual = 1, w.lasted
	c.topologies[w.plan.topology]++
	if w.plan.gentle {
		c.gentle++
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for what, n := range w.brought {
		c.faults[what] += n
	}
	c.connections, c.termless = len(w.order), w.termless
	for _, l := range w.order {
		if l.pipelined() {
			c.pipelined++
		}
		for _, e := range []*endpoint{l.dialer, l.accepted} {
			if e != nil {
				e.count(&c)
			}
		}
	}
	return c
}

func (e *endpoint) count(c *counts) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c.messages += len(e.sent)
	for _, m := range e.sent {
		c.bytes += len(m.body)
		if m.outcome == inDoubt {
			c.doubted++
		}
	}
	c.delivered += len(e.took) + len(e.streamed)
	c.unsent += len(e.conn.Unsent())
	c.conflicts += int(e.conn.Stats().Conflicts)
	if errors.Is(e.conn.Err(), conn.ErrInDoubt) {
		c.doubted++
	}
	for _, kind := range e.endedBy {
		c.ends[kind]++
	}
}

// add adds the figures of other runs.
func (c *counts) add(o counts) {
	c.runs += o.runs
	c.failed += o.failed
	c.gentle += o.gentle
	c.connections += o.connections
	c.pipelined += o.pipelined
	c.termless += o.termless
	c.messages += o.messages
	c.bytes += o.bytes
	c.delivered += o.delivered
	c.unsent += o.unsent
	c.doubted += o.doubted
	c.conflicts += o.conflicts
	c.virtual += o.virtual
	addEach(c.topologies, o.topologies)
	addEach(c.faults, o.faults)
	addEach(c.ends, o.ends)
}

func addEach[K comparable](to, from map[K]int) {
	for k, n := range from {
		to[k] += n
	}
}

// String lists the figures.
func (c counts) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d runs, of which %d had to lose nothing; %d failed; %v by their own clocks\n", c.runs, c.gentle, c.failed, c.virtual.Round(time.Second))
	fmt.Fprintf(&b, "topologies: %s\n", list(c.topologies))
	fmt.Fprintf(&b, "%d connections, %d of them pipelined, %d messages of %d bytes: %d received, %d unsent, %d in doubt; %d conflicts\n",
		c.connections, c.pipelined, c.messages, c.bytes, c.delivered, c.unsent, c.doubted, c.conflicts)
	fmt.Fprintf(&b, "%d ends waited in vain for terms\n", c.termless)
	fmt.Fprintf(&b, "faults: %s\n", list(c.faults))
	fmt.Fprintf(&b, "ends: %s\n", list(c.ends))
	return b.String()
}

func list[K cmp.Ordered](m map[K]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%v %d", k, m[k]))
	}
	return strings.Join(parts, ", ")
}
