// Command verifymodel has SPIN search the models of the protocol. The files
// testdata/model/*.runs say which configurations of a model are searched, and
// what has to come of each: that all its properties hold, that the mutant of a
// rule is caught by one of them, or that a situation is reached.
//
// Before that it checks that what the models name in the Go code exists, and
// that the code names the same rule.
//
// It needs spin and gcc, and installs nothing. It fails if anything comes out
// otherwise than a .runs file says, or if a search was not complete.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "verifymodel:", err)
		os.Exit(1)
	}
}

// legend is what the first column of a run's result stands for.
const legend = `safety    no misparse, no violation of the protocol, every message once and in order, nothing
          overrun (an Inbox, four pending items), no CONFLICT twice without a message in between,
          no reset of unread input, no deadlock
progress  no livelock: no cycle in which no message is received
fair      no message is put off for ever, whatever the other direction does, under weak fairness
`

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("verifymodel", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("root", ".", "the `directory` of the module")
	jobs := flags.Int("jobs", min(2, runtime.NumCPU()), "how many searches run at a time; each may take 1.9 GB")
	limit := flags.Duration("limit", 10*time.Minute, "how long one search may take")
	flags.Usage = func() {
		fmt.Fprintf(stderr, "usage: verifymodel [flags] [run...]\n\n"+
			"Searches the models of the protocol: all configurations, or those whose\nnames begin with one of the arguments.\n\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := needed("spin", "gcc"); err != nil {
		return err
	}
	dir, err := filepath.Abs(filepath.Join(*root, "testdata", "model"))
	if err != nil {
		return err
	}
	all, err := readRuns(dir)
	if err != nil {
		return err
	}
	chosen := choose(all, flags.Args())
	if len(chosen) == 0 {
		return fmt.Errorf("no run in %s has a name that begins with %s", dir, strings.Join(flags.Args(), " or "))
	}
	names, err := checkNames(*root, dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d functions that the models name exist, and name the same rules.\n\n%s", names, legend)
	s := &searcher{limit: *limit, slots: make(chan struct{}, max(1, *jobs))}
	return report(ctx, s, chosen, stdout)
}

// needed reports which of the programs are missing, and how to get them.
func needed(programs ...string) error {
	var missing []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("%s not found: the models are searched with spin and gcc; Debian and Ubuntu have them: "+
		"apt-get install spin gcc libc6-dev", strings.Join(missing, " and "))
}

// report searches and prints a line for each run, in their order.
func report(ctx context.Context, s *searcher, runs []verification, stdout io.Writer) error {
	begun := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer s.wait()
	defer cancel()
	results := s.start(ctx, runs)
	var states int64
	count := map[string]int{}
	failed := 0
	group := ""
	for i, v := range runs {
		if v.Group != group {
			group = v.Group
			fmt.Fprintf(stdout, "\n%s\n%-44s %12s %9s %8s %8s  %s\n", group, "", "states", "depth", "memory", "CPU", "result")
		}
		r := <-results[i]
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		states += r.States
		verdict, err := v.judge(r)
		if err != nil {
			failed++
			verdict = "FAILED: " + err.Error()
		} else {
			count[v.kind()]++
		}
		fmt.Fprintf(stdout, "%-44s %12s %9s %5.0f MB %6.1f s  %s\n",
			v.Name, grouped(r.States), grouped(r.Depth), r.Megabytes, r.CPU.Seconds(), verdict)
		if err != nil && r.Dir != "" {
			fmt.Fprintf(stdout, "    left in %s; what led to it: cd there, and %s\n", r.Dir, v.replay())
		}
	}
	fmt.Fprintf(stdout, "\nconfigurations that hold: %d, mutants caught: %d, situations reached: %d, failed: %d; %s states in %.0f s (%.0f s of CPU time)\n",
		count["holds"], count["caught"], count["reached"], failed, grouped(states),
		time.Since(begun).Seconds(), time.Duration(s.cpu.Load()).Seconds())
	if failed > 0 {
		return fmt.Errorf("%d of %d runs failed", failed, len(runs))
	}
	return nil
}

// grouped is n with a comma between each three digits.
func grouped(n int64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
