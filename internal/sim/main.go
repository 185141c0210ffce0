// Command sim runs programs that use this module in a simulated world: a
// network in memory, package tinytest, and a clock that jumps, testing/synctest.
// What happens in a run is drawn from its seed: who connects to whom and with
// which options (a pair, a server with clients, a hub with members, a relay),
// what they send and how they receive it, what goes wrong on the network and
// when, and how it all ends. It then checks that
//
//   - every message arrived once, in order and unchanged; or is in Unsent, or its
//     sender was told; or is the one that is in doubt, of which Err says so;
//   - in pipelined mode, which a part of the connections asks for, every message
//     that was answered was handed to the application; all others are in Unsent, or
//     their senders were told, and none of them arrived twice or out of order;
//   - no goroutine is left, and every call returned within the time that it is
//     bounded by (Close: at once; the end of a context: its grace period);
//   - a connection keeps no more messages and bytes than its options allow;
//   - every error has a name, and a reason in what happened;
//   - where nothing goes wrong, nothing is lost and nothing is an error.
//
// Three things are allowed for, as the protocol can't do better: Err is nil,
// though the last message is in doubt, when the peer did not end its stream within
// 1 s of ours (PROTOCOL.md section 6), and when something else than the peer
// ended the peer's stream, which looks like its graceful end; and a connection
// that breaks behind the first byte of a size, 0x00, calls it ERROR.
//
// What is not simulated: TLS and sockets, with what package conn does for them
// alone (a write without waiting, the copying of files by the operating system);
// peers that break the protocol; processes that die.
//
// Usage:
//
//	go run ./internal/sim -seeds 20000 -from 1
//	go run ./internal/sim -seed 17 -repeat 20 -trace
//	go run ./internal/sim -seed 17 -classic
//
// A run that fails is printed: what is wrong, the plan, and all that happened on
// the network and in the applications. Append its seed to testdata/seeds.txt:
// the tests run those always.
//
// # How far a run can be repeated
//
// The plan and what the network draws come from the seed alone. The order in
// which goroutines run that can run at the same moment is Go's: neither its
// scheduler nor the choice of a select nor the order of timers that are due at
// the same instant can be seeded. Sim runs on one processor (GOMAXPROCS), which
// repeats most runs, and -repeat tries the others. The race detector makes the
// scheduler choose at random, so the same seeds find more with it:
//
//	go run -race ./internal/sim -seeds 2000
//
// If a run crashes the program, its seed is the second argument of main.play in
// the stack of the test's goroutine.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func main() {
	flags := flag.NewFlagSet("sim", flag.ContinueOnError)
	var o options
	flags.Uint64Var(&o.from, "from", 1, "the first `seed`")
	flags.Uint64Var(&o.seeds, "seeds", 1000, "`how many` seeds")
	flags.IntVar(&o.repeat, "repeat", 1, "`how often` to run each seed")
	flags.BoolVar(&o.keep, "keep", false, "go on after a failure")
	flags.BoolVar(&o.trace, "trace", false, "show what happened also if nothing was wrong")
	flags.BoolVar(&o.classic, "classic", false, "nobody asks for pipelined mode")
	number := flags.Uint64("seed", 0, "one `seed` alone")
	switch err := flags.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil || flags.NArg() > 0:
		os.Exit(2)
	}
	if *number != 0 {
		o.from, o.seeds = *number, 1
	}
	debug.SetTraceback("all")
	// A bubble needs a test, which only package testing makes.
	testing.Init()
	flag.CommandLine.Parse(nil)
	testing.Main(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: "sim", F: func(t *testing.T) {
		runtime.GOMAXPROCS(1)
		if !o.run(t, os.Stdout, os.Stderr) {
			os.Exit(1)
		}
		os.Exit(0)
	}}}, nil, nil)
}

// options are the flags.
type options struct {
	from, seeds uint64
	repeat      int
	keep, trace bool
	classic     bool
	spoil       func(*world) // for tests
}

// run runs the seeds, and reports whether all went well.
func (o *options) run(t *testing.T, stdout, stderr io.Writer) bool {
	began, told := time.Now(), time.Now()
	total := newCounts()
	var failed []uint64
	for n := o.from; n < o.from+o.seeds; n++ {
		for range o.repeat {
			r := play(t, seed{number: n, classic: o.classic}, o.spoil)
			total.add(r.counts)
			switch {
			case len(r.violated) > 0:
				total.failed++
				fmt.Fprintln(stdout, r)
				if len(failed) == 0 || failed[len(failed)-1] != n {
					failed = append(failed, n)
				}
			case o.trace:
				fmt.Fprintln(stdout, r.story())
			}
			if total.failed > 0 && !o.keep {
				break
			}
		}
		if total.failed > 0 && !o.keep {
			break
		}
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			fmt.Fprintf(stderr, "sim: %d of %d seeds after %v\n", n-o.from+1, o.seeds, time.Since(began).Round(time.Second))
		}
	}
	fmt.Fprintf(stdout, "%vin %v\n", total, time.Since(began).Round(time.Millisecond))
	if len(failed) > 0 {
		fmt.Fprintf(stdout, "failed: %v\n", failed)
	}
	return len(failed) == 0
}
