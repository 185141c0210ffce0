package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

func TestAnInterruptEndsTheProgressBarAndTheCommandWithStatus1(t *testing.T) {
	for _, processes := range []int{1, 2} {
		t.Run(fmt.Sprint(processes), func(t *testing.T) {
			screen, tty := terminal(t)
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-run", "^ping-pong-16B/stream$", "-rounds", "1",
				"-time", "1h", "-processes", fmt.Sprint(processes))
			cmd.Env = append(os.Environ(), asCommand+"=1", "TERM=xterm")
			var stdout bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, tty
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			tty.Close() // ours; the screen ends with the command's
			shown := bufio.NewReader(screen)
			var before strings.Builder
			for !strings.Contains(before.String(), "ping-pong-16B/stream") {
				b, err := shown.ReadByte()
				if err != nil {
					t.Fatalf("no progress bar, but %q: %v", &before, err)
				}
				before.WriteByte(b)
			}
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			var after bytes.Buffer
			after.ReadFrom(shown) // an error is the end: nobody writes to it any more
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("%v, expected status 1", err)
			}
			if want := "\rbenchmarks: interrupted\r\n"; !strings.HasSuffix(after.String(), want) {
				t.Errorf("the screen ends with %q, expected %q", &after, want)
			}
			if stdout.Len() > 0 {
				t.Errorf("printed:\n%s", &stdout)
			}
		})
	}
}

// terminal returns the two sides of one: of who looks, and of the program.
func terminal(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	var locked, number int32
	size := [4]uint16{24, 80}
	ioctl(t, screen, syscall.TIOCSPTLCK, unsafe.Pointer(&locked))
	ioctl(t, screen, syscall.TIOCGPTN, unsafe.Pointer(&number))
	ioctl(t, screen, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return screen, tty
}

func ioctl(t *testing.T, f *os.File, request uintptr, argument unsafe.Pointer) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(argument))
	})
	if err != nil || errno != 0 {
		t.Fatalf("ioctl %x: %v, %v", request, err, errno)
	}
}
