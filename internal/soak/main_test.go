package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/internal/leaktest"
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
	leaktest.Main(m)
}

// soakFor runs the command with the arguments and returns what it printed.
func soakFor(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), args, nil, &stdout, &stderr)
	if stderr.Len() > 0 {
		t.Errorf("on stderr:\n%s", &stderr)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the run printed:\n%s", &stdout)
		}
	})
	return stdout.String(), err
}

func TestAShortSoakReconciles(t *testing.T) {
	out, err := soakFor(t, "-duration", "5s", "-connections", "50", "-rate", "300", "-restart", "2s", "-progress", "2s")
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]string{
		"a restart with a graceful end":   `server \d+ ended gracefully; here is server \d+`,
		"a restart with a kill":           `server \d+ was killed; here is server \d+`,
		"a quiet point after the first":   `quiet point 2: server: heap .*, \d+ goroutines, \d+ descriptors; clients: heap`,
		"progress":                        `\d+ connections, \d+ messages/s, .*/s, .* cores; ends: .*; server: .*; \d+ restarts, \d+ kills; 0 wrong`,
		"messages to servers":             `clients to servers +[1-9]\d*`,
		"messages to clients":             `servers to clients +[1-9]\d*`,
		"what a connection takes":         `server, loaded: .* of heap per connection, of at most 48.0 MiB`,
		"connections without a hello":     `[1-9]\d* without a hello`,
		"usage after the warm-up":         `after the warm-up +[\d.]+ MiB +[1-9]\d* `,
		"connections of killed servers":   `[1-9]\d* by clients of servers that were killed`,
		"clients that redial":             `dials failed: .*no server [1-9]`,
		"ends that the clients broke":     `ends at clients: clean [1-9]\d*, .*vanished [1-9]`,
		"ends that the server lived with": `ends at servers: clean [1-9]\d*, .*incomplete [1-9]`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("it does not show %s: nothing matches %q", what, want)
		}
	}
	for _, r := range roles {
		if r.name != "wrong hello" && !strings.Contains(out, r.name+" ") {
			t.Errorf("no connection was a %s", r.name)
		}
	}
}

func TestWhatAServerDoesWrongIsNoticed(t *testing.T) {
	for _, test := range []struct {
		sabotage sabotage
		want     []string
	}{
		{loses, []string{`the server took \d+ messages but sent \d+ echoes`, `what is due does not come|messages are missing`}},
		{doubles, []string{`the server took \d+ messages but sent \d+ echoes`, `echo of nothing that is due|doubled, or out of order`}},
		{leaks, []string{`\d+ goroutines, \d+ after the warm-up`, `\d+ descriptors, \d+ after the warm-up`, `the heap has \d+ bytes`}},
	} {
		t.Run(string(test.sabotage), func(t *testing.T) {
			if test.sabotage == leaks {
				settle(t, 500*time.Millisecond)
			}
			out, err := soakFor(t, "-duration", "1s", "-connections", "50", "-rate", "2000", "-restart", "1h",
				"-patience", "2s", "-sabotage", string(test.sabotage))
			if err == nil || !strings.Contains(err.Error(), "do not reconcile") {
				t.Errorf("error %v, expected one that says that something does not reconcile", err)
			}
			for _, want := range test.want {
				if !regexp.MustCompile("(?s)WRONG: .*" + want).MatchString(out) {
					t.Errorf("no reason matches %q", want)
				}
			}
		})
	}
}

// settle makes the wait for what is left over shorter.
func settle(t *testing.T, d time.Duration) {
	before := settleTime
	settleTime = d
	t.Cleanup(func() { settleTime = before })
}

func TestAnInterruptEndsTheLoadEarlyAndStillReconciles(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var stdout, stderr bytes.Buffer
	began := time.Now()
	time.AfterFunc(500*time.Millisecond, cancel)
	if err := run(ctx, []string{"-duration", "1h", "-connections", "20", "-rate", "500"}, nil, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s%s", err, &stdout, &stderr)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	m := regexp.MustCompile(`interrupted: (?s:.*), seed \d+: (\d+) connections accounted for by both ends`).FindStringSubmatch(stdout.String())
	if m == nil {
		t.Fatalf("printed:\n%s", &stdout)
	}
	if n, _ := strconv.Atoi(m[1]); n == 0 {
		t.Error("no connection was accounted for")
	}
}

func TestWhatCannotBeRunIsAnError(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no connections":         {[]string{"-connections", "0"}, "-connections must be at least 1"},
		"no time":                {[]string{"-duration", "0s"}, "-duration and -patience must be above 0"},
		"no rate":                {[]string{"-rate", "0"}, "-rate must be above 0"},
		"a rate that is no rate": {[]string{"-rate", "NaN"}, "-rate must be above 0"},
		"an unknown sabotage":    {[]string{"-sabotage", "fire"}, `no sabotage is called "fire"`},
		"an argument":            {[]string{"30m"}, `unexpected argument "30m"`},
		"a server that nobody controls": {[]string{"-serve", "1", "-dir", t.TempDir()},
			"nobody controls this server any more"},
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

func TestHelpNamesTheFlags(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), []string{"-h"}, nil, &stdout, &stderr); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("error %v, expected flag.ErrHelp", err)
	}
	for _, name := range []string{"-duration", "-connections", "-rate", "-restart", "-sabotage"} {
		if !strings.Contains(stderr.String(), name) {
			t.Errorf("no %s in\n%s", name, &stderr)
		}
	}
}
