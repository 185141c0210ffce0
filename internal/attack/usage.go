package main

import (
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"sync"
	"time"
)

// usage is what a process uses. What the system does not tell is 0.
type usage struct {
	Memory      int64 // bytes of heap objects and stacks
	RSS         int64 // bytes that are resident
	Goroutines  int64
	Descriptors int64
	CPU         time.Duration // since its start, in user and kernel mode
}

// most of both, field by field.
func (u usage) most(v usage) usage {
	return usage{
		Memory: max(u.Memory, v.Memory), RSS: max(u.RSS, v.RSS), Goroutines: max(u.Goroutines, v.Goroutines),
		Descriptors: max(u.Descriptors, v.Descriptors), CPU: max(u.CPU, v.CPU),
	}
}

// currentUsage stops nothing, so that it can be asked for during an attack.
// Memory includes what a collection would free.
func currentUsage() usage {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(sample)
	return usage{
		Memory:      int64(sample[0].Value.Uint64() + sample[1].Value.Uint64()),
		RSS:         residentSize(),
		Goroutines:  int64(runtime.NumGoroutine()),
		Descriptors: openDescriptors(),
		CPU:         cpuTime(),
	}
}

// collections is how many garbage collections it takes until only what is
// needed is left: pools let go of what they hold in the second, and each makes
// a stack only half as large as it was.
const collections = 3

func collectedUsage() usage {
	for range collections {
		runtime.GC()
	}
	debug.FreeOSMemory()
	return currentUsage()
}

// openDescriptors counts what the process has open.
func openDescriptors() int64 {
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
		if f, err := os.Open(dir); err == nil {
			names, err := f.Readdirnames(-1)
			f.Close()
			if err == nil {
				return int64(len(names)) - 1 // the one it was read with
			}
		}
	}
	return 0
}

func residentSize() int64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// watch keeps the peaks of this process.
type watch struct {
	done  chan struct{}
	ended sync.WaitGroup

	mu   sync.Mutex
	peak usage // guarded by mu
}

// watchPeriod is long enough for the watching to cost next to nothing.
const watchPeriod = 50 * time.Millisecond

func startWatch() *watch {
	w := &watch{done: make(chan struct{})}
	w.ended.Go(func() { // ends with stop
		tick := time.NewTicker(watchPeriod)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				w.note()
			case <-w.done:
				return
			}
		}
	})
	return w
}

func (w *watch) stop() {
	close(w.done)
	w.ended.Wait()
}

func (w *watch) note() {
	u := currentUsage()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.peak = w.peak.most(u)
}

// take returns the peaks since it was last called.
func (w *watch) take() usage {
	w.note()
	w.mu.Lock()
	defer w.mu.Unlock()
	peak := w.peak
	w.peak = usage{}
	return peak
}
