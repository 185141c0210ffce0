package main

import (
	"math/rand/v2"
	"time"
)

// modes decides who asks for pipelined mode, and what matters in it alone. Its
// numbers are its own, so that all else is as the seed draws it in classic mode.
func (d *drawing) modes() {
	d.Rand = rand.New(rand.NewPCG(d.p.seed, 1))
	p := d.p
	common := d.window(p.clients[0].served.options)
	if !p.gentle && d.chance(0.07) && (p.topology == pairTopology || p.topology == serverTopology) {
		common.classic = true
	}
	for _, c := range p.clients {
		c.dialer.options = d.window(c.dialer.options)
		c.dialer.options.pipelined = d.chance(0.5)
		c.served.options.takeWindow(common)
	}
	p.relay.near = d.window(p.relay.near)
	p.relay.far = d.window(p.relay.far)
	p.relay.far.pipelined = d.chance(0.5)
	d.holds()
}

// holds decides who holds offers, and withholds its terms in pipelined mode.
func (d *drawing) holds() {
	d.Rand = rand.New(rand.NewPCG(d.p.seed, 2))
	p := d.p
	if p.topology != pairTopology && p.topology != serverTopology {
		return
	}
	common := d.hold()
	for _, c := range p.clients {
		c.dialer.options.hold = d.hold()
		c.served.options.hold = common
	}
}

func (d *drawing) hold() time.Duration {
	switch {
	case !d.chance(0.1):
		return 0
	case d.p.gentle:
		return d.between(time.Millisecond, 2*time.Second)
	}
	return oneOf(d, d.between(time.Millisecond, 4*time.Second), neverAccepts)
}

// neverAccepts is longer than any run.
const neverAccepts = time.Hour

// window draws what an end grants its peer in pipelined mode.
func (d *drawing) window(o optionsPlan) optionsPlan {
	o.windowMessages = oneOf(d, 0, 0, 1, 2, 3, 10)
	o.windowBytes = oneOf(d, 0, 0, -1, 1, 100, 3000, 70_000)
	n := d.p.network
	switch {
	case !d.p.gentle:
		o.peerTimeout = oneOf(d, 0, -1, d.between(200*time.Millisecond, 10*time.Second))
	case n.Bandwidth > 0 || d.slow():
		o.peerTimeout = -1 // what is on its way, or a Writer, may keep a PING waiting for long
	default:
		o.peerTimeout = oneOf(d, -1, d.between(5*time.Second, time.Minute))
	}
	return o
}

// slow reports whether some end has a slow Writer.
func (d *drawing) slow() bool {
	for _, c := range d.p.clients {
		if c.dialer.options.slowWriter > 0 || c.served.options.slowWriter > 0 {
			return true
		}
	}
	return false
}

// takeWindow takes what window draws from the options of another end.
func (o *optionsPlan) takeWindow(from optionsPlan) {
	o.windowMessages, o.windowBytes, o.peerTimeout, o.classic = from.windowMessages, from.windowBytes, from.peerTimeout, from.classic
	o.hold = from.hold
}
