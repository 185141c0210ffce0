package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// usage is what a process uses.
type usage struct {
	Open        int64 // connections whose ends it has not accounted for
	Heap        int64 // bytes of objects, those that a collection would free included
	Goroutines  int64
	Descriptors int64         // 0 where the system does not tell
	CPU         time.Duration // since its start; 0 where the system does not tell
}

const heapObjects = "/memory/classes/heap/objects:bytes"

// currentUsage stops nothing, so it can be asked for at any time.
func currentUsage(open int64) usage {
	sample := []metrics.Sample{{Name: heapObjects}}
	metrics.Read(sample)
	return usage{
		Open:        open,
		Heap:        int64(sample[0].Value.Uint64()),
		Goroutines:  int64(runtime.NumGoroutine()),
		Descriptors: openDescriptors(),
		CPU:         cpuTime(),
	}
}

// collections is how many garbage collections it takes until only what is
// needed is left: pools let go of what they hold in the second, finalizers and
// cleanups need another.
const collections = 3

// collectedUsage is what is used without what a collection frees.
func collectedUsage(open int64) usage {
	for range collections {
		runtime.GC()
	}
	debug.FreeOSMemory()
	return currentUsage(open)
}

// openDescriptors returns 0 where the system does not tell, or not in this way.
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

// Tolerances of what may be left when all connections have ended, beyond what
// there was after the warm-up. A goroutine that has ended leaves its descriptor
// in the heap for the next one, so more of them at once than during the
// warm-up leave more; and maps keep the room that they once needed.
const (
	heapTolerance    = 1 << 20
	heapTolerancePer = 512 // for each connection of the run
)

// leaks says what u has more of than there was before, with connections
// at once in between.
func (u usage) leaks(before usage, connections int) []string {
	var found []string
	if u.Open > 0 {
		found = append(found, fmt.Sprintf("%d connections are open, or their ends not accounted for", u.Open))
	}
	if allowed := before.Heap + heapTolerance + heapTolerancePer*int64(connections); u.Heap > allowed {
		found = append(found, fmt.Sprintf("the heap has %d bytes, %d after the warm-up, at most %d expected", u.Heap, before.Heap, allowed))
	}
	if u.Goroutines > before.Goroutines {
		found = append(found, fmt.Sprintf("%d goroutines, %d after the warm-up", u.Goroutines, before.Goroutines))
	}
	if u.Descriptors > before.Descriptors {
		found = append(found, fmt.Sprintf("%d descriptors, %d after the warm-up", u.Descriptors, before.Descriptors))
	}
	return found
}

// most of both, field by field.
func (u usage) most(v usage) usage {
	return usage{
		Open: max(u.Open, v.Open), Heap: max(u.Heap, v.Heap), Goroutines: max(u.Goroutines, v.Goroutines),
		Descriptors: max(u.Descriptors, v.Descriptors), CPU: max(u.CPU, v.CPU),
	}
}
