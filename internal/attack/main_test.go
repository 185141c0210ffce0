package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// The command starts itself as server and attacker, which here is the test binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "-role=") {
		main()
		os.Exit(0)
	}
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0") // or each process takes 1 s to end under -race
	}
	leaktest.Main(m)
}

func TestTheCommandPrintsARowForEachAttackThatMatches(t *testing.T) {
	var stdout, stderr bytes.Buffer
	args := []string{"-conns", "3", "-duration", "10ms", "-calm", "10ms", "-run", "^(idle|reset)$"}
	if err := run(t.Context(), args, nil, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	var rows []string
	for line := range strings.Lines(stdout.String()) {
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " "); ok && strings.HasPrefix(line, "| ") {
			rows = append(rows, name)
		}
	}
	if diff := cmp.Diff([]string{"attack", "idle", "reset", "attack", "idle", "reset"}, rows); diff != "" {
		t.Errorf("first column of the tables (-want +got):\n%s\n%s", diff, &stdout)
	}
}

func TestWhatCannotBeMeasuredIsAnError(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no connections":     {[]string{"-conns", "0"}, "-conns must be at least 1"},
		"no time":            {[]string{"-duration", "0s"}, "must be positive"},
		"an unknown pattern": {[]string{"-run", "unknown"}, `no pattern matches "unknown"`},
		"no pattern at all":  {[]string{"-run", "("}, "-run: error parsing regexp"},
		"an unknown role":    {[]string{"-role", "judge"}, `no role is called "judge"`},
		"an argument":        {[]string{"idle"}, `unexpected argument "idle"`},
		"no settings":        {[]string{"-role=server"}, `settings ""`},
		"no orders":          {[]string{"-role=attacker"}, `orders ""`},
		"unknown orders":     {[]string{"-role=attacker", `-input={"Pattern":"none"}`}, `no pattern is called "none"`},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			err := run(t.Context(), test.args, strings.NewReader(""), &stdout, &stderr)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, expected one with %q", err, test.want)
			}
		})
	}
}

func TestAnEndedContextIsAnInterruption(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	if err := run(ctx, nil, nil, &stdout, &stderr); err == nil || err.Error() != "interrupted" {
		t.Errorf("error %v, expected interrupted", err)
	}
}

func TestHelpAndListNameFlagsAndPatterns(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), []string{"-h"}, nil, &stdout, &stderr); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("error %v, expected flag.ErrHelp", err)
	}
	if !strings.Contains(stderr.String(), "-conns int") {
		t.Errorf("no -conns in\n%s", &stderr)
	}
	if err := run(t.Context(), []string{"-list"}, nil, &stdout, &stderr); err != nil {
		t.Error(err)
	}
	if lines := strings.Count(stdout.String(), "\n"); lines != len(patterns) {
		t.Errorf("%d patterns are listed, expected %d:\n%s", lines, len(patterns), &stdout)
	}
}

func TestALatencyIsThatOfAShareOfTheReplies(t *testing.T) {
	var s sample
	for i := range 1000 {
		s.replies = append(s.replies, time.Duration(1000-i)*time.Millisecond)
	}
	var got []time.Duration
	for _, q := range []float64{0, 0.5, 0.99, 1} {
		got = append(got, s.quantile(q)/time.Millisecond)
	}
	if diff := cmp.Diff([]time.Duration{1, 501, 991, 1000}, got); diff != "" {
		t.Errorf("quantiles in ms (-want +got):\n%s", diff)
	}
	if q := (sample{}).quantile(0.5); q != 0 {
		t.Errorf("the median of no replies is %v", q)
	}
}

func TestARequestInProgressCountsAsTheLongestSoFar(t *testing.T) {
	var g group
	asking, reply := make(chan struct{}), make(chan error)
	replied := make(chan struct{})
	go func() { // ends with its reply
		defer close(replied)
		g.time(t.Context(), func() error { close(asking); return <-reply })
	}()
	<-asking
	g.time(t.Context(), func() error { return nil })
	if s := g.take(); s.longest <= s.replies[0] || len(s.replies) != 1 {
		t.Errorf("the longest is %v of %v, though a request has waited for longer", s.longest, s.replies)
	}
	reply <- errors.New("no")
	<-replied
	if s := g.take(); s.failed != 1 || s.err == nil || len(s.replies) > 0 || s.longest != 0 {
		t.Errorf("after its failure: %+v", s)
	}
}
