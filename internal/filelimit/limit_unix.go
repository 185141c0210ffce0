//go:build unix

package filelimit

import (
	"fmt"
	"syscall"
)

func raiseTo(n uint64) error {
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
