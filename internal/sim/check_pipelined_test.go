package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestWhatIsWrongInADirectionInPipelinedModeIsFound(t *testing.T) {
	err := errors.New("broken")
	// cut ends the connection after so many were received, and so many answered.
	cut := func(d *direction, received, answered int) {
		d.took, d.read, d.written, d.err = d.took[:received], uint64(received), uint64(answered), err
	}
	// queue makes those from so many on messages of the Outbox.
	queue := func(d *direction, from int) {
		for _, m := range d.sent[from:] {
			m.outcome, m.way = queued, byOutbox
		}
	}
	bodies := func(of []*message) (all [][]byte) {
		for _, m := range of {
			all = append(all, m.body)
		}
		return all
	}
	for _, c := range []struct {
		name  string
		spoil func(d *direction)
		want  string // part of what is reported; empty: nothing may be
	}{
		{"all arrived", func(d *direction) {}, ""},
		{"none was sent", func(d *direction) { *d = direction{pipelined: true} }, ""},
		{"some are unsent, and did not arrive", func(d *direction) {
			queue(d, 6)
			d.unsent = bodies(d.sent[6:])
			cut(d, 6, 6)
		}, ""},
		{"some are unsent, and arrived", func(d *direction) {
			queue(d, 6)
			d.unsent = bodies(d.sent[6:])
			cut(d, 10, 6)
		}, ""},
		{"some are unsent, and did not arrive, but a later one did", func(d *direction) {
			queue(d, 6)
			d.unsent = bodies(d.sent[6:])
			cut(d, 10, 6)
			d.took, d.read = slices.Delete(d.took, 7, 8), 9
		}, "did not arrive, though a later one did: 1/7"},
		{"that one was refused", func(d *direction) {
			queue(d, 6)
			d.unsent, d.refused = bodies(d.sent[6:]), true
			cut(d, 10, 6)
			d.took, d.read = slices.Delete(d.took, 7, 8), 9
		}, ""},
		{"one is unsent, and arrived twice", func(d *direction) {
			queue(d, 9)
			d.unsent = bodies(d.sent[9:])
			cut(d, 10, 9)
			d.took, d.read = append(d.took, d.took[9]), 11
		}, "sent 1 times, but received 2 times: 1/9"},
		{"one is unsent twice", func(d *direction) {
			queue(d, 9)
			d.unsent = append(bodies(d.sent[9:]), d.sent[9].body)
			cut(d, 9, 9)
		}, "9 were answered, and 2 are unsent"},
		{"unsent is out of order", func(d *direction) {
			queue(d, 8)
			d.unsent = [][]byte{d.sent[9].body, d.sent[8].body}
			cut(d, 8, 8)
		}, "listed after a later one: 1/8"},
		{"one is unsent, though Send returned nil", func(d *direction) {
			d.unsent = bodies(d.sent[9:])
			cut(d, 10, 9)
		}, "though Send returned nil: 1/9"},
		{"one of the Outbox is neither answered nor unsent", func(d *direction) {
			queue(d, 9)
			cut(d, 9, 9)
		}, "10 messages were accepted to be sent, and 0 are in doubt, but 9 were answered, and 0 are unsent"},
		{"a Send returned nil, and its message did not arrive", func(d *direction) {
			cut(d, 9, 10)
			d.read = 10
			d.mayDrop = 1
		}, "1 messages did not arrive, though Send returned nil"},
		{"a Send is in doubt, and its message did not arrive", func(d *direction) {
			d.sent[9].outcome = inDoubt
			cut(d, 9, 9)
		}, ""},
		{"a Send is in doubt, and its message arrived", func(d *direction) {
			d.sent[9].outcome = inDoubt
			cut(d, 10, 9)
		}, ""},
		{"a Send gave up in doubt, and its message is unsent", func(d *direction) {
			d.sent[9].outcome = inDoubt
			d.unsent = bodies(d.sent[9:])
			cut(d, 10, 9)
		}, ""},
		{"a Send gave up in doubt, and its message was answered", func(d *direction) { d.sent[9].outcome = inDoubt }, ""},
		{"a Send gave up in doubt, and its message is lost at a clean end", func(d *direction) {
			d.sent[9].outcome = inDoubt
			cut(d, 9, 9)
			d.err = nil
		}, "the end is clean, but only 9 of 10 messages were answered"},
		{"one failed, and arrived", func(d *direction) {
			d.sent[9].outcome = failed
			cut(d, 10, 9)
		}, "told that it was not sent: 1/9"},
		{"more was answered than read", func(d *direction) { d.read = 9 }, "10 messages were answered, but only 9 read"},
		{"more was received than read", func(d *direction) { d.read, d.written = 9, 9 }, "10 messages were received, but only 9 read"},
		{"the receiver was ended before it had handed over its window", func(d *direction) {
			queue(d, 7)
			d.unsent = bodies(d.sent[7:])
			cut(d, 7, 7)
			d.read, d.mayDrop = 10, 3
		}, ""},
		{"more than its window is missing", func(d *direction) {
			queue(d, 7)
			d.unsent = bodies(d.sent[7:])
			cut(d, 7, 7)
			d.read, d.mayDrop = 10, 2
		}, "10 messages were read, but only 7 received"},
		{"a server drops what a handler has left", func(d *direction) { d.took, d.mayDrop = d.took[:5], -1 }, ""},
		{"a Writer spoilt one", func(d *direction) { d.took, d.spoilt = d.took[:9], 1 }, ""},
		{"Err says that one is in doubt", func(d *direction) { d.err, d.inDoubt = err, true }, "Err says that a message is in doubt"},
		{"an empty one is in doubt at an end that was not asked yet", func(d *direction) {
			*d = direction{pipelined: true, silent: true, err: err, inDoubt: true, unsent: [][]byte{{}},
				sent: []*message{{body: []byte{}, way: byOutbox, outcome: queued}}}
		}, ""},
		{"nothing went wrong, and one has failed", func(d *direction) {
			d.gentle = true
			d.sent[9].outcome = failed
			cut(d, 9, 9)
		}, "nothing went wrong, but 9 of 10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := conversation(1, 10)
			d.pipelined = true
			c.spoil(d)
			wrong := strings.Join(d.check(), "\n")
			if c.want == "" && wrong != "" || !strings.Contains(wrong, c.want) {
				t.Errorf("reported:\n%s\nexpected: %q", wrong, c.want)
			}
		})
	}
}
