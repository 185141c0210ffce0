package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// conversation returns a direction in which n messages were sent by each of some
// producers, and all arrived.
func conversation(producers, n int) *direction {
	d := &direction{name: "test"}
	for p := range producers {
		for i := range n {
			m := &message{body: body(1, p*n+i, 20), producer: p, way: bySend, outcome: sent}
			d.sent = append(d.sent, m)
			d.took = append(d.took, m.body)
		}
	}
	d.written, d.read = uint64(len(d.sent)), uint64(len(d.took))
	return d
}

func TestWhatIsWrongInADirectionIsFound(t *testing.T) {
	err := errors.New("broken")
	for _, c := range []struct {
		name  string
		spoil func(d *direction)
		want  string // part of what is reported; empty: nothing may be
	}{
		{"all arrived", func(d *direction) {}, ""},
		{"none was sent", func(d *direction) { *d = direction{} }, ""},
		{"one was dropped", func(d *direction) { d.took = slices.Delete(d.took, 3, 4) }, "9 received"},
		{"one was dropped, and nobody says that it was read", func(d *direction) {
			d.took, d.read = slices.Delete(d.took, 3, 4), 9
		}, "the last of 10 messages was not read, but Err does not say"},
		{"one was delivered twice", func(d *direction) { d.took = append(d.took, d.took[9]) }, "sent 1 times, but received 2 times"},
		{"two are swapped", func(d *direction) { d.took[2], d.took[3] = d.took[3], d.took[2] }, "after a later one: 1/2"},
		{"those of two producers are swapped", func(d *direction) { d.took[4], d.took[5] = d.took[5], d.took[4] }, ""},
		{"one was invented", func(d *direction) { d.took = append(d.took, []byte("never sent")) }, "never sent"},
		{"one was changed", func(d *direction) { d.took[1] = []byte(strings.Repeat("x", 20)) }, "never sent: a damaged message"},
		{"one was shortened", func(d *direction) { d.took[1] = d.took[1][:19] }, "never sent"},
		{"one failed, and arrived", func(d *direction) { d.sent[5].outcome = failed }, "told that it was not sent: 1/5"},
		{"one failed, and did not arrive", func(d *direction) {
			d.sent[9].outcome, d.took, d.written, d.read = failed, d.took[:9], 9, 9
		}, ""},
		{"one is unsent, and arrived", func(d *direction) {
			d.sent[9].outcome, d.sent[9].way, d.unsent = queued, byOutbox, [][]byte{d.took[9]}
		}, "unsent, and also received"},
		{"one is unsent, and did not arrive", func(d *direction) {
			d.sent[9].outcome, d.sent[9].way, d.unsent = queued, byOutbox, [][]byte{d.took[9]}
			d.took, d.written, d.read = d.took[:9], 9, 9
		}, ""},
		{"one is unsent twice", func(d *direction) {
			d.sent[9].outcome, d.sent[9].way, d.unsent = queued, byOutbox, [][]byte{d.took[9], d.took[9]}
			d.took, d.written, d.read = d.took[:9], 9, 9
		}, "unsent, and also received or told"},
		{"one is unsent, though Send returned nil", func(d *direction) {
			d.unsent = [][]byte{d.took[9]}
			d.took, d.written, d.read = d.took[:9], 9, 9
		}, "though Send returned nil: 1/9"},
		{"unsent is what nobody sent", func(d *direction) { d.unsent = [][]byte{[]byte("something")} }, "unsent is what was never sent"},
		{"unsent is out of order", func(d *direction) {
			for _, m := range d.sent[8:] {
				m.outcome, m.way = queued, byOutbox
			}
			d.unsent = [][]byte{d.took[9], d.took[8]}
			d.took, d.written, d.read = d.took[:8], 8, 8
		}, "listed after a later one: 1/8"},
		{"one of the Outbox is neither here nor there", func(d *direction) {
			d.sent[9].outcome, d.sent[9].way = queued, byOutbox
			d.took, d.written, d.read = d.took[:9], 9, 9
		}, "10 messages were accepted to be sent, but 9 were written, and 0 are unsent"},
		{"the last is in doubt, and Err says so", func(d *direction) {
			d.took, d.read, d.err, d.inDoubt = d.took[:9], 9, err, true
		}, ""},
		{"the last is in doubt, and arrived", func(d *direction) { d.err, d.inDoubt = err, true }, ""},
		{"the last is in doubt, and Err does not say so", func(d *direction) {
			d.took, d.read, d.err = d.took[:9], 9, err
		}, "Err does not say that it is in doubt: broken"},
		{"two are in doubt", func(d *direction) {
			d.took, d.read, d.err, d.inDoubt = d.took[:8], 8, err, true
		}, "at most one may be in doubt"},
		{"not the last is in doubt", func(d *direction) {
			d.took, d.read, d.err, d.inDoubt = slices.Delete(d.took, 3, 4), 9, err, true
		}, ""}, // producers differ: which one was last is not known
		{"one is in doubt where none was written", func(d *direction) { *d = direction{err: err, inDoubt: true} }, "none was written"},
		{"more was read than written", func(d *direction) { d.written = 9 }, "10 messages were read, but only 9 wholly written"},
		{"more was received than read", func(d *direction) { d.written, d.read = 9, 9 }, "10 messages were received, but only 9 read"},
		{"one that the receiver held was dropped with it", func(d *direction) { d.took, d.mayDrop = d.took[:9], 1 }, ""},
		{"two were", func(d *direction) { d.took, d.mayDrop = d.took[:8], 1 }, "only 8 received"},
		{"a server drops what a handler has left", func(d *direction) { d.took, d.mayDrop = d.took[:5], -1 }, ""},
		{"a Writer spoilt one", func(d *direction) { d.took, d.spoilt = d.took[:9], 1 }, ""},
		{"a Send in doubt arrived", func(d *direction) { d.sent[9].outcome = inDoubt }, ""},
		{"a Send in doubt is unsent", func(d *direction) {
			d.sent[9].outcome, d.unsent = inDoubt, [][]byte{d.took[9]}
			d.took, d.written, d.read = d.took[:9], 9, 9
		}, ""},
		{"a Send in doubt is neither here nor there", func(d *direction) {
			d.sent[9].outcome = inDoubt
			d.took, d.written, d.read = d.took[:9], 9, 9
		}, "10 messages were accepted"},
		{"nothing went wrong, and one has failed", func(d *direction) {
			d.gentle = true
			d.sent[9].outcome, d.took, d.written, d.read = failed, d.took[:9], 9, 9
		}, "nothing went wrong, but 9 of 10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := conversation(2, 5)
			c.spoil(d)
			wrong := strings.Join(d.check(), "\n")
			if c.want == "" && wrong != "" || !strings.Contains(wrong, c.want) {
				t.Errorf("reported:\n%s\nexpected: %q", wrong, c.want)
			}
		})
	}
}

func TestEmptyMessagesAreCounted(t *testing.T) {
	for _, c := range []struct{ sent, took, want int }{{3, 3, 0}, {3, 4, 1}, {3, 2, 1}} {
		t.Run(fmt.Sprintf("%d sent, %d received", c.sent, c.took), func(t *testing.T) {
			d := &direction{written: uint64(c.sent), read: uint64(c.sent)}
			for range c.sent {
				d.sent = append(d.sent, &message{body: []byte{}, way: bySend, outcome: sent})
			}
			for range c.took {
				d.took = append(d.took, []byte{})
			}
			if wrong := d.check(); (len(wrong) > 0) != (c.want > 0) {
				t.Errorf("reported: %v", wrong)
			}
		})
	}
}
