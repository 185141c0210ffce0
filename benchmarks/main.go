// Command benchmarks compares this library with what a user would pick instead,
// and with the least that a program can do over TCP. All do the same workloads;
// they take turns, in several rounds, so that all of them meet the same machine;
// and each message is verified. It prints tables of medians, with the ratios to
// reference contestants of the same round.
//
// With -processes 2 the ends of the connections are in two processes, for which
// it starts itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"time"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
	"github.com/tinyproto-go/tinyproto/benchmarks/internal/workload"
	"github.com/tinyproto-go/tinyproto/internal/filelimit"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second interrupt ends what does not end by itself
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) == 2 && args[0] == workload.FarFlag {
		return workload.ServeFar(args[1], stdin, stdout)
	}
	flags := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("run", "", "run only what this `regexp` matches, of names such as one-way-16B/nats (see -list); "+
		"a reference that is left out gives no ratios")
	rounds := flags.Int("rounds", 5, "how often each contestant does each workload")
	duration := flags.Duration("time", 300*time.Millisecond, "how long it does it each time, after a warm-up of a tenth of that")
	processes := flags.Int("processes", 1, "1: both ends of the connections in one process; 2: in two")
	markdown := flags.Bool("markdown", false, "print Markdown, instead of text for a terminal")
	plots := flags.String("plots", "", "draw each table as an SVG file in this `directory`, too")
	list := flags.Bool("list", false, "list what would be run, and what is left out, and why")
	if err := flags.Parse(args); err != nil {
		return err
	}
	match, err := regexp.Compile(*only)
	switch {
	case err != nil:
		return fmt.Errorf("-run: %w", err)
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *rounds < 1:
		return fmt.Errorf("-rounds must be at least 1, not %d", *rounds)
	case *duration <= 0:
		return fmt.Errorf("-time must be positive, not %v", *duration)
	case *processes != 1 && *processes != 2:
		return fmt.Errorf("-processes must be 1 or 2, not %d", *processes)
	}
	events := selected(match, workload.All(workload.Full), contestant.All())
	if len(events) == 0 {
		return fmt.Errorf("nothing matches %q; -list lists the names", *only)
	}
	if *list {
		return printList(stdout, events)
	}
	if err := filelimit.Raise(filesNeeded(events, *processes)); err != nil {
		return fmt.Errorf("%w; choose other workloads with -run", err)
	}
	if *plots != "" { // not after all the work
		if err := os.MkdirAll(*plots, 0o777); err != nil {
			return err
		}
	}
	c := competition{events: events, rounds: *rounds, progress: newProgress(stderr),
		plan: workload.Plan{Duration: *duration, Processes: *processes}}
	results, failed := c.run(ctx)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	r := report{results: results, plan: c.plan, rounds: c.rounds, facts: machineFacts()}
	if err := r.print(stdout, *markdown); err != nil {
		return errors.Join(err, failed)
	}
	if *plots != "" {
		if err := drawAll(*plots, results); err != nil {
			return errors.Join(err, failed)
		}
	}
	return failed
}

// spareFiles is more than a process needs besides its connections.
const spareFiles = 256

// filesNeeded returns how many files a process has open at once. A process of
// a NATS host has two connections a link.
func filesNeeded(events []*event, processes int) uint64 {
	most := 0
	for _, e := range events {
		n := 2 * e.workload.Links
		if processes == 1 && e.workload.Kind != contestant.Idle {
			n += e.workload.Links
		}
		most = max(most, n)
	}
	return uint64(most + spareFiles)
}
