// Command benchratio measures what package conn costs in relation to the loops
// that its benchmarks write by hand. On a busy machine one number says little,
// so it builds the test binary once and then runs every benchmark once per
// round: those that are compared with each other run one after the other, and
// only ratios of the same round are formed.
//
// It prints one Markdown table per workload, and takes any package whose
// benchmarks are named Benchmark<workload>/<way>/<size>, with more parts
// behind that where a way has variants, and that has the way floor-fresh.
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
	"regexp"
	"strings"
	"time"
)

const defaultPackage = "github.com/tinyproto-go/tinyproto/conn"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "benchratio:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("benchratio", flag.ContinueOnError)
	flags.SetOutput(stderr)
	rounds := flags.Int("rounds", 7, "how often to run each benchmark")
	benchtime := flags.String("benchtime", "300ms", "how `long` a benchmark runs in a round, or how often: 100x")
	flags.Usage = func() {
		fmt.Fprintf(stderr, "usage: benchratio [flags] [package]\n\n"+
			"Measures the benchmarks of a package, %s\nif none is named, in relation to their way floor-fresh.\n\n", defaultPackage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	pkg := defaultPackage
	switch {
	case flags.NArg() == 1:
		pkg = flags.Arg(0)
	case flags.NArg() > 1:
		return fmt.Errorf("one package at a time, not %d", flags.NArg())
	}
	if *rounds < 1 {
		return fmt.Errorf("-rounds must be at least 1, not %d", *rounds)
	}
	err := measure(ctx, pkg, *rounds, *benchtime, stdout, stderr)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

func measure(ctx context.Context, pkg string, rounds int, benchtime string, stdout, stderr io.Writer) error {
	dir, err := os.MkdirTemp("", "benchratio-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bench.test")
	if _, err := execute(ctx, stderr, "go", "test", "-c", "-o", binary, pkg); err != nil {
		return fmt.Errorf("building the benchmarks of %s: %w", pkg, err)
	}
	if _, err := os.Stat(binary); err != nil {
		return fmt.Errorf("%s has no tests", pkg)
	}

	// Once each, to learn what there is and whether it works.
	output, err := execute(ctx, stderr, binary, "-test.run=^$", "-test.bench=.", "-test.benchtime=1x")
	if err != nil {
		return fmt.Errorf("running the benchmarks: %w", err)
	}
	found := parse(output)
	if len(found) == 0 {
		return fmt.Errorf("%s has no benchmarks named Benchmark<workload>/<way>/<size>", pkg)
	}
	order := inOrder(found)

	var all []round
	for i := range rounds {
		fmt.Fprintf(stderr, "round %d of %d: %d benchmarks of %s\n", i+1, rounds, len(order), benchtime)
		r := round{}
		for k := range order {
			if i%2 == 1 { // whoever runs second has no lasting advantage
				k = len(order) - 1 - k
			}
			bench := order[k]
			output, err := execute(ctx, stderr, binary, "-test.run=^$", "-test.bench="+bench.pattern(), "-test.benchmem", "-test.benchtime="+benchtime)
			if err != nil {
				return fmt.Errorf("running %s: %w", bench, err)
			}
			results := parse(output)
			if len(results) != 1 || results[0].benchmark != bench {
				return fmt.Errorf("running %s gave %d results:\n%s", bench, len(results), output)
			}
			r[bench] = results[0].figures
		}
		all = append(all, r)
	}
	return printTables(stdout, order, all)
}

// execute runs a program to its end, or to that of ctx, and returns what it
// printed.
func execute(ctx context.Context, stderr io.Writer, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = stderr
	cmd.Cancel = func() error {
		// Interrupted, the go command ends its compilers too. Where there is no
		// such signal, it is killed.
		if err := cmd.Process.Signal(os.Interrupt); err == nil || errors.Is(err, os.ErrProcessDone) {
			return err
		}
		return cmd.Process.Kill()
	}
	cmd.WaitDelay = 5 * time.Second // and then it is killed
	output, err := cmd.Output()
	if err != nil && len(output) > 0 {
		err = fmt.Errorf("%w\n%s", err, strings.TrimSpace(string(output)))
	}
	return string(output), err
}

// pattern returns what to give to -test.bench to run this benchmark alone.
func (b benchmark) pattern() string {
	parts := strings.Split(b.String(), "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(parts, "/")
}
