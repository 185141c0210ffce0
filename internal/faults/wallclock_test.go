//go:build unix

package faults

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What a jumping clock is: in time.Now alone, an hour forth and back, for as
// long each (2^26 ns) of the time since the process was started. The monotonic
// clock goes on as it does.
const (
	timeNow    = "\tmono -= startNano\n\tsec += unixToInternal - minWall\n"
	jumpingNow = "\tmono -= startNano\n\tif mono>>26&1 != 0 {\n\t\tsec += 3600\n\t}\n\tsec += unixToInternal - minWall\n"
	jump       = time.Hour
	period     = 2 << 26 * time.Nanosecond
)

// toolchain builds with a standard library in which the wall clock jumps.
type toolchain struct {
	t       *testing.T
	overlay string // the file that tells the go command of it
}

func newToolchain(t *testing.T) *toolchain {
	t.Helper()
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("go env GOROOT: %v; the go command is needed to build programs whose clock jumps", err)
	}
	original := filepath.Join(strings.TrimSpace(string(goroot)), "src", "time", "time.go")
	source, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), timeNow); n != 1 {
		t.Fatalf("%s has %d times what this test changes in time.Now, expected once:\n%s", original, n, timeNow)
	}
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{
		changed: []byte(strings.Replace(string(source), timeNow, jumpingNow, 1)),
		overlay: text,
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &toolchain{t, overlay}
}

// build has the go command build a program in a directory, and returns its path.
// The race detector would have the standard library built once more.
func (tc *toolchain) build(dir string, command ...string) string {
	tc.t.Helper()
	path := filepath.Join(tc.t.TempDir(), "jumping.exe")
	cmd := exec.Command("go", append(command, "-overlay", tc.overlay, "-o", path, ".")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	if out, err := cmd.CombinedOutput(); err != nil {
		tc.t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return path
}

// wallClock is what a process whose wall clock has to jump sees of that.
var wallClock clockWatch

type clockWatch struct{ forth, back atomic.Int64 }

func (w *clockWatch) steps() int64 { return w.forth.Load() + w.back.Load() }

// watch returns once the wall clock has jumped both forth and back, and goes on
// to count as long as the process lives.
func (w *clockWatch) watch() error {
	jumps := make(chan struct{})
	go func() { // ends with the process
		for last, waited := time.Now(), true; ; {
			<-time.After(period / 10)
			now := time.Now()
			// Without their monotonic part, times differ by the wall clock.
			step := now.Round(0).Sub(last.Round(0)) - now.Sub(last)
			switch last = now; {
			case step > jump/2:
				w.forth.Add(1)
			case step < -jump/2:
				w.back.Add(1)
			}
			if waited && w.forth.Load() > 0 && w.back.Load() > 0 {
				waited = false
				close(jumps)
			}
		}
	}()
	select {
	case <-jumps:
		return nil
	case <-time.After(patience):
		return errors.New("the wall clock does not jump")
	}
}
