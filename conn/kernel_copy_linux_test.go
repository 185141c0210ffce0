//go:build amd64 || arm64 || loong64 || riscv64

package conn_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
)

// The files of the test, in the directory that its child works in.
const (
	copySource = "source"
	copyTarget = "target"
)

// plain hides that a file is one.
type plain struct{ io.ReadWriter }

// copySize is the size of the message: less is enough to see that it fails.
const copySize, copySizeToFail = 64 << 20, 1 << 20

// From a file to a TCP connection, and from there into a file, the kernel
// copies: in a process that can't move more than 64 bytes at a time by itself,
// 64 MiB arrive. And without files they do not, so this can fail. For pipelined mode
// see pipelined_kernel_copy_linux_test.go.
func TestNoPayloadByteOfAFileEntersTheProgram(t *testing.T) {
	for _, c := range []struct {
		name   string
		reader func(*os.File) io.Reader
		writer func(*os.File) io.Writer
		size   int
		fails  bool
	}{
		{"from file to file", func(f *os.File) io.Reader { return f }, func(f *os.File) io.Writer { return f }, copySize, false},
		{"from something else", func(f *os.File) io.Reader { return plain{f} }, func(f *os.File) io.Writer { return f }, copySizeToFail, true},
		{"into something else", func(f *os.File) io.Reader { return f }, func(f *os.File) io.Writer { return plain{f} }, copySizeToFail, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, child := copyDir(t, c.size)
			if !inChild(t, child) {
				checkCopied(t, dir, c.size, !c.fails)
				return
			}
			source, target := copyFiles(t)
			x, y := tcpPair(t)
			forbidCopying(t)
			checkForbidden(t)
			arrived := make(chan error, 1)
			a, _ := joinBounded(t, x, y, nil, &conn.Options{Accept: func(uint32) conn.Placement {
				return conn.Placement{Writer: c.writer(target), Done: func(_ int64, err error) { arrived <- err }}
			}})
			err := a.SendFrom(t.Context(), c.reader(source), int64(c.size))
			if err == nil {
				err = <-arrived
			}
			if (err != nil) != c.fails {
				t.Errorf("the message: %v; expected that it fails: %t", err, c.fails)
			}
		})
	}
}

// From a Unix socket into a file as well: here the sender is the process outside.
func TestNoPayloadByteFromAUnixSocketIntoAFileEntersTheProgram(t *testing.T) {
	dir, child := copyDir(t, copySize)
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	sent := make(chan error, 1)
	if os.Getenv(childVariable) == "" {
		go func() { // ends with the message, or with the child
			nc, err := net.FileConn(ours)
			if err != nil {
				sent <- err
				return
			}
			defer nc.Close()
			c, err := conn.New(t.Context(), nc, nil)
			if err == nil {
				err = sendFile(t.Context(), c, filepath.Join(dir, copySource))
			}
			if err == nil {
				err = c.Shutdown(t.Context())
			}
			sent <- err
		}()
	}
	if !inChild(t, child, func(cmd *exec.Cmd) { cmd.ExtraFiles = []*os.File{theirs} }) {
		theirs.Close()
		if err := <-sent; err != nil {
			t.Errorf("the sender: %v", err)
		}
		checkCopied(t, dir, copySize, true)
		return
	}
	theirs.Close()
	_, target := copyFiles(t)
	nc, err := net.FileConn(os.NewFile(3, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	forbidCopying(t)
	checkForbidden(t)
	arrived := make(chan error, 1)
	c, err := conn.New(t.Context(), nc, &conn.Options{Accept: func(uint32) conn.Placement {
		return conn.Placement{Writer: target, Done: func(_ int64, err error) { arrived <- err }}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := <-arrived; err != nil {
		t.Errorf("the message: %v", err)
	}
	if err := c.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// Where the kernel does not copy, the program does.
func TestFilesAreCopiedWhereTheKernelDoesNot(t *testing.T) {
	eachMode(t, testFilesAreCopiedWhereTheKernelDoesNot)
}

func testFilesAreCopiedWhereTheKernelDoesNot(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   syscall.Errno
		calls []uint32
	}{
		{"an old kernel", syscall.ENOSYS, []uint32{syscall.SYS_SPLICE, syscall.SYS_SENDFILE}},
		{"a file system that can't", syscall.EINVAL, []uint32{syscall.SYS_SPLICE, syscall.SYS_SENDFILE}},
		{"a sandbox", syscall.EPERM, []uint32{syscall.SYS_SPLICE}},
		{"no pipes left", syscall.EMFILE, []uint32{syscall.SYS_PIPE2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			const size = 1 << 20
			dir, child := copyDir(t, size)
			if !inChild(t, child) {
				checkCopied(t, dir, size, true)
				return
			}
			source, target := copyFiles(t)
			x, y := tcpPair(t)
			forbidCalls(t, c.err, c.calls...)
			if _, err := syscall.Splice(-1, nil, -1, nil, 1, 0); c.calls[0] == syscall.SYS_SPLICE && err != c.err {
				t.Fatalf("splice: %v, expected %v", err, c.err)
			}
			a, b := joinBounded(t, x, y, nil, nil)
			into := make(catcher, 1)
			b.SetAccept(func(n uint32) conn.Placement {
				p := into.accept(n)
				p.Writer = target
				return p
			})
			if err := a.SendFrom(t.Context(), source, size); err != nil {
				t.Error(err)
			}
			if got := <-into; got.err != nil || got.moved != size {
				t.Errorf("%d bytes came, %v", got.moved, got.err)
			}
		})
	}
}

func sendFile(ctx context.Context, c *conn.Conn, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return c.SendFrom(ctx, f, copySize)
}

// copyDir makes a directory with the source, and has the child work there.
func copyDir(t testing.TB, size int) (dir string, prepare func(*exec.Cmd)) {
	t.Helper()
	dir = t.TempDir()
	if os.Getenv(childVariable) == "" {
		f, err := os.Create(filepath.Join(dir, copySource))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		const chunk = 1 << 20
		for at := range size / chunk {
			if _, err := f.Write(content(chunk + at)[at:]); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir, func(cmd *exec.Cmd) { cmd.Dir = dir }
}

func copyFiles(t testing.TB) (source, target *os.File) {
	t.Helper()
	source, err := os.Open(copySource)
	target, err2 := os.Create(copyTarget)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close(); target.Close() })
	return source, target
}

// checkCopied compares the target with the source.
func checkCopied(t testing.TB, dir string, size int, want bool) {
	t.Helper()
	source, n := fileSum(t, filepath.Join(dir, copySource))
	if n != int64(size) {
		t.Errorf("the source has %d bytes, expected %d", n, size)
	}
	target, n := fileSum(t, filepath.Join(dir, copyTarget))
	if (source == target) != want {
		t.Errorf("the target, of %d bytes, is like the source: %t, expected %t", n, source == target, want)
	}
}

func fileSum(t testing.TB, path string) (sum string, size int64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	hash := sha256.New()
	if size, err = io.Copy(hash, f); err != nil {
		t.Fatal(err)
	}
	return string(hash.Sum(nil)), size
}
