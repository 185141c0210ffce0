package conn

// offerHeld sees to it that what is held is offered to the application. mu is held.
func (c *Conn) offerHeld() {
	switch {
	case c.shared.Load():
		c.receivers.signal()
	case c.writerWaits():
		c.startDeliverer()
	default:
		c.wakeWriter()
	}
}

// toOffer returns the Inbox if what is held is to be offered on it, and nil if not:
// nothing is, it is to be decoded first, nobody may have it any more, or a Receive
// takes it. mu is held.
func (c *Conn) toOffer() chan []byte {
	if c.shared.Load() || c.encoded || !c.mayTakeHeld() {
		return nil
	}
	if c.pipe != nil {
		c.pipe.untold = false
	}
	return c.inbox
}

// writerWaits reports whether the writer goroutine waits for the transport. While a
// SendFrom writes, it is not the writer that does. mu is held.
func (c *Conn) writerWaits() bool { return c.watch.blocked != 0 && !c.streaming }

// startDeliverer has what is held offered in the place of the writer, which waits
// for the transport: what the peer sends does not depend on how fast it reads. mu is
// held.
func (c *Conn) startDeliverer() {
	if c.deliverer == nil && c.toOffer() != nil {
		c.deliverer = make(chan struct{}, 1)
		c.live++
		go c.deliverHeld(c.deliverer) // ends when nothing is to be offered, or the writer is back
	}
}

// deliverHeld is the deliverer. As long as it is there, the writer offers nothing, so
// that no message is offered twice. What may be written for what was taken, as its
// answer, is left to the writer.
func (c *Conn) deliverHeld(look <-chan struct{}) {
	c.mu.Lock()
	defer c.leave()
	for inbox := c.toOffer(); inbox != nil && c.writerWaits(); inbox = c.toOffer() {
		held := c.held
		c.mu.Unlock()
		select {
		case inbox <- held:
			c.mu.Lock()
			c.held, c.holding = nil, false
			c.handedOver()
		case <-look:
			c.mu.Lock()
		}
	}
	c.deliverer = nil
	c.wakeWriter() // to offer what is held now, or to end
}

// recallDeliverer has the deliverer look at the state, if there is one. mu is held.
func (c *Conn) recallDeliverer() {
	select {
	case c.deliverer <- struct{}{}:
	default:
	}
}
