//go:build unix

package main

import (
	"os"
	"strconv"
	"syscall"
	"time"
)

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
