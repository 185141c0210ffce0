package main

import (
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
	"github.com/tinyproto-go/tinyproto/benchmarks/internal/workload"
)

var smallScale = workload.Scale{Members: 2, Parallel: 2, Idle: 2, Largest: 1 << 10}

func TestSelectedEventsAreThoseWhoseNamesMatch(t *testing.T) {
	events := selected(regexp.MustCompile("^(duplex-1KiB|connects)/(lockstep|nats|stream)$"), workload.All(smallScale), contestant.All())
	got := map[string][]string{}
	for _, e := range events {
		for _, c := range e.entrants {
			got[e.workload.Name] = append(got[e.workload.Name], c.Name)
		}
		for _, a := range e.absent {
			got[e.workload.Name] = append(got[e.workload.Name], "not "+a.contestant.Name)
		}
	}
	want := map[string][]string{
		"duplex-1KiB": {"stream", "nats", "not lockstep"},
		"connects":    {"stream", "lockstep", "not nats"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestAWorkloadWithoutEntrantsIsNoEvent(t *testing.T) {
	if events := selected(regexp.MustCompile("^duplex-1KiB/lockstep$"), workload.All(smallScale), contestant.All()); len(events) > 0 {
		t.Errorf("%d events", len(events))
	}
}

func TestContestantsTakeTurnsInEveryRound(t *testing.T) {
	var order []string
	e := &event{workload: workload.All(smallScale)[0]}
	why := errors.New("only who is asked matters")
	for _, name := range []string{"a", "b", "c"} {
		stream, err := contestant.Named("stream")
		if err != nil {
			t.Fatal(err)
		}
		c := *stream
		c.Name = name
		listen := c.Listen
		c.Listen = func(s contestant.Settings, handle func(contestant.Link)) (*contestant.Host, error) {
			order = append(order, name)
			if name == "b" {
				return nil, why
			}
			return listen(s, handle)
		}
		e.entrants = append(e.entrants, &c)
	}
	c := competition{events: []*event{e}, rounds: 3, progress: &progress{}, plan: workload.Plan{Duration: time.Millisecond, Processes: 1}}
	results, err := c.run(t.Context())
	if !errors.Is(err, why) {
		t.Errorf("error %v, expected that of b", err)
	}
	// Each round begins with another one, and b is not asked again.
	if diff := cmp.Diff([]string{"a", "b", "c", "c", "a", "c", "a"}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	counts := map[string]int{}
	for name, values := range results[0].values {
		counts[name] = len(values)
	}
	if diff := cmp.Diff(map[string]int{"a": 3, "c": 3}, counts); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if got := results[0].failed["b"]; !errors.Is(got, why) {
		t.Errorf("b failed with %v", got)
	}
}
