package conn

import (
	"fmt"
	"io"
	"time"

	"github.com/tinyproto-go/tinyproto/wire"
)

// watchdog is all that a connection does by the clock: one timer, set only
// while something is due, and left to run when it was not needed after all.
// The fields are guarded by Conn.mu.
type watchdog struct {
	timer *time.Timer
	began time.Time // immutable after New
	at    instant   // when timer fires; zero if it is not set

	active      instant // when bytes last came, or were written
	read        instant // when bytes of the peer last came, or our OK was written
	busy        bool    // the reader is in the application's code
	offered     instant // when our last offer was written
	blocked     instant // since when the writer waits for the transport; zero if it doesn't
	interrupted bool    // the writer was woken to see whether it makes progress
	ended       instant // when the context ended; zero before
	linger      instant // since when we wait only for the peer's end of stream; zero before
	terms       instant // since when we wait only for the peer's terms; zero otherwise
	pinged      instant // when our PING was written that has no PONG; zero otherwise
	deferred    instant // since when answers wait for a reply; zero if they do not
	untaken     bool    // the Inbox's buffer was not empty when it was last looked at
	bye         instant // since when we may only reply, as the peer has said BYE; zero otherwise
}

// instant is a time: the nanoseconds since the connection began. The zero value is
// none.
type instant time.Duration

func (w *watchdog) now() instant { return instant(time.Since(w.began)) + 1 }

func (w *watchdog) time(t instant) time.Time { return w.began.Add(time.Duration(t - 1)) }

func (w *watchdog) since(t instant) time.Duration { return time.Duration(w.now() - t) }

// look makes sure that the clock is checked when timeout has passed since t.
// A timeout of 0 never passes.
func (w *watchdog) look(c *Conn, t instant, timeout time.Duration) {
	at := t + instant(timeout)
	if timeout == 0 || c.end.state == over || w.at != 0 && at >= w.at {
		return
	}
	w.at = at
	left := time.Duration(at - w.now())
	if w.timer == nil {
		w.timer = time.AfterFunc(left, c.checkClock)
	} else {
		w.timer.Reset(left)
	}
}

func (w *watchdog) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// checkClock runs when the watchdog's timer fires.
func (c *Conn) checkClock() {
	c.mu.Lock()
	defer c.unlock()
	w, now := &c.watch, c.watch.now()
	w.at = 0
	// passed reports whether timeout has passed since t, and sees to it that
	// the clock is checked again when it will have.
	passed := func(t instant, timeout time.Duration) bool {
		switch {
		case t == 0 || timeout == 0:
			return false
		case now >= t+instant(timeout):
			return true
		}
		w.look(c, t, timeout)
		return false
	}
	// What the ledger has, but not the peer yet, the peer can't be late with.
	_, offering := c.ledger.Offering()
	offering = offering && !c.out.offers && !w.busy
	inside := c.insideItem() && !c.out.accepts && !w.busy
	if c.pipe != nil {
		offering = c.awaitsAnswer() && !w.busy
		c.checkPeer(passed)
	}
	if passed(w.deferred, readerPatience) {
		w.deferred = 0
		c.pipe.prompt = false
		c.flush(false)
	}
	if c.reader == readerAway && passed(w.read, readerPatience) {
		c.startReader()
	}
	stalled := !c.end.deaf && inside && passed(w.read, c.opts.StallTimeout)
	unanswered := !c.end.deaf && offering && passed(w.offered, c.opts.AnswerTimeout)
	if (stalled || unanswered) && (hasInput(c.nc) || c.unheard.Load()) {
		c.seeAgain() // it is us who are late: a machine that is busy, or was suspended
		c.watchPeer()
		stalled, unanswered = false, false
	}
	switch {
	case c.end.state == over:
	case passed(w.linger, lingerTime):
		c.terminate(c.end.writeErr)
	case passed(w.ended, c.opts.Grace):
		c.terminate(ErrGrace)
	case stalled:
		c.terminate(&StallError{Doing: "reading", After: c.opts.StallTimeout, State: c.unfinished()})
	case unanswered:
		doing := "waiting for the answer to an offer"
		if c.pipe != nil {
			doing = "waiting for the answer to a message"
		}
		c.terminate(&StallError{Doing: doing, After: c.opts.AnswerTimeout, State: c.unfinished()})
	case passed(w.blocked, c.opts.StallTimeout):
		w.interrupted = true
		if c.nc.SetWriteDeadline(longAgo) != nil { // it can't tell us whether it makes progress
			c.terminate(&StallError{Doing: "writing", After: c.opts.StallTimeout, State: c.unfinished()})
		}
	}
}

