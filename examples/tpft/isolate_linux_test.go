package main

import (
	"encoding/binary"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// isolated runs a test in a process of its own, which may mount what it likes:
// nobody else sees it, and it is gone with the process. Without the rights of
// root it has them in a user namespace, for this alone.
func isolated(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	const inside = "TPFT_TEST_ISOLATED"
	if os.Getenv(inside) != "" {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		test(t)
		return
	}
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1", "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Start()
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("CI has to test with a full disk, which takes root or user namespaces: %v", err)
	default:
		t.Skipf("a full disk takes root or user namespaces: %v", err)
	}
	err = cmd.Wait()
	switch text := out.String(); {
	case err == nil && strings.Contains(text, "--- PASS: "+t.Name()+" "):
	case err == nil && strings.Contains(text, "--- SKIP: "):
		t.Skip(text)
	default:
		t.Errorf("%v:\n%s", err, text)
	}
}

// mountSmall mounts a file system with room for 1 MiB.
func mountSmall(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// free returns how many bytes there is room for.
func free(t *testing.T, dir string) int64 {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Bfree) * int64(st.Bsize)
}

// withoutFallocate has this process and those that it starts see a system that
// can't reserve room, as some file systems can't.
func withoutFallocate(t *testing.T) {
	t.Helper()
	restrictCalls(t, []unix.SockFilter{
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_FALLOCATE, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unsupportedCall},
	})
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, 1); err != unix.EOPNOTSUPP {
		t.Fatalf("fallocate: %v, expected %v", err, unix.EOPNOTSUPP)
	}
}

// withoutUnnamedFiles is that for files without a name.
func withoutUnnamedFiles(t *testing.T) {
	t.Helper()
	flags := uint32(callArguments + 2*8)
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		flags += 4 // big endian: they are in the second half
	}
	restrictCalls(t, []unix.SockFilter{
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_OPENAT, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: unix.O_TMPFILE &^ unix.O_DIRECTORY, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unsupportedCall},
	})
	if f := openUnnamed(openRoot(t, t.TempDir())); f != nil {
		f.Close()
		t.Fatal("a file without a name could be made")
	}
}

// What a filter sees of a system call begins with its number, and at this byte
// with its arguments, of 64 bits each.
const callArguments = 16

// unsupportedCall is what a filter returns for a call to fail.
const unsupportedCall = unix.SECCOMP_RET_ERRNO | uint32(unix.EOPNOTSUPP)

// restrictCalls has some system calls fail from now on. The filter finds their
// number loaded.
func restrictCalls(t *testing.T, filter []unix.SockFilter) {
	t.Helper()
	filter = slices.Concat(
		[]unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}},
		filter,
		[]unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 || thread != 0 {
		t.Fatalf("system calls were not restricted: %v, thread %d", errno, thread)
	}
}
