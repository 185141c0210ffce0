package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asCommand, in the environment, makes the test binary the command itself.
const asCommand = "BENCHRATIO_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Unsetenv(asCommand) // the binaries that it starts are nothing but themselves
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestTablesShowEveryBenchmarkInRelationToItsFloor(t *testing.T) {
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), []string{"-rounds", "2", "-benchtime", "1x", "./testdata/steady"}, &stdout, &stderr)
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	want := `Copy: medians of 2 rounds, ratios to floor-fresh of the same round

| bytes | way | ns/op | allocs/op | ratio | min to max |
|--:|:--|--:|--:|--:|:-:|
| 16 | floor-reuse | 50 | 0 | 0.50 | 0.50 to 0.50 |
| 16 | floor-fresh | 100 | 1 | 1.00 | 1.00 to 1.00 |
| 16 | way buffer=0 | 150 | 2 | 1.50 | 1.50 to 1.50 |
| 16 | way buffer=16 | 125 | 2 | 1.25 | 1.25 to 1.25 |
| 1024 | floor-reuse | 400 | 0 | 0.80 | 0.80 to 0.80 |
| 1024 | floor-fresh | 500 | 1 | 1.00 | 1.00 to 1.00 |
| 1024 | way buffer=0 | 1000 | 3 | 2.00 | 2.00 to 2.00 |
| 1024 | way buffer=16 | 750 | 3 | 1.50 | 1.50 to 1.50 |

Alone: medians of 2 rounds, ratios to floor-fresh of the same round

| bytes | way | ns/op | allocs/op | ratio | min to max |
|--:|:--|--:|--:|--:|:-:|
| 8 | way | 7 | 0 | none | none |
`
	if diff := cmp.Diff(want, stdout.String()); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
}

func TestRatiosAreFormedWithinARoundAndTheirMedianIsShown(t *testing.T) {
	floor := benchmark{workload: "Copy", way: baseline, size: 16}
	way := benchmark{workload: "Copy", way: "way", size: 16}
	rounds := []round{ // the machine was busy in the second
		{floor: {ns: 100, allocs: 1}, way: {ns: 110, allocs: 2}},
		{floor: {ns: 900, allocs: 1}, way: {ns: 1800, allocs: 4}},
		{floor: {ns: 110, allocs: 1}, way: {ns: 165, allocs: 2}},
	}
	var out strings.Builder
	if err := printTables(&out, []benchmark{floor, way}, rounds); err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(out.String(), ":-:|\n")
	want := "| 16 | floor-fresh | 110 | 1 | 1.00 | 1.00 to 1.00 |\n" +
		"| 16 | way | 165 | 2 | 1.50 | 1.10 to 2.00 |\n"
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestMedianIsTheMiddleOrBetweenTheMiddleTwo(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{5, 1, 9}, 5},
		{[]float64{9, 1, 3, 5}, 4},
	} {
		if got := median(test.values); got != test.want {
			t.Errorf("median of %v: %v, expected %v", test.values, got, test.want)
		}
	}
}

func TestParseTakesResultsAndNothingElse(t *testing.T) {
	output := strings.ReplaceAll(`goos: linux
BenchmarkRoundTrip/send/16-N         	   12733	     18828 ns/op	   1.70 MB/s	      64 B/op	       2 allocs/op
BenchmarkOneWay/outbox/1024/buffer=16-N	   30669	      7535.5 ns/op
BenchmarkOneWay/outbox/1024/buffer=16-N
BenchmarkOneWay/outbox/large-N       	   30669	      7535 ns/op
BenchmarkParse-N                     	   30669	      75 ns/op
PASS
`, "-N", cpuSuffix())
	want := []result{
		{benchmark{"RoundTrip", "send", 16, ""}, figures{18828, 2}},
		{benchmark{"OneWay", "outbox", 1024, "buffer=16"}, figures{7535.5, 0}},
	}
	if diff := cmp.Diff(want, parse(output), cmp.AllowUnexported(result{}, benchmark{}, figures{})); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

func TestWhatCannotBeMeasuredIsAnError(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"a benchmark that fails":     {[]string{"./testdata/failing"}, "3 sent, 2 received"},
		"a package that isn't there": {[]string{"./testdata/missing"}, "building the benchmarks of ./testdata/missing"},
		"a package without tests":    {[]string{"./testdata/untested"}, "has no tests"},
		"no benchmarks to compare":   {[]string{"../transcript"}, "has no benchmarks named"},
		"no rounds":                  {[]string{"-rounds", "0"}, "-rounds must be at least 1"},
		"two packages":               {[]string{"a", "b"}, "one package at a time"},
		"an unknown flag":            {[]string{"-unknown"}, "not defined: -unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			err := run(t.Context(), test.args, &stdout, &stderr)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q, expected one with %q\n%s", err, test.want, &stderr)
			}
			if stdout.Len() > 0 {
				t.Errorf("printed:\n%s", &stdout)
			}
		})
	}
}

func TestHelpNamesTheFlagsAndMeasuresNothing(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), []string{"-h"}, &stdout, &stderr); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("error %v, expected flag.ErrHelp", err)
	}
	for _, want := range []string{"-rounds", "-benchtime", defaultPackage} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("no %s in\n%s", want, &stderr)
		}
	}
}

func TestErrorsGoToStderrWithStatus1(t *testing.T) {
	_, stderr, err := command(t, "-rounds", "0").wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		t.Errorf("ended with %v, expected status 1", err)
	}
	if want := "benchratio: -rounds must be at least 1, not 0\n"; stderr != want {
		t.Errorf("stderr %q, expected %q", stderr, want)
	}
}

// The signal goes to the command alone, not to its process group as Ctrl-C in
// a terminal does, so it is the command that has to end the benchmark.
func TestInterruptEndsTheBenchmarkAndTheCommand(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // a process cannot send an interrupt to another there
	}
	c := command(t, "./testdata/blocking")
	for line := ""; line != "blocked\n"; {
		var err error
		if line, err = c.stderr.ReadString('\n'); err != nil {
			t.Fatalf("before the benchmark ran: %v, last line %q", err, line)
		}
	}
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	// The benchmark has the same stderr, so its end is the end of both.
	stdout, stderr, err := c.wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		t.Errorf("ended with %v, expected status 1", err)
	}
	if want := "benchratio: interrupted\n"; stderr != want {
		t.Errorf("stderr %q, expected %q", stderr, want)
	}
	if stdout != "" {
		t.Errorf("printed:\n%s", stdout)
	}
	if left, err := os.ReadDir(c.tmp); err != nil || len(left) > 0 {
		t.Errorf("left in the directory for temporary files: %v (error %v)", left, err)
	}
}

// running is the command in a process of its own.
type running struct {
	cmd    *exec.Cmd
	stdout *strings.Builder
	stderr *bufio.Reader
	tmp    string
}

func command(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{cmd: exec.CommandContext(t.Context(), os.Args[0], args...), stdout: &strings.Builder{}, tmp: t.TempDir()}
	r.cmd.Env = append(os.Environ(), asCommand+"=1", "TMPDIR="+r.tmp)
	r.cmd.Stdout = r.stdout
	pipe, err := r.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.stderr = bufio.NewReader(pipe)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

// wait waits for the end of stderr and of the process.
func (r *running) wait() (stdout, stderr string, err error) {
	rest, readErr := io.ReadAll(r.stderr)
	return r.stdout.String(), string(rest), errors.Join(readErr, r.cmd.Wait())
}
