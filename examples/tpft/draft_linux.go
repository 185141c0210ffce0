package main

import (
	"cmp"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// openUnnamed makes a file in dir that has no name, so that nothing is left
// of it whatever happens. It returns nil where that is not possible.
func openUnnamed(dir *os.Root) *os.File {
	f, err := dir.OpenFile(".", os.O_RDWR|unix.O_TMPFILE, 0o666)
	if err != nil {
		return nil
	}
	linkable := false
	control(f, func(fd int) error {
		_, err := os.Lstat(descriptor(fd))
		linkable = err == nil
		return err
	})
	if !linkable {
		f.Close()
		return nil
	}
	tryLock(f) // for the moment when it has a temporary name; new as it is, nobody else has
	return f
}

func descriptor(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// linkAt gives an unnamed file a name in dir.
func linkAt(f *os.File, dir *os.Root, name string) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return control(f, func(fd int) error {
		return control(d, func(dirfd int) error {
			err := unix.Linkat(unix.AT_FDCWD, descriptor(fd), dirfd, name, unix.AT_SYMLINK_FOLLOW)
			return os.NewSyscallError("linkat", err)
		})
	})
}

// control calls f with a file's descriptor.
func control(file *os.File, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = raw.Control(func(fd uintptr) { result = f(int(fd)) })
	return cmp.Or(err, result)
}

// preallocate reserves room for the bytes from offset to size. It fails where
// there is no room; where that can't be told, the writes will.
func preallocate(file *os.File, offset, size int64) error {
	if size <= offset {
		return nil
	}
	return control(file, func(fd int) error {
		for {
			err := unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, offset, size-offset)
			switch err {
			case unix.EINTR:
				continue
			case unix.ENOSPC, unix.EDQUOT, unix.EFBIG:
				return os.NewSyscallError("fallocate", err)
			}
			return nil
		}
	})
}
