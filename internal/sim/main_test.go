package main

import (
	"bytes"
	"flag"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	debug.SetTraceback("all") // if a run crashes, its seed is the second argument of play
	leaktest.Main(m)
}

var (
	seeds = flag.Uint64("seeds", 200, "how many seeds the test runs")
	from  = flag.Uint64("from", 1, "its first seed")
)

func TestEverySeedKeepsThePromises(t *testing.T) {
	total := newCounts()
	for n := *from; n < *from+*seeds; n++ {
		r := play(t, seed{number: n}, nil)
		if total.add(r.counts); len(r.violated) > 0 {
			t.Fatal(r)
		}
	}
	t.Log(total)
}

func TestTheSeedsThatOnceFailedDoNoMore(t *testing.T) {
	all, err := parseSeeds(regressions)
	if err != nil {
		t.Fatal(err)
	}
	for _, seed := range all {
		if r := play(t, seed, nil); len(r.violated) > 0 {
			t.Error(r)
		}
	}
}

func TestAListOfSeedsHasOneALine(t *testing.T) {
	got, err := parseSeeds("# about\n12 classic # found this\n\n  7\n")
	if diff := cmp.Diff([]seed{{number: 12, classic: true}, {number: 7}}, got, cmp.AllowUnexported(seed{})); err != nil || diff != "" {
		t.Errorf("error %v, seeds (-want +got):\n%s", err, diff)
	}
	if _, err := parseSeeds("1\nx # not a number\n"); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("error %v, expected one about line 2", err)
	}
}

// The connections of a seed are those of the time before pipelined mode, but for
// what that needs.
func TestASeedDrawsTheSameConnectionsInEitherMode(t *testing.T) {
	for n := range uint64(100) {
		p := seed{number: n}.draw()
		for _, o := range p.options() {
			o.pipelined = false
			o.takeWindow(optionsPlan{})
		}
		if want := (seed{number: n, classic: true}).draw(); !reflect.DeepEqual(want, p) {
			t.Fatalf("seed %d draws in classic mode:\n%v\nexpected\n%v", n, p, want)
		}
	}
}

func TestASeedAlwaysDrawsTheSamePlan(t *testing.T) {
	for seed := range uint64(100) {
		a, b := draw(seed), draw(seed)
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d draws two plans:\n%v\n%v", seed, a, b)
		}
		if reflect.DeepEqual(a, draw(seed+1)) {
			t.Errorf("seeds %d and %d draw the same plan", seed, seed+1)
		}
	}
}

// options returns the options of all ends.
func (p *plan) options() []*optionsPlan {
	all := []*optionsPlan{&p.relay.near, &p.relay.far}
	for _, c := range p.clients {
		all = append(all, &c.dialer.options, &c.served.options)
	}
	return all
}

// What is never drawn is never tested.
func TestTheSeedsDrawAllThereIs(t *testing.T) {
	total := newCounts()
	modes := map[bool]int{}
	options := map[string]bool{}
	for seed := range uint64(500) {
		p := draw(seed)
		modes[p.clients[0].dialer.options.pipelined]++
		total.topologies[p.topology]++
		for _, part := range []any{p.network, p.server, p.hub, p.relay} {
			note(options, reflect.ValueOf(part))
		}
		for _, f := range p.faults {
			total.faults[f.kind]++
		}
		for _, c := range p.clients {
			for _, e := range []*endPlan{c.dialer, c.served} {
				total.ends[e.finish.kind]++
				note(options, reflect.ValueOf(*e))
			}
		}
	}
	if len(modes) != 2 || len(total.topologies) != 4 || len(total.faults) != 6 || len(total.ends) != 9 {
		t.Errorf("not all is drawn: %v", total)
	}
	for name, set := range options {
		if !set {
			t.Errorf("%s is never drawn", name)
		}
	}
}

// note notes which fields of a struct are set.
func note(seen map[string]bool, v reflect.Value) {
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Name, v.Field(i)
		if f.Kind() == reflect.Struct {
			note(seen, f)
			continue
		}
		seen[name] = seen[name] || !f.IsZero()
	}
}

func TestAFailureIsReportedWithAllThatIsKnown(t *testing.T) {
	var out bytes.Buffer
	o := options{from: 1, seeds: 30, repeat: 1, spoil: func(w *world) {
		w.spoil = func(e *endpoint, body []byte) [][]byte { return [][]byte{body, body} }
	}}
	if o.run(t, &out, &out) {
		t.Fatal("runs in which everything is delivered twice are all right")
	}
	for _, part := range []string{
		"failed:\n", "sent 1 times, but received 2 times", // what
		"plan: ", "  network: ", // the plan
		": dial\n", ": write ", // the network
		"received 1/", // the applications
		"again: go run ./internal/sim -seed ",
		" had to lose nothing; 1 failed;",
		"failed: [",
	} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("%q is not in the report", part)
		}
	}
}
