package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tinyproto-go/tinyproto/hub"
	"github.com/tinyproto-go/tinyproto/tinytest"
)

// drawing draws a plan.
type drawing struct {
	*rand.Rand
	p       *plan
	largest int // message that the network carries with a reasonable number of steps
}

func draw(seed uint64) *plan {
	d := drawClassic(seed)
	d.modes()
	return d.p
}

// drawClassic draws what no mode is needed for.
func drawClassic(seed uint64) *drawing {
	d := &drawing{Rand: rand.New(rand.NewPCG(seed, 0)), p: &plan{seed: seed}}
	p := d.p
	p.topology = oneOf(d, pairTopology, pairTopology, serverTopology, serverTopology, hubTopology, relayTopology)
	p.gentle = d.chance(0.3)
	p.limit = d.between(5*time.Second, time.Minute)
	if p.gentle {
		p.limit = 30 * time.Minute
	}
	p.network = d.conditions()
	d.largest = 140_000
	if delay := p.network.Latency + p.network.Jitter; delay > 0 && p.network.Buffer > 0 {
		d.largest = min(d.largest, int(float64(p.network.Buffer)*10*float64(time.Second)/float64(delay)))
	}
	for _, unit := range []int{p.network.Buffer, p.network.MaxSegment} {
		if unit > 0 {
			d.largest = min(d.largest, 1000*unit)
		}
	}
	clients := 1
	if p.topology == serverTopology || p.topology == hubTopology {
		clients = 1 + d.IntN(4)
	}
	for i := range clients {
		p.clients = append(p.clients, d.client(i))
	}
	d.alike()
	p.server.grace = d.grace()
	if !p.gentle {
		if d.chance(0.2) {
			p.server.maxConns = 1 + d.IntN(clients)
		}
		if d.chance(0.3) {
			p.server.endAt = d.between(0, p.limit)
		}
		for range d.IntN(4) {
			p.faults = append(p.faults, d.fault())
		}
		slices.SortStableFunc(p.faults, func(a, b faultPlan) int { return int(a.at - b.at) })
	}
	p.hub = d.hub()
	p.relay = relayPlan{recorded: d.chance(0.5), way: oneOf(d, byOutbox, bySend), near: d.options(), far: d.options()}
	p.relay.near.streamFrom, p.relay.far.streamFrom = 0, 0
	p.relay.far.grace = p.server.grace // the relay's Handler waits for it
	for range 6 {
		p.probes = append(p.probes, d.between(0, min(p.limit, 20*time.Second)))
	}
	slices.Sort(p.probes)
	if !p.gentle && d.chance(0.2) {
		p.hub.deafAfter = d.IntN(20)
	}
	return d
}

func (d *drawing) conditions() tinytest.Conditions {
	c := tinytest.Conditions{
		Buffer:     oneOf(d, 0, 0, 1, 7, 100, 4096, 64<<10, 1<<20),
		MaxSegment: oneOf(d, 0, 0, 0, 1, 5, 1000),
	}
	if d.chance(0.6) {
		c.Latency = d.between(0, 100*time.Millisecond)
	}
	if d.chance(0.4) {
		c.Jitter = d.between(0, 100*time.Millisecond)
	}
	if d.chance(0.2) {
		c.Bandwidth = oneOf(d, 10_000, 100_000)
	}
	return c
}

func (d *drawing) client(i int) *clientPlan {
	c := &clientPlan{name: fmt.Sprintf("client-%d", i), dialer: d.end(2*i + 1), served: d.end(2*i + 2)}
	if d.chance(0.5) {
		c.start = d.between(0, 2*time.Second)
	}
	c.dialer.name, c.served.name = c.name, "served-"+c.name
	switch {
	case d.p.topology == hubTopology:
		d.member(c)
	case d.chance(0.35):
		d.echo(c)
	}
	d.finish(c)
	return c
}

func (d *drawing) end(number int) *endPlan {
	e := &endPlan{number: number, options: d.options()}
	producers := oneOf(d, 0, 1, 1, 1, 2, 3)
	for range producers {
		e.sender.producers = append(e.sender.producers, d.producer(producers == 1))
	}
	e.receiver = receiverPlan{how: oneOf(d, byRange, byReceive, byMessages), stopAfter: -1}
	if d.chance(0.3) {
		e.receiver.think = d.between(0, 300*time.Millisecond)
	}
	if !d.p.gentle && d.chance(0.15) {
		e.receiver.stopAfter = d.IntN(6)
	}
	return e
}