// broken adds to an error of the transport what it left unfinished.
func (c *Conn) broken(err error) error {
	if state := c.unfinished(); state != nil {
		return fmt.Errorf("%w; %w", err, state)
	}
	return err
}

// unfinished returns what was incomplete if the connection ends here, nil if
// nothing was.
func (c *Conn) unfinished() error {
	if c.pipe != nil {
		if err := c.pipe.end(); err != io.EOF {
			return err
		}
		return nil
	}
	err := c.ledger.End()
	if c.finishing.active {
		// For the ledger it is written, and the offer behind it too.
		var state wire.IncompleteError
		if behind, ok := err.(*wire.IncompleteError); ok {
			state = *behind
		}
		state.Unanswered, state.Owed, state.Offered = false, true, uint32(c.finishing.size())
		return &state
	}
	if incomplete, ok := err.(*wire.IncompleteError); ok && c.current.sent {
		incomplete.Owed = false // it has no bytes
		if *incomplete == (wire.IncompleteError{}) {
			return nil
		}
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// replyTime bounds how long we still send to a peer that sends no more.
func (c *Conn) replyTime() {
	c.watch.bye = c.watch.now()
	c.watch.look(c, c.watch.bye, lingerTime)
}

// awaitTerms bounds how long an end that has nothing to send waits for the peer's
// terms, to say so.
func (c *Conn) awaitTerms() {
	if c.pipe.Pipeline == nil && !c.pipe.gaveUp && c.watch.terms == 0 {
		c.watch.terms = c.watch.now()
		c.watch.look(c, c.watch.terms, lingerTime)
	}
}

// watchSilence begins to listen for signs of life.
func (c *Conn) watchSilence() {
	c.watch.read = c.watch.now()
	c.watch.look(c, c.watch.read, c.opts.PeerTimeout/2)
}

// checkPeer sees to it that a peer that is silent is asked for a sign of life,
// and ends the connection with one that does not give it. passed is that of
// checkClock.
func (c *Conn) checkPeer(passed func(instant, time.Duration) bool) {
	w, pl := &c.watch, c.pipe
	switch {
	case passed(w.bye, lingerTime) && (len(c.inbox) > 0 || w.untaken):
		w.untaken = len(c.inbox) > 0 // the replies to those are not due yet
		c.replyTime()
	case passed(w.bye, lingerTime):
		w.bye = 0
		c.drain(nil)
	}
	if passed(w.terms, lingerTime) {
		w.terms = 0
		pl.gaveUp = true
		c.wakeWriter()
	}
	switch {
	case c.end.state == over || pl.Pipeline == nil || c.end.deaf || w.busy:
	case !pl.MayPing():
		if !passed(w.pinged, c.opts.PeerTimeout/2) || !passed(w.read, c.opts.PeerTimeout) {
			return
		}
		if hasInput(c.nc) || c.unheard.Load() {
			c.seeAgain() // as in checkClock
			return
		}
		c.terminate(&StallError{Doing: "waiting for a sign of life", After: c.opts.PeerTimeout, State: c.unfinished()})
	case passed(w.read, c.opts.PeerTimeout/2):
		pl.trim() // it has been quiet for long
		pl.ping = true
		c.flush(false)
	}
}
