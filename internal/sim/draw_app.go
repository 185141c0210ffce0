package main

import "time"

// echo makes one end send back what it gets, and the other one expect it.
func (d *drawing) echo(c *clientPlan) {
	asks, answers := c.dialer, c.served
	if d.p.topology == pairTopology && d.chance(0.5) {
		asks, answers = answers, asks
	}
	answers.sender = senderPlan{echo: true, way: oneOf(d, byOutbox, bySend)}
	answers.options.streamFrom, answers.options.refuseEvery = 0, 0
	asks.options.streamFrom, asks.options.refuseEvery = 0, 0
	d.withoutStreams(asks)
	if len(asks.sender.producers) == 0 {
		asks.sender.producers = append(asks.sender.producers, d.producer(true))
		d.withoutStreams(asks)
	}
	if d.chance(0.4) { // one after the other
		asks.sender.request = true
		asks.sender.producers = asks.sender.producers[:1]
		for i := range asks.sender.producers[0].messages {
			asks.sender.producers[0].messages[i].way = bySend
		}
	}
}

// member makes a client one of a hub: its messages reach the others.
func (d *drawing) member(c *clientPlan) {
	c.served.sender = senderPlan{}
	c.served.receiver = receiverPlan{stopAfter: -1}
	c.served.options.streamFrom, c.served.options.refuseEvery = 0, 0
	for _, p := range c.dialer.sender.producers {
		for i := range p.messages {
			m := &p.messages[i]
			m.size = max(m.size, uniqueLen)
		}
	}
}

// alike gives all connections of a server the same options, as a server does, and
// transforms to all connections or to none.
func (d *drawing) alike() {
	p := d.p
	transforms := d.chance(0.15) && p.topology != hubTopology && p.topology != relayTopology
	common := p.clients[0].served.options
	for _, c := range p.clients {
		if c.served.sender.echo {
			common.streamFrom, common.refuseEvery = 0, 0 // it sends back what it receives, all of it
		}
	}
	for _, c := range p.clients {
		if p.topology != pairTopology {
			c.served.options = common
		}
		for _, e := range []*endPlan{c.dialer, c.served} {
			if e.options.transforms = transforms; transforms {
				e.options.streamFrom, e.options.refuseEvery = 0, 0
				d.withoutStreams(e)
			}
		}
	}
}

// withoutStreams replaces SendFrom, which transforms do not allow.
func (d *drawing) withoutStreams(e *endPlan) {
	for _, p := range e.sender.producers {
		for i := range p.messages {
			if m := &p.messages[i]; m.way == bySendFrom {
				m.way, m.failAt, m.pause = bySend, -1, 0
			}
		}
	}
}

// finish decides how the connection of a client ends.
func (d *drawing) finish(c *clientPlan) {
	c.dialer.finish, c.served.finish = finishPlan{kind: finishNever}, finishPlan{kind: finishNever}
	handler := d.p.topology == serverTopology || d.p.topology == relayTopology
	if d.p.gentle {
		ends := c.dialer
		if (d.p.topology == pairTopology || d.p.topology == serverTopology) && d.chance(0.5) {
			ends = c.served
		}
		ends.finish = finishPlan{kind: finishShutdown, afterWork: true}
		switch {
		case ends == c.served && handler && d.chance(0.5):
			ends.finish.kind = finishReturn
		case ends.canCloseOutbox() && d.chance(0.4):
			ends.finish.kind = finishOutbox
		}
		return
	}
	if d.chance(0.8) {
		c.dialer.finish = d.wildFinish(c.dialer, false)
	}
	if d.p.topology != hubTopology && d.chance(0.6) {
		c.served.finish = d.wildFinish(c.served, handler)
	}
}

func (d *drawing) wildFinish(e *endPlan, handler bool) finishPlan {
	kinds := []finish{finishShutdown, finishWithin, finishClose}
	if e.canCloseOutbox() {
		kinds = append(kinds, finishOutbox, finishOutbox)
	}
	if handler {
		kinds = append(kinds, finishReturn, finishReturn, finishError, finishPanic)
	} else {
		kinds = append(kinds, finishCancel)
	}
	return finishPlan{
		kind:      oneOf(d, kinds...),
		afterWork: d.chance(0.5),
		at:        d.between(0, min(d.p.limit, 4*time.Second)),
		within:    d.between(0, 5*time.Second),
		again:     d.chance(0.2),
	}
}

// canCloseOutbox reports whether one goroutine sends everything, by the Outbox.
func (e *endPlan) canCloseOutbox() bool {
	if e.sender.echo || len(e.sender.producers) > 1 {
		return false
	}
	for _, p := range e.sender.producers {
		for _, m := range p.messages {
			if m.way != byOutbox {
				return false
			}
		}
	}
	return true
}
