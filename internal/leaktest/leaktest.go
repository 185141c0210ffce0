// Package leaktest fails tests that leave goroutines of this module behind.
package leaktest

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how long a goroutine that has been told to end may take.
const patience = 5 * time.Second

// Check fails t if goroutines of this module, other than those that ran when
// it was called, are left when t ends. It is not for parallel tests.
func Check(t testing.TB) {
	t.Helper()
	before := stacks()
	t.Cleanup(func() {
		for id, stack := range left(before) {
			t.Errorf("goroutine %s was left behind:\n%s", id, stack)
		}
	})
}

// Main runs the tests and exits with their status, or with 1 if goroutines of
// this module are left after the last.
func Main(m *testing.M) {
	status := m.Run()
	if status == 0 {
		for id, stack := range left(nil) {
			fmt.Fprintf(os.Stderr, "goroutine %s was left behind:\n%s\n", id, stack)
			status = 1
		}
	}
	os.Exit(status)
}

// left returns the goroutines that are not in before and do not end in time.
func left(before map[string]string) map[string]string {
	var found map[string]string
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		found = stacks()
		for id := range before {
			delete(found, id)
		}
		if len(found) == 0 || time.Now().After(deadline) {
			return found
		}
	}
}

// stacks returns the stacks of all goroutines of this module but the caller's
// and those of the test runner, by ID.
func stacks() map[string]string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	found := map[string]string{}
	for i, stack := range strings.Split(string(buf), "\n\n") {
		if i == 0 || !strings.Contains(stack, "tinyproto-go/tinyproto") || strings.Contains(stack, "testing.tRunner(") ||
			strings.Contains(stack, "testing.(*M).Run(") || strings.Contains(stack, "testing.runFuzzing(") {
			continue
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
		found[id] = stack
	}
	return found
}
