package wire_test

import (
	"errors"
	"slices"
	"testing"
)

// exploreTalk makes every move in every order, and returns how many states there
// are, and the first error. A Pipeline can't be copied: each state is reached anew.
func exploreTalk(start func() *talk) (int, error) {
	known := map[string]bool{}
	for todo := [][]move{nil}; len(todo) > 0; {
		path := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		p := start()
		for i, m := range path {
			make := p.apply
			if i == len(path)-1 {
				make = p.do
			}
			if err := make(m); err != nil {
				return len(known), err
			}
		}
		state := p.String()
		if known[state] {
			continue
		}
		known[state] = true
		possible := p.moves(1, everything)
		if len(possible) == 0 {
			if err := p.finished(); err != nil {
				return len(known), err
			}
		}
		for _, m := range possible {
			todo = append(todo, append(slices.Clone(path), m))
		}
	}
	return len(known), nil
}

func TestEveryScheduleOfAShortTalkDeliversAll(t *testing.T) {
	for _, tt := range []struct {
		name string
		a, b talker
	}{
		{
			"one sends, with room for one message",
			talker{grants: window(1, noLimit), room: 1, app: application{queue: []string{"\xff", "", "\x00\xf4"}}},
			talker{grants: window(1, noLimit), room: 1},
		},
		{
			"one sends, with room for two messages",
			talker{grants: window(1, noLimit), room: 1, app: application{queue: []string{"\xff", "", "\x00\xf4"}}},
			talker{grants: window(2, noLimit), room: 1},
		},
		{
			"both send, a byte at a time",
			talker{grants: window(9, 1), room: 1, app: application{queue: []string{"\xff"}}},
			talker{grants: window(9, 1), room: 1, app: application{queue: []string{"\xf4"}}},
		},
		{
			"every second message is refused",
			talker{grants: window(1, noLimit), room: 1, app: application{queue: []string{"\xff", "", "\xfc"}}},
			talker{grants: window(2, noLimit), room: 1, picky: 2},
		},
		{
			"one echoes, the other has a window of 0 bytes",
			talker{grants: window(9, 0), room: 1, app: application{alone: true, queue: []string{"\xff", ""}}},
			talker{grants: window(2, noLimit), room: 1, app: application{alone: true, echo: 2}},
		},
		{
			"one says BYE before its echo has come",
			talker{grants: window(1, noLimit), room: 1, leaves: true, app: application{queue: []string{"\xff"}}},
			talker{grants: window(1, noLimit), room: 1, app: application{echo: 1}},
		},
		{
			"one sends, both say PING",
			talker{grants: window(1, noLimit), room: 1, pings: 1, app: application{queue: []string{""}}},
			talker{grants: window(1, noLimit), room: 1, pings: 1},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			states, err := exploreTalk(func() *talk { return talking(tt.a.copied(), tt.b.copied()) })
			if err != nil {
				t.Error(err)
			}
			t.Logf("%d states", states)
		})
	}
}

// copied returns an end that shares nothing that changes.
func (e talker) copied() talker {
	e.app.queue = slices.Clone(e.app.queue)
	return e
}

// An application that sends more than all buffers on the way hold before it reads
// its first reply waits for ever. That this is found also shows that the tests
// above would find a deadlock.
func TestWithMoreOnTheWayThanBothWindowsSomeScheduleDeadlocks(t *testing.T) {
	sent := []string{"", "", "", "", "", "", "", ""}
	states, err := exploreTalk(func() *talk {
		return talking(
			talker{grants: window(1, noLimit), room: 1, app: application{alone: true, queue: slices.Clone(sent)}},
			talker{grants: window(1, noLimit), room: 1, app: application{alone: true, echo: len(sent)}},
		)
	})
	if !errors.Is(err, errDeadlock) {
		t.Errorf("no deadlock in %d states, but: %v", states, err)
	}
}
