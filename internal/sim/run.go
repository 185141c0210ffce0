package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// result is what a run came to.
type result struct {
	seed     seed
	violated []string      // what must not happen, and did
	story    func() string // the plan, and what happened
	counts   counts
}

// realPatience is how long a run may take by the clock of the machine.
const realPatience = 2 * time.Minute

// play runs the plan of a seed in a bubble of its own. Spoil, if set, makes the
// world do something wrong, for a test of the checks.
func play(t *testing.T, s seed, spoil func(*world)) *result {
	p := s.draw()
	r := &result{seed: s, counts: newCounts()}
	var w *world
	// A run that spins, or waits for something outside of its bubble, does not
	// end by itself.
	stuck := time.AfterFunc(realPatience, func() {
		fmt.Fprintf(os.Stderr, "seed %v has not ended after %v\n\n%v\n%s\n%v", s, realPatience, p, bubbleStacks(), w.story())
		os.Exit(3)
	})
	defer stuck.Stop()
	func() {
		defer func() { // synctest panics when what is left can never go on
			if v := recover(); v != nil {
				r.violated = append(r.violated, fmt.Sprintf("goroutines are left: %v\n%s", v, bubbleStacks()))
			}
		}()
		synctest.Test(t, func(*testing.T) {
			w = newWorld(p)
			if spoil != nil {
				spoil(w)
			}
			w.run()
			r.counts = w.count()
			r.violated = w.violated
		})
	}()
	r.story = func() string { return fmt.Sprintf("%v\n%s", p, w.story()) }
	return r
}

// String is the report of a run that failed.
func (r *result) String() string {
	again := ""
	if r.seed.classic {
		again = " -classic"
	}
	return fmt.Sprintf("seed %v failed:\n  %s\n\n%s\nagain: go run ./internal/sim -seed %d%s -repeat 20\n",
		r.seed, strings.Join(r.violated, "\n  "), r.story(), r.seed.number, again)
}

// story is what happened.
func (w *world) story() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}
