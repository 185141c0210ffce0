package conn_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/wire"
)

// largeVariable, if set, makes the test below use the largest message there is:
// see `make large`.
const largeVariable = "TINYPROTO_TEST_LARGE"

const (
	// Both ends are in one process, which never needs more memory than this,
	largeMemory = 64 << 20
	// and this is how much of it may be for the message. (The test binary alone,
	// with the race detector, is larger than largeMemory.)
	largeGrowth = 8 << 20
)

func TestALargeMessageNeedsLittleMemory(t *testing.T) {
	eachMode(t, testALargeMessageNeedsLittleMemory)
}

func testALargeMessageNeedsLittleMemory(t *testing.T) {
	if !inChild(t) {
		return
	}
	size := int64(1 << 30)
	unpooled := underRace() && inPipelined() // a pool of its buffers is one that loses some at random
	if unpooled {
		size = 1 << 28
	}
	if os.Getenv(largeVariable) != "" {
		size = wire.MaxSize
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	arrived := make(chan error, 1)
	x, y := tcpPair(t)
	a, _ := join(t, x, y, nil, &conn.Options{Accept: func(uint32) conn.Placement {
		return conn.Placement{Writer: io.Discard, Done: func(moved int64, err error) {
			if moved != size {
				t.Errorf("%d bytes came, expected %d", moved, size)
			}
			arrived <- err
		}}
	}})
	before := peakMemory(t)
	began := time.Now()
	if err := a.SendFrom(t.Context(), f, size); err != nil {
		t.Fatal(err)
	}
	if err := <-arrived; err != nil {
		t.Fatal(err)
	}
	peak := peakMemory(t)
	t.Logf("%d bytes in %v: %d KiB of memory, %d KiB before", size, time.Since(began).Round(time.Millisecond), peak>>10, before>>10)
	if peak-before > largeGrowth && !unpooled {
		t.Errorf("this process needed %d bytes of memory and %d before, expected at most %d more", peak, before, largeGrowth)
	}
	if !underRace() && peak > largeMemory {
		t.Errorf("this process needed %d bytes of memory, expected at most %d", peak, largeMemory)
	}
}

// underRace reports whether this is a build with the race detector.
func underRace() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// peakMemory returns the most memory that this process has had, in bytes.
func peakMemory(t testing.TB) (n int64) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, line, ok := bytes.Cut(status, []byte("VmHWM:"))
	if _, err := fmt.Sscanf(string(line), "%d kB", &n); err != nil || !ok {
		t.Fatalf("/proc/self/status names no VmHWM: %v", err)
	}
	return n << 10
}
