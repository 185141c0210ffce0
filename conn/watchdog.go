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
	at    time.Time // when timer fires; zero if it is not set

	read        time.Time // when bytes of the peer last came, or our OK was written
	busy        bool      // the reader is in the application's code
	offered     time.Time // when our last offer was written
	blocked     time.Time // since when the writer waits for the transport; zero if it doesn't
	interrupted bool      // the writer was woken to see whether it makes progress
	ended       time.Time // when the context ended; zero before
	linger      time.Time // since when we wait only for the peer's end of stream; zero before
}

// look makes sure that the clock is checked when timeout has passed since t.
// A timeout of 0 never passes.
func (w *watchdog) look(c *Conn, t time.Time, timeout time.Duration) {
	at := t.Add(timeout)
	if timeout == 0 || c.end.state == over || !w.at.IsZero() && !at.Before(w.at) {
		return
	}
	w.at = at
	if w.timer == nil {
		w.timer = time.AfterFunc(time.Until(at), c.checkClock)
	} else {
		w.timer.Reset(time.Until(at))
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
	w, now := &c.watch, time.Now()
	w.at = time.Time{}
	// passed reports whether timeout has passed since t, and sees to it that
	// the clock is checked again when it will have.
	passed := func(t time.Time, timeout time.Duration) bool {
		switch {
		case t.IsZero() || timeout == 0:
			return false
		case !now.Before(t.Add(timeout)):
			return true
		}
		w.look(c, t, timeout)
		return false
	}
	// What the ledger has, but not the peer yet, the peer can't be late with.
	_, offering := c.ledger.Offering()
	offering = offering && !c.out.offers && !w.busy
	inside := c.ledger.InsideItem() && !c.out.accepts && !w.busy
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
		c.terminate(&StallError{Doing: "waiting for the answer to an offer", After: c.opts.AnswerTimeout, State: c.unfinished()})
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
