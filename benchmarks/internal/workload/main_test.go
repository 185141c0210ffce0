package workload_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
	"github.com/tinyproto-go/tinyproto/benchmarks/internal/workload"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// A workload starts this program again as its far end, which here is the test
// binary.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == workload.FarFlag {
		if err := workload.ServeFar(os.Args[2], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0") // or every process takes 1 s to end under -race
	}
	leaktest.Main(m)
}

// small is a scale for tests.
var small = workload.Scale{Members: 8, Parallel: 3, Idle: 20, Largest: 1 << 20}

// moment is how long a run takes in tests: a few messages, or a few hundred.
const moment = 2 * time.Millisecond

func named(t *testing.T, name string) *contestant.Contestant {
	t.Helper()
	c, err := contestant.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func workloadNamed(t *testing.T, name string) *workload.Workload {
	t.Helper()
	for _, w := range workload.All(small) {
		if w.Name == name {
			return w
		}
	}
	t.Fatalf("no workload is called %s", name)
	return nil
}
