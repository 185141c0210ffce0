//go:build amd64 || arm64 || loong64 || riscv64

package conn_test

import (
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"unsafe"
)

// copyLimit is how many bytes a read or a write may move after forbidCopying:
// enough for signals and sizes.
const copyLimit = 64

// forbidCopying has the kernel fail with EIO, in this process and from now on,
// whatever could copy a payload through the program: reads and writes of more
// than copyLimit bytes, and vectored ones. What goes to the standard streams is
// none of it.
func forbidCopying(t testing.TB) {
	t.Helper()
	forbid(t, slices.Concat(vectoredReadCalls, vectoredWriteCalls), slices.Concat(readCalls, writeCalls))
}

// forbidWriting is forbidCopying for writes alone: what is read can't go anywhere.
func forbidWriting(t testing.TB) {
	t.Helper()
	forbid(t, vectoredWriteCalls, writeCalls)
}

// The system calls by which a program moves bytes.
var (
	readCalls          = []uint32{syscall.SYS_READ, syscall.SYS_PREAD64, syscall.SYS_RECVFROM}
	writeCalls         = []uint32{syscall.SYS_WRITE, syscall.SYS_PWRITE64, syscall.SYS_SENDTO}
	vectoredReadCalls  = []uint32{syscall.SYS_READV, syscall.SYS_PREADV, syscall.SYS_RECVMSG}
	vectoredWriteCalls = []uint32{syscall.SYS_WRITEV, syscall.SYS_PWRITEV, syscall.SYS_SENDMSG}
)

func forbid(t testing.TB, forbidden, limited []uint32) {
	t.Helper()
	install(t, func(audit uint32) []syscall.SockFilter { return copyFilter(audit, forbidden, limited) })
	if testing.CoverMode() != "" {
		// The report of what was covered, at the exit, is forbidden, too.
		t.Cleanup(func() {
			if !t.Failed() {
				syscall.Exit(0)
			}
		})
	}
}

// forbidCalls has the kernel fail with an error, in this process and from now on,
// whenever one of some system calls is made.
func forbidCalls(t testing.TB, err syscall.Errno, numbers ...uint32) {
	t.Helper()
	install(t, func(audit uint32) []syscall.SockFilter { return callFilter(audit, err, numbers) })
}

func install(t testing.TB, filter func(audit uint32) []syscall.SockFilter) {
	t.Helper()
	arch, ok := seccompArchs[runtime.GOARCH]
	if !ok {
		t.Fatalf("the numbers of seccomp on %s are not known to this test", runtime.GOARCH)
	}
	instructions := filter(arch.audit)
	program := syscall.SockFprog{Len: uint16(len(instructions)), Filter: &instructions[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const setNoNewPrivs, setModeFilter, allThreads = 38, 1, 1
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, setNoNewPrivs, 1, 0, 0, 0, 0); errno != 0 {
		t.Fatalf("this process can't give up new privileges, which a seccomp filter needs: %v", errno)
	}
	failed, _, errno := syscall.RawSyscall(arch.seccomp, setModeFilter, allThreads, uintptr(unsafe.Pointer(&program)))
	if errno != 0 || failed != 0 {
		t.Fatalf("a seccomp filter can't be installed here, which this test can't do without: %v, thread %d", errno, failed)
	}
}

// seccompArchs are the number of the system call, and what the kernel calls the
// architecture.
var seccompArchs = map[string]struct {
	seccomp uintptr
	audit   uint32
}{
	"amd64":   {317, 0xc000003e},
	"arm64":   {277, 0xc00000b7},
	"riscv64": {277, 0xc00000f3},
	"loong64": {277, 0xc0000102},
}

// The instructions of the kernel's packet filter, and where it finds the call.
const (
	load         = syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS
	ifEqual      = syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K
	ifAbove      = syscall.BPF_JMP | syscall.BPF_JGT | syscall.BPF_K
	give         = syscall.BPF_RET | syscall.BPF_K
	allow        = 0x7fff0000
	failWith     = 0x00050000 // and the error
	callNumber   = 0
	callArch     = 4
	callFile     = 16      // the low half of the first argument
	callSize     = 16 + 16 // that of the third,
	callSizeHigh = callSize + 4
)

func callFilter(audit uint32, err syscall.Errno, numbers []uint32) []syscall.SockFilter {
	program := []syscall.SockFilter{
		{Code: load, K: callArch},
		{Code: ifEqual, K: audit, Jf: uint8(len(numbers)) + 2},
		{Code: load, K: callNumber},
	}
	for i, number := range numbers {
		program = append(program, syscall.SockFilter{Code: ifEqual, K: number, Jt: uint8(len(numbers) - i)})
	}
	return append(program, syscall.SockFilter{Code: give, K: allow}, syscall.SockFilter{Code: give, K: failWith | uint32(err)})
}

func copyFilter(audit uint32, forbidden, limited []uint32) []syscall.SockFilter {
	// The end of the program, which all before it jumps to.
	end := []syscall.SockFilter{
		{Code: load, K: callFile},
		{Code: ifAbove, K: 2, Jf: 4}, // else allow
		{Code: load, K: callSizeHigh},
		{Code: ifEqual, K: 0, Jf: 3}, // else fail
		{Code: load, K: callSize},
		{Code: ifAbove, K: copyLimit, Jt: 1}, // fail
		{Code: give, K: allow},
		{Code: give, K: failWith | uint32(syscall.EIO)},
	}
	program := []syscall.SockFilter{
		{Code: load, K: callArch},
		{Code: ifEqual, K: audit, Jf: uint8(1 + len(forbidden) + len(limited) + 1 + len(end) - 1)},
		{Code: load, K: callNumber},
	}
	toEnd := len(forbidden) + len(limited) + 1
	for i, number := range forbidden {
		program = append(program, syscall.SockFilter{Code: ifEqual, K: number, Jt: uint8(toEnd - i - 1 + len(end) - 1)})
	}
	for i, number := range limited {
		program = append(program, syscall.SockFilter{Code: ifEqual, K: number, Jt: uint8(toEnd - len(forbidden) - i - 1)})
	}
	return append(append(program, syscall.SockFilter{Code: give, K: allow}), end...)
}

// checkForbidden asserts that the filter does what it is for.
func checkForbidden(t testing.TB) {
	t.Helper()
	var pipe [2]int
	if err := syscall.Pipe(pipe[:]); err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(pipe[0])
	defer syscall.Close(pipe[1])
	for _, c := range []struct {
		length int
		want   error
	}{
		{copyLimit, nil},
		{copyLimit + 1, syscall.EIO},
	} {
		if _, err := syscall.Write(pipe[1], make([]byte, c.length)); fmt.Sprint(err) != fmt.Sprint(c.want) {
			t.Fatalf("a write of %d bytes: %v, expected %v", c.length, err, c.want)
		}
	}
}
