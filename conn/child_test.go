package conn_test

import (
	"context"
	"os"
	"os/exec"
	"testing"
)

// childVariable names the test that a process was started for.
const childVariable = "TINYPROTO_TEST_CHILD"

// inChild reports whether this is a process of the test's own, which the test
// may limit as it likes. Elsewhere it starts one that runs the test, prepared
// like this, and fails the test if that fails.
func inChild(t *testing.T, prepare ...func(*exec.Cmd)) bool {
	t.Helper()
	if os.Getenv(childVariable) == t.Name() {
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*stuckAfter)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), childVariable+"="+t.Name())
	// The race detector waits a second at the exit, for races that this process has reported by then.
	cmd.Env = append(cmd.Env, "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	for _, p := range prepare {
		p(cmd)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("the test in a process of its own: %v\n%s", err, out)
	} else if testing.Verbose() {
		t.Logf("%s", out)
	}
	return false
}
