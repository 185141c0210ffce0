package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
	"github.com/tinyproto-go/tinyproto/benchmarks/internal/workload"
)

// event is one workload and those who take part in it.
type event struct {
	workload *workload.Workload
	entrants []*contestant.Contestant
	absent   []absence
}

// absence is one contestant that takes no part, and why.
type absence struct {
	contestant *contestant.Contestant
	reason     string
}

// selected returns the events whose names match, such as one-way-16B/nats.
func selected(match *regexp.Regexp, workloads []*workload.Workload, contestants []*contestant.Contestant) []*event {
	var events []*event
	for _, w := range workloads {
		e := &event{workload: w}
		for _, c := range contestants {
			if !match.MatchString(w.Name + "/" + c.Name) {
				continue
			}
			if reason := c.Refuses(w.Settings); reason != "" {
				e.absent = append(e.absent, absence{c, reason})
			} else {
				e.entrants = append(e.entrants, c)
			}
		}
		if len(e.entrants) > 0 {
			events = append(events, e)
		}
	}
	return events
}

func printList(w io.Writer, events []*event) error {
	for _, e := range events {
		for _, c := range e.entrants {
			if _, err := fmt.Fprintf(w, "%s/%s\n", e.workload.Name, c.Name); err != nil {
				return err
			}
		}
		for _, a := range e.absent {
			if _, err := fmt.Fprintf(w, "%s/%s: left out: %s\n", e.workload.Name, a.contestant.Name, a.reason); err != nil {
				return err
			}
		}
	}
	return nil
}

// result is what an event gave.
type result struct {
	*event
	values map[string][]float64 // by contestant: of each round, in the workload's unit
	failed map[string]error     // by contestant
}

// idleRounds is how often memory is measured, which varies little, at most.
const idleRounds = 3

// competition is a run of events.
type competition struct {
	events   []*event
	plan     workload.Plan
	rounds   int
	progress *progress
}

func (c *competition) roundsOf(e *event) int {
	if e.workload.Kind == contestant.Idle {
		return min(c.rounds, idleRounds)
	}
	return c.rounds
}

// run runs all events. Who fails takes no further part in that event; the error
// says who that was. It ends early with ctx.
func (c *competition) run(ctx context.Context) ([]result, error) {
	steps := 0
	for _, e := range c.events {
		steps += len(e.entrants) * c.roundsOf(e)
	}
	c.progress.start(steps)
	defer c.progress.end()
	var results []result
	var errs []error
	for _, e := range c.events {
		r := c.runEvent(ctx, e)
		for _, entrant := range e.entrants {
			if err := r.failed[entrant.Name]; err != nil {
				errs = append(errs, fmt.Errorf("%s/%s: %w", e.workload.Name, entrant.Name, err))
			}
		}
		results = append(results, r)
	}
	return results, errors.Join(errs...)
}

// runEvent has the entrants take turns. Each round begins with another one, so
// that nobody always follows the same one.
func (c *competition) runEvent(ctx context.Context, e *event) result {
	r := result{e, map[string][]float64{}, map[string]error{}}
	n := len(e.entrants)
	rounds := c.roundsOf(e)
	for round := range rounds {
		for i := range n {
			if ctx.Err() != nil {
				return r
			}
			entrant := e.entrants[(round*(n/rounds+1)+i)%n]
			c.progress.step(e.workload.Name + "/" + entrant.Name)
			if r.failed[entrant.Name] != nil {
				continue
			}
			value, err := e.workload.Run(ctx, entrant, c.plan)
			if err != nil {
				r.failed[entrant.Name] = err
				continue
			}
			r.values[entrant.Name] = append(r.values[entrant.Name], value)
		}
	}
	return r
}
