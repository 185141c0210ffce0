package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/workload"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// asCommand is the variable of the environment that makes the test binary the
// command.
const asCommand = "BENCHMARKS_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == workload.FarFlag || os.Getenv(asCommand) != "" {
		main()
		os.Exit(0)
	}
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0") // or every process takes 1 s to end under -race
	}
	leaktest.Main(m)
}

func TestTheCommandPrintsATableForEachWorkload(t *testing.T) {
	for _, processes := range []string{"1", "2"} {
		t.Run(processes, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			dir := filepath.Join(t.TempDir(), "new")
			err := run(t.Context(), []string{"-run", "^(ping-pong-16B|one-way-1KiB)/(stream|tinyproto-classic-send)$",
				"-rounds", "2", "-time", "2ms", "-processes", processes, "-plots", dir}, nil, &stdout, &stderr)
			if err != nil {
				t.Fatalf("%v\n%s", err, &stderr)
			}
			for _, want := range []string{"Ping-pong, 16 B\n", "One way, 1 KiB\n", "contestant ", "of stream", "- tinyproto-classic-send: ", "- Go: go1."} {
				if !strings.Contains(stdout.String(), want) {
					t.Errorf("no %q in\n%s", want, &stdout)
				}
			}
			if stderr.Len() > 0 {
				t.Errorf("a file that is no terminal was shown\n%s", &stderr)
			}
			for _, name := range []string{"ping-pong-16B.svg", "one-way-1KiB.svg"} {
				if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestTheReportTellsNeitherTheNameOfTheMachineNorPaths(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), []string{"-run", "^ping-pong-16B/(stream|tinyproto-classic-send|gorilla|nats)$",
		"-rounds", "1", "-time", "1ms"}, nil, &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{host, dir, os.TempDir(), "127.0.0.1"} {
		if strings.Contains(stdout.String(), secret) {
			t.Errorf("%q is in\n%s", secret, &stdout)
		}
	}
}

func TestListNamesWhatWouldBeRunAndWhatIsLeftOut(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), []string{"-list", "-run", "^one-way-64MiB/"}, nil, &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"one-way-64MiB/tinyproto-classic-outbox\n",
		"one-way-64MiB/nats: left out: messages of more than 1048576 bytes are above its limit\n",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in\n%s", want, &stdout)
		}
	}
	if strings.Contains(stdout.String(), "one-way-1KiB") {
		t.Errorf("more is listed than matches:\n%s", &stdout)
	}
}

func TestWhatCannotBeDoneIsAnErrorThatSaysWhy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no rounds":         {[]string{"-rounds", "0"}, "-rounds must be at least 1, not 0"},
		"no time":           {[]string{"-time", "0s"}, "-time must be positive, not 0s"},
		"three processes":   {[]string{"-processes", "3"}, "-processes must be 1 or 2, not 3"},
		"a bad expression":  {[]string{"-run", "("}, "-run: "},
		"no match":          {[]string{"-run", "nobody"}, `nothing matches "nobody"; -list lists the names`},
		"an argument":       {[]string{"all"}, `unexpected argument "all"`},
		"an unknown far":    {[]string{workload.FarFlag, `{"Contestant":"nobody"}`}, `no contestant is called "nobody"`},
		"a far without one": {[]string{workload.FarFlag, ``}, "the task of a far end"},
		"a file for plots":  {[]string{"-run", "^ping-pong-16B/stream$", "-plots", file}, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			err := run(t.Context(), test.args, strings.NewReader(""), &stdout, &stderr)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, expected one with %q", err, test.want)
			}
			if stdout.Len() > 0 {
				t.Errorf("printed:\n%s", &stdout)
			}
		})
	}
}

func TestHelpExplainsEveryFlag(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), []string{"-h"}, nil, &stdout, &stderr); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("error %v, expected %v", err, flag.ErrHelp)
	}
	for _, name := range []string{"run", "rounds", "time", "processes", "markdown", "plots", "list"} {
		if !strings.Contains(stderr.String(), "  -"+name) {
			t.Errorf("no -%s in\n%s", name, &stderr)
		}
	}
}

func TestAnEndedContextIsAnInterruption(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	if err := run(ctx, nil, nil, &stdout, &stderr); err == nil || err.Error() != "interrupted" {
		t.Errorf("error %v, expected interrupted", err)
	}
	if stdout.Len() > 0 {
		t.Errorf("printed:\n%s", &stdout)
	}
}
