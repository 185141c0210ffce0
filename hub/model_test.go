package hub_test

import (
	"errors"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/hub"
)

// A model is a hub as one would write it for one thing at a time: no
// goroutines, no locks, and a clock that the test moves. It is what the hub
// must look like whenever nothing moves.
type model struct {
	opts    hub.Options
	byes    []*modelMember // in pipelined mode: whose peer is to say BYE, too
	now     time.Duration
	members []*modelMember // in the order in which they joined, also those who left
	pending []*modelCall
	ended   bool
	stats   hub.Stats
	reached coverage
}

// coverage is what the games must not miss: without it, they say little.
type coverage struct{ OldestDropped, NewestDropped, Evicted, Waited, GaveUp, PassedBy, LeftLate, CutOff, Refused bool }

type modelMember struct {
	name       int
	maxMessage int // what its peer accepts
	rooms      map[string]bool

	// The peer: how many messages it will still take; whether its connection
	// holds one that it has not taken; what it took.
	appetite int
	held     []byte
	holding  bool
	behind   [][]byte // in pipelined mode: what arrived behind it, before the hub ended the connection
	closed   bool     // the peer ended the connection
	took     []string

	// The hub's side.
	sending []byte
	isBusy  bool // with sending
	queue   [][]byte
	line    []*modelWaiter
	leaving bool
	cutOff  time.Duration // when leaving
	gone    bool
	stats   hub.MemberStats
	events  []string
}

// modelCall is a call that waits for room. It is over when nobody is waited for.
type modelCall struct {
	number   int  // of the operation
	single   bool // it is a Send
	deadline time.Duration
	waits    map[*modelMember]*modelWaiter
	queued   int
	err      error
}

type modelWaiter struct {
	call *modelCall
	body []byte
}

// all is a peer's appetite while it does not stall.
const all = 1 << 30

var errEndedByModel = errors.New("closed for this reason")

func (m *model) join(maxMessage int) bool {
	if m.ended {
		return false
	}
	m.members = append(m.members, &modelMember{name: len(m.members), maxMessage: maxMessage, appetite: all,
		rooms: map[string]bool{}, events: []string{"joined"}})
	m.stats.Joined++
	return true
}

// send is a message to some. It returns what a call that need not wait returns.
func (m *model) send(number int, deadline time.Duration, body []byte, to []*modelMember) *modelCall {
	c := &modelCall{number: number, deadline: m.now + deadline, waits: map[*modelMember]*modelWaiter{}}
	for _, member := range to {
		switch {
		case member.leaving:
		case m.fits(member, body) && len(member.line) == 0:
			m.push(member, body)
			c.queued++
		case m.opts.Full == hub.Block:
			w := &modelWaiter{c, body}
			member.line = append(member.line, w)
			c.waits[member] = w
		case m.opts.Full == hub.DropOldest:
			for !m.fits(member, body) {
				member.queue = member.queue[1:]
				m.drop(member)
				m.reached.OldestDropped = true
			}
			m.push(member, body)
			c.queued++
		default:
			m.sent(member)
			m.drop(member)
			c.err = hub.ErrDropped
			m.reached.NewestDropped = true
			if m.opts.Full == hub.Evict {
				c.err = hub.ErrEvicted
				m.stats.Evicted++
				m.reached.Evicted = true
				m.leave(member, c.err)
			}
		}
		m.flow(member)
	}
	if len(c.waits) > 0 {
		m.pending = append(m.pending, c)
	}
	return c
}

func (m *model) fits(member *modelMember, body []byte) bool {
	return len(member.queue) == 0 || len(member.queue) < m.opts.QueueMessages && bytesOf(member.queue)+len(body) <= m.opts.QueueBytes
}

func (m *model) push(member *modelMember, body []byte) {
	member.queue = append(member.queue, body)
	m.sent(member)
}

func (m *model) sent(member *modelMember)      { member.stats.Sent++; m.stats.Sent++ }
func (m *model) delivered(member *modelMember) { member.stats.Delivered++; m.stats.Delivered++ }
func (m *model) drop(member *modelMember)      { member.stats.Dropped++; m.stats.Dropped++ }
func (m *model) undelivered(member *modelMember, n int) {
	member.stats.Undelivered += uint64(n)
	m.stats.Undelivered += uint64(n)
}

// flow moves on what can move at a member.
func (m *model) flow(member *modelMember) {
	for moved := true; moved; {
		moved = false
		if member.holding && member.appetite > 0 {
			member.appetite--
			member.took = append(member.took, string(member.held))
			member.holding, moved = false, true
			if len(member.behind) > 0 {
				member.held, member.holding, member.behind = member.behind[0], true, nil
			}
		}
		switch {
		case member.gone:
		case member.isBusy && len(member.sending) > member.maxMessage:
			m.drop(member) // the peer refuses it
			member.isBusy, moved = false, true
			m.reached.Refused = true
		case member.isBusy && !member.holding:
			m.delivered(member)
			member.held, member.holding, member.isBusy, moved = member.sending, true, false, true
		case !member.isBusy && len(member.queue) > 0:
			member.sending, member.queue, member.isBusy, moved = member.queue[0], member.queue[1:], true, true
		case len(member.line) > 0 && m.fits(member, member.line[0].body):
			w := member.line[0]
			m.push(member, w.body)
			w.call.queued++
			m.unwait(member, w)
			moved, m.reached.Waited = true, true
		case member.leaving && !member.isBusy:
			m.reached.LeftLate = m.reached.LeftLate || member.cutOff < m.now+m.opts.Grace
			m.remove(member, nil)
			m.byes = append(m.byes, member)
			moved = true
		}
	}
}

