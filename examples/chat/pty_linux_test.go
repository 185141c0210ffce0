package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/term"
)

// console is the program in a terminal of its own.
type console struct {
	cmd    *exec.Cmd
	master *os.File // the side of whoever types and looks
	tty    *os.File // the side of the program
	before *term.State
	status chan error

	mu      sync.Mutex
	output  string        // guarded by mu: all of it
	view    screenful     // guarded by mu: what it makes of the screen
	changed chan struct{} // cap 1: the view has changed
}

// openConsole starts a client in a terminal of 60 columns.
func openConsole(t *testing.T, address string, changes ...func(*exec.Cmd)) *console {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0) // so that Close ends a Read
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	var locked, number int32
	size := [4]uint16{20, 60}
	ioctl(t, master, syscall.TIOCSPTLCK, unsafe.Pointer(&locked))
	ioctl(t, master, syscall.TIOCGPTN, unsafe.Pointer(&number))
	ioctl(t, master, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })

	c := &console{master: master, tty: tty, status: make(chan error, 1), changed: make(chan struct{}, 1)}
	if c.before, err = term.GetState(int(tty.Fd())); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*bound)
	t.Cleanup(cancel)
	c.cmd = exec.CommandContext(ctx, os.Args[0], "-connect", address)
	c.cmd.Env = append(programEnv(), "TERM=xterm")
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = tty, tty, tty
	for _, change := range changes {
		change(c.cmd)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.status <- c.cmd.Wait() }() // ends with the program
	watching := make(chan struct{})
	go func() { // ends when master is closed
		defer close(watching)
		c.watch()
	}()
	t.Cleanup(func() { master.Close(); <-watching; cancel() })
	return c
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

// watch keeps the view up to date.
func (c *console) watch() {
	buf := make([]byte, 4096)
	for {
		n, err := c.master.Read(buf)
		c.mu.Lock()
		c.output += string(buf[:n])
		c.view.show(string(buf[:n]))
		c.mu.Unlock()
		select {
		case c.changed <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// sees waits until the screen shows just these lines. The cursor is where the
// bar is, or behind the last line.
func (c *console) sees(t *testing.T, lines ...string) {
	t.Helper()
	timeout := time.After(bound)
	want := strings.Join(lines, "\n")
	if !strings.Contains(want, "|") {
		want += "|"
	}
	for {
		c.mu.Lock()
		got := c.view.String()
		c.mu.Unlock()
		if got == want {
			return
		}
		select {
		case <-c.changed:
		case <-timeout:
			t.Fatalf("the screen (-expected +got):\n%s", cmp.Diff(want, got))
		}
	}
}

func (c *console) types(t *testing.T, keys string) {
	t.Helper()
	if _, err := c.master.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

// isAsItWas reports whether the terminal is in the state in which the program
// found it.
func (c *console) isAsItWas(t *testing.T) bool {
	t.Helper()
	now, err := term.GetState(int(c.tty.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(c.before, now)
}

// ends waits for the program's end and checks its status and the terminal.
func (c *console) ends(t *testing.T, status int) {
	t.Helper()
	select {
	case <-c.status:
		if got := c.cmd.ProcessState.ExitCode(); got != status {
			t.Errorf("%v, expected status %d", c.cmd.ProcessState, status)
		}
	case <-time.After(bound):
		t.Fatalf("the program did not end within %v", bound)
	}
	if !c.isAsItWas(t) {
		t.Error("the terminal is not as it was")
	}
}

// screenful is what a terminal shows, as far as this program makes use of one.
type screenful struct {
	rows [][]rune
	x, y int
	rest string // of an escape sequence, or of a character
}

const columns = 60

func (s *screenful) show(output string) {
	runes := []rune(s.rest + output)
	s.rest = ""
	for i := 0; i < len(runes); i++ {
		for len(s.rows) <= s.y {
			s.rows = append(s.rows, nil)
		}
		switch r := runes[i]; r {
		case '\r':
			s.x = 0
		case '\n':
			s.y++
		case '\x1b':
			end := i + 2
			for end < len(runes) && runes[end] >= '0' && runes[end] <= '9' {
				end++
			}
			if end >= len(runes) {
				s.rest = string(runes[i:])
				return
			}
			s.order(runes[end], string(runes[i+2:end]))
			i = end
		default:
			if s.x == columns {
				s.x, s.y = 0, s.y+1
				i--
				continue
			}
			for len(s.rows[s.y]) <= s.x {
				s.rows[s.y] = append(s.rows[s.y], ' ')
			}
			s.rows[s.y][s.x] = r
			s.x++
		}
	}
}

// order carries out an escape sequence.
func (s *screenful) order(letter rune, number string) {
	n := 1
	fmt.Sscan(number, &n)
	switch letter {
	case 'A':
		s.y -= n
	case 'B':
		s.y += n
	case 'C':
		s.x += n
	case 'D':
		s.x = max(s.x-n, 0)
	case 'K':
		s.rows[s.y] = s.rows[s.y][:min(s.x, len(s.rows[s.y]))]
	default:
		panic(fmt.Sprintf("unknown escape sequence: %s%c", number, letter))
	}
}

// String returns the lines up to that of the cursor, with a bar for the
// cursor, and whatever stands below it.
func (s *screenful) String() string {
	var b strings.Builder
	for y := 0; y < max(len(s.rows), s.y+1); y++ {
		var row []rune
		if y < len(s.rows) {
			row = s.rows[y]
		}
		if y == s.y {
			for len(row) < s.x {
				row = append(row, ' ')
			}
			b.WriteString(string(row[:s.x]) + "|" + strings.TrimRight(string(row[s.x:]), " ") + "\n")
		} else {
			b.WriteString(strings.TrimRight(string(row), " ") + "\n")
		}
	}
	return strings.TrimRight(b.String(), "\n")
}
