package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// maxMemory is what either end may need, in bytes.
const maxMemory = 32 << 20

func TestMemoryGrowsNeitherWithTheFileNorWithTheChunk(t *testing.T) {
	program := build(t)
	const size = 1 << 30
	root, dir := t.TempDir(), t.TempDir()
	source := fillSparse(t, filepath.Join(dir, "source"), size)
	if err := os.Link(source, filepath.Join(root, "source")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		upload bool
		flags  string
	}{
		{true, "-chunk-size 1073741824"},
		{true, "-chunk-size 4194304"},
		{true, "-chunk-size 1073741824 -c -check"},
		{false, "-chunk-size 1073741824"}, // the server's chunks are of 4 MiB
		{false, "-c -check"},
	} {
		t.Run(fmt.Sprintf("upload %v %s", tt.upload, tt.flags), func(t *testing.T) {
			server := launch(t, exec.Command(program, "-l", "127.0.0.1:0", "-root", root))
			address := server.address(t, &server.stderr)
			from, to, dest := source, address+":dest", filepath.Join(root, "dest")
			if !tt.upload {
				from, to, dest = address+":source", filepath.Join(dir, "dest"), filepath.Join(dir, "dest")
			}
			client := launch(t, exec.Command(program, append(strings.Fields(tt.flags), from, to)...))
			peak := client.watchMemory(t)
			client.expectSuccess(t)
			if info, err := os.Stat(dest); err != nil || info.Size() != size {
				t.Errorf("%v, expected that the file has arrived", err)
			}
			os.Remove(dest)
			served := server.memory(t)
			t.Logf("peak memory: client %.1f MiB, server %.1f MiB", float64(peak)/(1<<20), float64(served)/(1<<20))
			if peak == 0 || peak > maxMemory || served == 0 || served > maxMemory {
				t.Errorf("peak memory of the client %d, of the server %d bytes; expected at most %d", peak, served, maxMemory)
			}
		})
	}
}

// watchMemory returns the peak memory of a process that ends by itself. The
// kernel keeps the peak, but only as long as the process lives: so it is looked
// at again and again.
func (p *process) watchMemory(t *testing.T) (peak int64) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for timeout := time.After(3 * bound); ; {
		select {
		case <-ticker.C:
			peak = max(peak, p.memory(t))
		case <-p.ended:
			return peak
		case <-timeout:
			t.Fatalf("%q did not end within %v", p.cmd.Args, 3*bound)
		}
	}
}

// memory returns the peak memory of a process in bytes, 0 if it has ended.
func (p *process) memory(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "\nVmHWM:")
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return 0
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil || fields[1] != "kB" {
		t.Errorf("VmHWM: %q, expected so many kB", fields[:2])
	}
	return n << 10
}
