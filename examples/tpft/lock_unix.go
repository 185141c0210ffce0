//go:build unix && !aix && !solaris

package main

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// tryLock locks a file until it is closed, unless somebody else has. An error
// says that files can't be locked here.
func tryLock(f *os.File) (locked bool, err error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch err {
		case unix.EINTR:
			continue
		case unix.EWOULDBLOCK:
			return false, nil
		}
		return err == nil, os.NewSyscallError("flock", err)
	}
}

// inherit gives a file the permissions and, as far as it may, the owner of the
// one that it replaces.
func inherit(f *os.File, old os.FileInfo) {
	if st, ok := old.Sys().(*syscall.Stat_t); ok {
		if f.Chown(int(st.Uid), int(st.Gid)) != nil {
			f.Chown(-1, int(st.Gid))
		}
	}
	f.Chmod(old.Mode().Perm())
}
