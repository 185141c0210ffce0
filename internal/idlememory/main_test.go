package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The command starts itself as the server, which here is the test binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-serve" {
		main()
		os.Exit(0)
	}
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0") // or every server takes 1 s to end under -race
	}
	os.Exit(m.Run())
}

func TestEveryKindOfConnectionUsesMemoryAndIsServed(t *testing.T) {
	const n = 100
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			var stderr bytes.Buffer
			r, err := measure(t.Context(), k, n, &stderr)
			if err != nil {
				t.Fatalf("%v\n%s", err, &stderr)
			}
			if r.before.Connections != 0 || r.after.Connections != n {
				t.Errorf("%d connections before, %d after, expected 0 and %d", r.before.Connections, r.after.Connections, n)
			}
			// A goroutine's stack is 2 KiB at least. A few were free before, in spans
			// of 32 KiB, and do not count.
			if stacks := r.after.Stacks - r.before.Stacks; stacks < n*2<<10-64<<10 {
				t.Errorf("%d connections use %d bytes of stacks", n, stacks)
			}
			if r.after.Heap <= r.before.Heap {
				t.Errorf("heap of %d bytes before, %d after", r.before.Heap, r.after.Heap)
			}
		})
	}
}

func TestTableShowsBytesPerConnection(t *testing.T) {
	rows := []row{
		{kinds[0], usage{Heap: 1000, Stacks: 100, RSS: 5000}, usage{Heap: 3000, Stacks: 900, RSS: 9000}},
		{kinds[1], usage{Heap: 1000, Stacks: 100}, usage{Heap: 1500, Stacks: 600}},
	}
	var out strings.Builder
	if err := print(&out, 10, rows); err != nil {
		t.Fatal(err)
	}
	want := `Bytes per idle connection, 10 connections

| server                                    | heap | stacks | heap and stacks | RSS                |
|:--                                        |--:   |--:     |--:              |--:                 |
| a goroutine blocked in Read               | 200  | 80     | 280             | 400                |
| conn.Conn, its handler blocked in Receive | 50   | 50     | 100             | not available here |
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestTheCommandPrintsARowForEveryKind(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), []string{"-n", "10"}, nil, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	for _, k := range kinds {
		if !strings.Contains(stdout.String(), "| "+k.does) {
			t.Errorf("no row for %s in\n%s", k.name, &stdout)
		}
	}
}

func TestWhatCannotBeMeasuredIsAnError(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no connections":  {[]string{"-n", "0"}, "-n must be at least 1"},
		"an unknown kind": {[]string{"-serve", "unknown"}, `no kind of connection is called "unknown"`},
		"an argument":     {[]string{"5000"}, `unexpected argument "5000"`},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			err := run(t.Context(), test.args, strings.NewReader(""), &stdout, &stderr)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q, expected one with %q", err, test.want)
			}
		})
	}
}

func TestTheEndOfTheContextEndsTheServer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := start(ctx, kinds[0], t.Output())
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := s.cmd.Wait(); err == nil {
		t.Error("the server ended of its own accord, expected it to be killed")
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

func TestHelpNamesTheFlags(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), []string{"-h"}, nil, &stdout, &stderr); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("error %v, expected flag.ErrHelp", err)
	}
	if !strings.Contains(stderr.String(), "-n int") {
		t.Errorf("no -n in\n%s", &stderr)
	}
}
