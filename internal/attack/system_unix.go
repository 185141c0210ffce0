//go:build unix

package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// raiseFileLimit makes sure that this process, and those it starts, may have n
// files open.
func raiseFileLimit(n uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("reading the limit of open files: %w", err)
	}
	old := limit
	if !raise(&limit.Cur, &limit.Max, n) {
		return nil
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("%d open files are needed, the limit is %d (hard limit %d) and cannot be raised: %w",
			n, old.Cur, old.Max, err)
	}
	return nil
}

// raise raises both limits to n where they are lower, and reports whether
// there was a need. Their type depends on the system.
func raise[T int64 | uint64](current, most *T, n uint64) bool {
	if uint64(*current) >= n {
		return false
	}
	*current = T(n)
	*most = max(*most, T(n)) // which only a privileged process may
	return true
}

// cpuTime is what this process has used so far, in user and kernel mode.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// yieldToOthers gives this process a low priority: an attacker on this machine
// must not slow the server down but by what it sends. Linux has a priority for
// each thread, and new ones inherit it.
func yieldToOthers() {
	const low = 19
	syscall.Setpriority(syscall.PRIO_PROCESS, 0, low)
	for _, id := range threads() {
		syscall.Setpriority(syscall.PRIO_PROCESS, id, low)
	}
}

// threads returns the IDs of this process's threads, where the system tells.
func threads() []int {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil
	}
	var ids []int
	for _, e := range entries {
		if id, err := strconv.Atoi(e.Name()); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}