// unwait takes a message out of the line.
func (m *model) unwait(member *modelMember, w *modelWaiter) {
	member.line = slices.DeleteFunc(member.line, func(x *modelWaiter) bool { return x == w })
	delete(w.call.waits, member)
}

// leave ends a member, gracefully if the reason is nil.
func (m *model) leave(member *modelMember, reason error) {
	if member.gone || member.leaving && reason == nil {
		return
	}
	m.stopLine(member)
	if reason != nil {
		m.remove(member, reason)
		return
	}
	member.cutOff = m.now + m.opts.Grace
	m.flow(member)
}

// stopLine sends those away who wait for room, and whoever comes.
func (m *model) stopLine(member *modelMember) {
	member.leaving = true
	for len(member.line) > 0 {
		m.unwait(member, member.line[0])
	}
}

// peerClosed is the end of a connection by its peer, which forgets what it holds. In
// pipelined mode, what it has answered is in its Inbox, and it has not said BYE.
func (m *model) peerClosed(member *modelMember) {
	member.closed, member.behind = true, nil
	member.holding = member.holding && inPipelined()
	if member.gone {
		return
	}
	var reason error
	if member.isBusy || inPipelined() {
		reason = io.ErrUnexpectedEOF
	}
	m.stopLine(member)
	m.remove(member, reason)
}

// remove takes a member off the hub.
func (m *model) remove(member *modelMember, reason error) {
	n := len(member.queue)
	if member.isBusy {
		n++
		if inPipelined() && !member.closed { // it has arrived, though nobody knows
			member.behind = [][]byte{member.sending}
		}
	}
	m.undelivered(member, n)
	member.queue, member.isBusy, member.gone = nil, false, true
	clear(member.rooms)
	member.events = append(member.events, "left: "+class(reason))
	m.stats.Left++
}

// advance lets time pass.
func (m *model) advance(d time.Duration) {
	for end := m.now + d; ; {
		next, due := end, (func())(nil)
		for _, c := range m.pending {
			if len(c.waits) > 0 && c.deadline <= next {
				next, due = c.deadline, func() { m.giveUp(c) }
			}
		}
		for _, member := range m.members {
			if member.leaving && !member.gone && member.cutOff <= next {
				next, due = member.cutOff, func() { m.cut(member) }
			}
		}
		m.now = next
		if due == nil {
			return
		}
		due()
	}
}

func (m *model) cut(member *modelMember) {
	m.reached.CutOff = true
	m.remove(member, conn.ErrGrace)
}

func (m *model) giveUp(c *modelCall) {
	m.reached.GaveUp = true
	for member, w := range maps.Clone(c.waits) {
		m.unwait(member, w)
		m.sent(member)
		m.drop(member)
		c.err = errImpatient
		behind := len(member.line)
		m.flow(member) // those behind it may be smaller
		m.reached.PassedBy = m.reached.PassedBy || len(member.line) < behind
	}
}

// end is the end of the hub.
func (m *model) end() {
	m.ended = true
	for _, member := range m.members {
		m.leave(member, nil)
	}
}

// present returns the members that have not left and that pick returns true for.
func (m *model) present(pick func(*modelMember) bool) []*modelMember {
	var found []*modelMember
	for _, member := range m.members {
		if !member.gone && pick(member) {
			found = append(found, member)
		}
	}
	return found
}

func (m *model) roomSizes() map[string]int {
	sizes := map[string]int{}
	for _, member := range m.members {
		for name := range member.rooms {
			sizes[name]++
		}
	}
	return sizes
}

// totals returns the counts of the hub, with what is queued now.
func (m *model) totals() hub.Stats {
	s := m.stats
	for _, member := range m.present(func(*modelMember) bool { return true }) {
		s.Members++
		s.QueuedMessages += len(member.queue)
		s.QueuedBytes += bytesOf(member.queue)
	}
	return s
}

func (member *modelMember) counts() hub.MemberStats {
	s := member.stats
	s.QueuedMessages, s.QueuedBytes, s.Sending = len(member.queue), bytesOf(member.queue), member.isBusy
	return s
}

func bytesOf(queue [][]byte) int {
	n := 0
	for _, body := range queue {
		n += len(body)
	}
	return n
}

// class names what an error is, of those that the model knows.
func class(err error) string {
	if err == nil {
		return "no error"
	}
	for _, known := range []error{hub.ErrDropped, hub.ErrEvicted, hub.ErrNotMember, hub.ErrClosed, conn.ErrGrace, errImpatient, errEndedByModel, io.ErrUnexpectedEOF} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "unknown: " + err.Error()
}
