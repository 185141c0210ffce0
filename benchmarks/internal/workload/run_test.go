package workload_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
	"github.com/tinyproto-go/tinyproto/benchmarks/internal/workload"
)

func TestEveryContestantDoesEveryWorkloadThatItTakesPartIn(t *testing.T) {
	for _, w := range workload.All(small) {
		for _, c := range contestant.All() {
			if c.Refuses(w.Settings) != "" {
				continue
			}
			t.Run(w.Name+"/"+c.Name, func(t *testing.T) {
				result, err := w.Run(t.Context(), c, workload.Plan{Duration: moment, Processes: 1})
				if err != nil {
					t.Fatal(err)
				}
				if result <= 0 && w.Kind != contestant.Idle { // 20 connections can hide in what was free before
					t.Errorf("%v %s", result, w.Unit)
				}
			})
		}
	}
}

// The workloads do not differ with the contestant, so a few are enough for the
// other process: one whose host is a server of links, one with a hub of its own,
// one without links.
func TestBothEndsMayBeInTwoProcesses(t *testing.T) {
	for _, test := range []struct{ workload, contestant string }{
		{"ping-pong-16B", "tinyproto-classic-send"},
		{"parallel-ping-pong-16B", "net-rpc"},
		{"one-way-1KiB", "tinyproto-classic-outbox"},
		{"duplex-1KiB", "grpc"},
		{"fan-out-64B", "nats"},
		{"burst-64B", "tinyproto-classic-outbox"},
		{"connects", "gorilla"},
	} {
		t.Run(test.workload+"/"+test.contestant, func(t *testing.T) {
			w := workloadNamed(t, test.workload)
			result, err := w.Run(t.Context(), named(t, test.contestant), workload.Plan{Duration: moment, Processes: 2})
			if err != nil || result <= 0 {
				t.Errorf("%v %s, error %v", result, w.Unit, err)
			}
		})
	}
}

func TestEveryReferenceIsAContestantThatTakesPart(t *testing.T) {
	for _, w := range workload.All(workload.Full) {
		for _, r := range w.References {
			for _, name := range []string{r.Name, r.Fresh} {
				if name == "" {
					continue
				}
				if reason := named(t, name).Refuses(w.Settings); reason != "" {
					t.Errorf("%s is set in relation to %s, which takes no part: %s", w.Name, name, reason)
				}
			}
		}
	}
}

func TestNamesOfWorkloadsAreUniqueAndFitForFiles(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range workload.All(workload.Full) {
		if seen[w.Name] || w.Name == "" || strings.ContainsAny(w.Name, "/ .") {
			t.Errorf("a workload is called %q", w.Name)
		}
		seen[w.Name] = true
	}
}

func TestALargerScaleHasLargerWorkloads(t *testing.T) {
	for _, w := range workload.All(workload.Full) {
		if w.Name == "one-way-64MiB" {
			return
		}
	}
	t.Error("no workload sends messages of 64 MiB")
}

// silent is a contestant whose host accepts links and does nothing with them.
func silent(t *testing.T) *contestant.Contestant {
	c := *named(t, "stream")
	listen := c.Listen
	c.Listen = func(s contestant.Settings, _ func(contestant.Link)) (*contestant.Host, error) {
		return listen(s, func(l contestant.Link) {
			for {
				if _, err := l.Receive(); err != nil {
					return
				}
			}
		})
	}
	return &c
}

func TestAnInterruptedRunEndsWithTheReason(t *testing.T) {
	for _, name := range []string{"ping-pong-16B", "one-way-1KiB", "duplex-1KiB", "connects"} {
		t.Run(name, func(t *testing.T) {
			why := errors.New("no more time")
			ctx, cancel := context.WithCancelCause(t.Context())
			defer time.AfterFunc(50*time.Millisecond, func() { cancel(why) }).Stop()
			_, err := workloadNamed(t, name).Run(ctx, silent(t), workload.Plan{Duration: moment, Processes: 1})
			if !errors.Is(err, why) {
				t.Errorf("error %v, expected one that matches %v", err, why)
			}
		})
	}
}

func TestARunInTwoProcessesEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(200*time.Millisecond, cancel).Stop()
	_, err := workloadNamed(t, "ping-pong-16B").Run(ctx, named(t, "stream"), workload.Plan{Duration: time.Hour, Processes: 2})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, expected that of the context", err)
	}
}

func TestAHostThatCannotStartIsAnError(t *testing.T) {
	why := errors.New("no host today")
	c := &contestant.Contestant{Name: "absent",
		Listen: func(contestant.Settings, func(contestant.Link)) (*contestant.Host, error) { return nil, why }}
	for _, name := range []string{"ping-pong-16B", "one-way-1KiB", "duplex-1KiB", "fan-out-64B", "connects"} {
		_, err := workloadNamed(t, name).Run(t.Context(), c, workload.Plan{Duration: moment, Processes: 1})
		if !errors.Is(err, why) {
			t.Errorf("%s: error %v, expected one that matches %v", name, err, why)
		}
	}
}

func TestAFarEndThatFailsInItsProcessIsAnErrorThatSaysSo(t *testing.T) {
	c := *named(t, "stream")
	c.Name = "unknown there"
	_, err := workloadNamed(t, "ping-pong-16B").Run(t.Context(), &c, workload.Plan{Duration: moment, Processes: 2})
	if want := "the process of the far end says no more"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, expected one with %q", err, want)
	}
}

func ExampleAll() {
	for _, w := range workload.All(workload.Full)[:2] {
		fmt.Printf("%s: %s, in %s\n", w.Name, w.Title, w.Unit)
	}
	// Output:
	// ping-pong-16B: Ping-pong, 16 B, in round trips/s
	// ping-pong-1KiB: Ping-pong, 1 KiB, in round trips/s
}
