package workload

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// idle opens many connections, exchanges a message over each, and returns how
// much memory each of them costs the server: its heap and its stacks, without
// the buffers of the kernel.
func (r *run) idle() (float64, error) {
	without, err := r.far.usage()
	if err != nil {
		return 0, err
	}
	if err := r.dialAll(); err != nil {
		return 0, err
	}
	var sent, received tally
	messages := newRing(r.Size)
	for i, l := range r.links {
		msg := messages.at(i)
		if err := exchange(l, msg, &received); err != nil {
			return 0, fmt.Errorf("link %d of %d: %w", i+1, r.Links, err)
		}
		sent.add(msg)
	}
	if err := different("echo", sent, received); err != nil {
		return 0, err
	}
	with, err := r.far.usage()
	return float64(with-without) / float64(r.Links), err
}

// collections is how many garbage collections it takes until memory in use is
// what is needed: pools let go of what they hold in the second, and each makes
// a stack only half as large as it was.
const collections = 4

// usage returns the bytes of heap and stacks that this process has in use.
func usage() int64 {
	for range collections {
		runtime.GC()
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