func (d *drawing) options() optionsPlan {
	o := optionsPlan{inbox: d.IntN(4), outbox: d.IntN(4), grace: d.grace()}
	if d.chance(0.3) {
		o.streamFrom = 1 + d.IntN(3000)
		if d.chance(0.2) {
			o.failingWriter = 1 + d.IntN(4)
		}
		if n := d.p.network; d.chance(0.2) && (n.MaxSegment == 0 || n.MaxSegment >= 1000) && (n.Buffer == 0 || n.Buffer >= 4096) {
			o.slowWriter = d.between(0, 100*time.Millisecond) // for each piece: there must not be too many
		}
	}
	if d.p.gentle {
		o.stallTimeout = -1 // a slow Writer is a slow reader
		return o
	}
	if d.chance(0.25) {
		o.maxMessage = oneOf(d, 1, 64, 1000, 70_000)
	}
	if d.chance(0.1) {
		o.refuseEvery = 2 + d.IntN(5)
	}
	if o.streamFrom > 0 && d.chance(0.2) {
		o.closeInDone = 1 + d.IntN(4)
	}
	o.maxRefused = d.IntN(3)
	if d.chance(0.3) {
		o.stallTimeout = d.between(100*time.Millisecond, 10*time.Second)
	}
	if d.chance(0.15) {
		o.answerTimeout = d.between(100*time.Millisecond, 10*time.Second)
	}
	return o
}

func (d *drawing) grace() time.Duration {
	if d.p.gentle {
		return d.p.limit
	}
	return oneOf(d, 0, -1, d.between(0, 500*time.Millisecond), d.between(0, 10*time.Second))
}

func (d *drawing) producer(alone bool) producerPlan {
	var p producerPlan
	if d.chance(0.4) {
		p.think = d.between(0, 300*time.Millisecond)
	}
	if !d.p.gentle && d.chance(0.2) {
		p.patience = d.between(0, 500*time.Millisecond)
	}
	mix := d.chance(0.3)
	one := oneOf(d, byOutbox, bySend)
	most := oneOf(d, 3, 200, 9000, 140_000)
	n := d.IntN(20)
	if most > 9000 {
		n = d.IntN(5)
	}
	for range n {
		m := messagePlan{way: one, size: d.IntN(min(most, d.largest) + 1), failAt: -1}
		if most > 9000 && d.chance(0.2) {
			m.size = min(d.largest, oneOf(d, 64<<10-1, 64<<10, 64<<10+1, 16<<10))
		}
		if !alone {
			m.size = max(m.size, uniqueLen)
		}
		if mix {
			m.way = oneOf(d, byOutbox, bySend, bySendFrom)
		}
		if m.way == bySendFrom {
			if d.chance(0.3) {
				m.pause = d.between(0, 50*time.Millisecond)
			}
			if !d.p.gentle && d.chance(0.1) {
				m.failAt = d.IntN(m.size + 1)
			}
		}
		p.messages = append(p.messages, m)
	}
	return p
}

func (d *drawing) hub() hubPlan {
	h := hubPlan{
		policy: oneOf(d, hub.Evict, hub.Block, hub.DropNewest, hub.DropOldest), messages: oneOf(d, 1, 2, 5, 0),
		bytes: oneOf(d, 0, 0, 300, 3000), events: d.IntN(4), grace: d.grace(),
	}
	if d.chance(0.3) {
		h.think = d.between(0, 50*time.Millisecond)
	}
	h.serverOutlives = d.p.gentle || d.chance(0.5)
	if d.p.gentle {
		h.policy = hub.Block
		return h
	}
	if d.chance(0.2) {
		h.leaveEvery = 1 + d.IntN(30)
	}
	if d.chance(0.5) {
		h.announcements = d.IntN(30)
		h.announceEvery = d.between(0, 200*time.Millisecond)
	}
	if d.chance(0.4) {
		h.sendDirectEach = 2 + d.IntN(4)
	}
	return h
}

func (d *drawing) fault() faultPlan {
	f := faultPlan{
		at:        d.between(0, min(d.p.limit, 5*time.Second)),
		client:    d.IntN(len(d.p.clients)),
		far:       d.p.topology == relayTopology && d.chance(0.5),
		kind:      oneOf(d, faultStall, faultStall, faultPartition, faultReset, faultCloseWrite, faultConditions, faultRefuse),
		direction: oneOf(d, tinytest.Both, tinytest.ToListener, tinytest.ToDialer),
		duration:  d.between(0, 10*time.Second),
	}
	switch {
	case f.kind == faultPartition && d.chance(0.3):
		f.duration = 0
	case f.kind == faultConditions:
		f.conditions = d.p.network // the cuts decide how large messages may be
		f.conditions.Latency = d.between(0, 2*time.Second)
		f.conditions.Jitter = d.between(0, time.Second)
	}
	return f
}

func (d *drawing) chance(p float64) bool { return d.Float64() < p }

func (d *drawing) between(from, to time.Duration) time.Duration {
	return (from + time.Duration(d.Int64N(int64(to-from)+1))).Truncate(time.Millisecond)
}

func oneOf[T any](d *drawing, choices ...T) T { return choices[d.IntN(len(choices))] }
