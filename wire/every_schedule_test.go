package wire_test

import (
	"errors"
	"testing"

	"github.com/tinyproto-go/tinyproto/wire"
)

// explore makes every move in every order, and returns how many states there
// are, the most CONFLICTs that one order had, and the first error. The ledgers
// count the bytes that they parse, so no state comes twice: a conversation that
// goes round in circles would not end here.
func explore(start *pair) (states, conflicts int, err error) {
	known := map[state]bool{stateOf(start): true}
	for todo := []*pair{start}; len(todo) > 0; {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		possible := p.moves(0, 1, everything)
		if len(possible) == 0 {
			conflicts = max(conflicts, conflictsIn(p))
			if err := p.finished(); err != nil {
				return len(known), conflicts, err
			}
		}
		for _, m := range possible {
			after := p.clone()
			if err := after.do(m); err != nil {
				return len(known), conflicts, err
			}
			if k := stateOf(after); !known[k] {
				known[k] = true
				todo = append(todo, after)
			}
		}
	}
	return len(known), conflicts, nil
}

// state is all that the future depends on. What is noted, owed and expected
// follows from it.
type state struct {
	ledgers [2]wire.Ledger
	busy    [2]bool
	offered [2]bool
	rest    string
}

func stateOf(p *pair) state {
	var s state
	var rest []byte
	field := func(text string) { rest = append(append(rest, byte(len(text))), text...) }
	list := func(texts []string) {
		rest = append(rest, byte(len(texts)))
		for _, text := range texts {
			field(text)
		}
	}
	for i := range p {
		e := &p[i]
		s.ledgers[i], s.busy[i], s.offered[i] = e.ledger, e.busy, e.offered
		field(string(e.input))
		field(e.sending)
		list(e.inbox)
		list(e.app.queue)
		list(e.app.later)
		rest = append(rest, byte(e.app.echo))
	}
	s.rest = string(rest)
	return s
}

func TestEveryScheduleOfAShortConversationDeliversAll(t *testing.T) {
	for _, tt := range []struct {
		name string
		pair *pair
		// conflict is whether there is a schedule with a CONFLICT.
		conflict bool
	}{
		{
			"both send on their own",
			independent(1, 1, noLimit, noLimit, []string{"\xff", "", "\xfd\xff"}, []string{"\x00", "\xfc"}), true,
		},
		{
			"both send nothing but empty messages",
			independent(1, 1, noLimit, noLimit, []string{"", "", ""}, []string{"", "", ""}), true,
		},
		{
			"some messages are refused",
			independent(1, 1, 1, 0, []string{"\xff", "", "\xfd", ""}, []string{"\xff\xff", "\xff", "\xfc\xfd", ""}), true,
		},
		{
			"one echoes, the other has one message on the way",
			echoing(1, 1, 1, []string{"\xff", "", "\xfd"}), false,
		},
		{
			"one echoes, the other has as many messages on the way as there are places",
			echoing(1, 1, buffers, []string{"\xff", "", "\xfd", "\xfc", "", "\xff"}), true,
		},
		{
			"one echoes, the other sends on its own",
			streaming(1, 1, []string{"\xff", "", "\xfd", "\xfc", "\x00"}), true,
		},
		{
			"messages go round, as many as there are places",
			circulating(1, 1, 2, []string{"\xff", "", "\xfd"}, []string{"", "\xfc"}), true,
		},
		{
			"messages go round, an inbox has room for two",
			circulating(2, 1, 1, []string{"\xff", "", "\xfd"}, []string{"", "\xfc", "\x00"}), true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			states, conflicts, err := explore(tt.pair)
			if err != nil {
				t.Error(err)
			}
			if got := conflicts > 0; got != tt.conflict {
				t.Errorf("%d states with up to %d times CONFLICT", states, conflicts)
			}
		})
	}
}

// R4 can't help where more is on the way than there are places. That this is
// found also shows that the tests above would find a deadlock.
func TestWithMoreOnTheWayThanPlacesSomeScheduleDeadlocks(t *testing.T) {
	a, b := []string{"\xff", "", "\xfd"}, []string{"", "\xfc", "\x00"}
	if len(a)+len(b) != buffers+1 {
		t.Fatalf("%d messages for %d places", len(a)+len(b), buffers)
	}
	states, _, err := explore(circulating(1, 1, 1, a, b))
	if !errors.Is(err, errDeadlock) {
		t.Errorf("no deadlock in %d states, but: %v", states, err)
	}
}
