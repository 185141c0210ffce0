package conn

import (
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

	read        time.Time // when bytes of the peer last came, or were accepted
	offered     time.Time // when our offer was written
	blocked     time.Time // since when the writer waits for the transport; zero if it doesn't
	interrupted bool      // the writer was woken to see whether it makes progress
	grace       time.Time // when draining has to be over; zero if nothing bounds it
	linger      time.Time // when to stop waiting for the peer's end of stream
}

// after makes sure that the watchdog looks within d; 0 is never.
func (w *watchdog) after(c *Conn, d time.Duration) {
	if d > 0 {
		w.look(c, time.Now().Add(d))
	}
}

func (w *watchdog) look(c *Conn, at time.Time) {
	if c.end.state == over || !w.at.IsZero() && !at.Before(w.at) {
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
	if c.end.state == over {
		return
	}
	w.at = time.Time{}
	// due reports whether d has passed since t, and otherwise looks again then.
	due := func(t time.Time, d time.Duration) bool {
		if t.IsZero() || d <= 0 {
			return false
		}
		if at := t.Add(d); at.After(now) {
			w.look(c, at)
			return false
		}
		return true
	}
	_, offering := c.ledger.Offering()
	switch {
	case !w.linger.IsZero() && !w.linger.After(now):
		c.terminate(c.end.writeErr)
	case !w.grace.IsZero() && !w.grace.After(now):
		c.terminate(ErrGrace)
	case !c.end.deaf && c.ledger.InsideItem() && due(w.read, c.opts.StallTimeout):
		c.terminate(&StallError{Doing: "reading", After: c.opts.StallTimeout, State: c.unfinished()})
	case !c.end.deaf && offering && due(w.offered, c.opts.AnswerTimeout):
		c.terminate(&StallError{Doing: "waiting for the answer to an offer", After: c.opts.AnswerTimeout, State: c.unfinished()})
	default:
		if due(w.blocked, c.opts.StallTimeout) {
			w.interrupted = true
			c.nc.SetWriteDeadline(longAgo)
		}
		for _, at := range [...]time.Time{w.grace, w.linger} {
			if !at.IsZero() {
				w.look(c, at)
			}
		}
	}
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
		state.Unanswered, state.Owed, state.Offered = false, true, uint32(len(c.finishing.body))
		return &state
	}
	if err == io.EOF {
		return nil
	}
	return err
}
