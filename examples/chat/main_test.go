package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// asProgram makes the test binary the program itself, for tests with signals.
const asProgram = "CHAT_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	leaktest.Main(m)
}

// bound is how long anything here may take before it counts as hanging.
const bound = 15 * time.Second

// printed is what a program prints, line by line.
type printed struct {
	part  []byte
	lines chan string
}

func newPrinted() *printed { return &printed{lines: make(chan string, 1000)} }

// Write never waits, or a program that prints would.
func (p *printed) Write(b []byte) (int, error) {
	p.part = append(p.part, b...)
	for {
		line, rest, found := bytes.Cut(p.part, []byte("\n"))
		if !found {
			return len(b), nil
		}
		select {
		case p.lines <- string(line):
		default:
			panic("more lines were printed than a test takes")
		}
		p.part = rest
	}
}

// next waits for the next line.
func (p *printed) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-p.lines:
		return line
	case <-time.After(bound):
		t.Fatalf("no line was printed within %v", bound)
		return ""
	}
}

// expect waits for the next line, which must be this one.
func (p *printed) expect(t *testing.T, want string) {
	t.Helper()
	if got := p.next(t); got != want {
		t.Errorf("printed %.200q, expected %.200q", got, want)
	}
}

// rest returns what else a program printed before it ended.
func (p *printed) rest() string {
	var b strings.Builder
	for len(p.lines) > 0 {
		b.WriteString(<-p.lines + "\n")
	}
	return b.String() + string(p.part)
}

// program is a run of the program in this process.
type program struct {
	stdout, stderr *printed
	status         chan int
	cancel         context.CancelFunc
}

func start(t *testing.T, stdin io.Reader, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{newPrinted(), newPrinted(), make(chan int, 1), cancel}
	go func() { p.status <- run(ctx, args, stdin, p.stdout, p.stderr) }() // ends with cancel
	t.Cleanup(cancel)
	return p
}

// end waits for the program and checks its status and all that it still printed.
func (p *program) end(t *testing.T, status int, stdout, stderr string) {
	t.Helper()
	select {
	case got := <-p.status:
		if got != status {
			t.Errorf("status %d, expected %d", got, status)
		}
	case <-time.After(bound):
		t.Fatalf("the program did not end within %v", bound)
	}
	if got := p.stdout.rest(); got != stdout {
		t.Errorf("stdout went on with %.200q, expected %.200q", got, stdout)
	}
	if got := p.stderr.rest(); got != stderr {
		t.Errorf("stderr went on with %.200q, expected %.200q", got, stderr)
	}
}

// startServer starts a server on a free port and returns its address.
func startServer(t *testing.T) (*program, string) {
	t.Helper()
	p := start(t, nil, "-listen", "127.0.0.1:0")
	return p, addressIn(t, p.stderr.next(t))
}

// addressIn takes the address from the line that tells where a server listens.
func addressIn(t *testing.T, line string) string {
	t.Helper()
	address, ok := strings.CutPrefix(line, "listening on ")
	if !ok {
		t.Fatalf("the server said %q, expected listening on ADDR", line)
	}
	return address
}

func TestBadFlagsEndWithStatus2(t *testing.T) {
	for _, args := range [][]string{{}, {"-listen", "a:1", "-connect", "b:1"}, {"-nonsense"}, {"-listen"}, {"-connect", "a:1", "more"}} {
		p := start(t, nil, args...)
		select {
		case status := <-p.status:
			if stderr := p.stderr.rest(); status != 2 || !strings.Contains(stderr, "usage: chat -listen ADDR | -connect ADDR") {
				t.Errorf("%q: status %d, stderr %q; expected 2 and the usage", args, status, stderr)
			}
		case <-time.After(bound):
			t.Fatalf("%q: no end", args)
		}
	}
}

func TestAnAddressThatCannotBeUsedIsOneLineAndStatus1(t *testing.T) {
	_, taken := startServer(t)
	for _, args := range [][]string{
		{"-listen", taken}, {"-listen", "nonsense"}, {"-connect", "nonsense"}, {"-connect", "udp://127.0.0.1:1"},
	} {
		p := start(t, strings.NewReader(""), args...)
		line := p.stderr.next(t)
		if !strings.HasPrefix(line, "chat: ") {
			t.Errorf("%q: stderr %q, expected it to begin with the program's name", args, line)
		}
		p.end(t, 1, "", "")
	}
}

func TestBothEndCleanlyOnSignals(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			server := spawn(t, "-listen", "127.0.0.1:0")
			address := addressIn(t, server.stderr.next(t))
			client := spawn(t, "-connect", address)
			opened := server.stdout.next(t)
			server.stdout.lines <- opened
			io.WriteString(client.stdin, "/who\n")
			client.stdout.next(t) // it is in the middle of things

			client.signal(t, signal) // the server goes last: a client whose server goes fails
			client.end(t, "")
			server.signal(t, signal)
			from, _ := strings.CutPrefix(opened, "[INFO] New connection opened from ")
			server.end(t, opened+"\n[INFO] Connection closed from "+from+"\n")
		})
	}
}

// process is the program as a process of its own.
type process struct {
	cmd            *exec.Cmd
	stdin          io.Writer
	stdout, stderr *printed
}

func spawn(t *testing.T, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = programEnv()
	return launch(t, cmd)
}

// programEnv makes the test binary the program, which ends at once also with
// the race detector.
func programEnv() []string {
	return append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0")
}

// launch starts a process that does not outlive the test.
func launch(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, stdout: newPrinted(), stderr: newPrinted()}
	cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return p
}

func (p *process) signal(t *testing.T, signal os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// end waits for the process, which must end with status 0, and checks all that
// it still printed.
func (p *process) end(t *testing.T, stdout string) {
	t.Helper()
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%q: %v, expected status 0", p.cmd.Args[1:], err)
	}
	if got := p.stdout.rest(); got != stdout {
		t.Errorf("stdout went on with %q, expected %q", got, stdout)
	}
	if got := p.stderr.rest(); got != "" {
		t.Errorf("stderr went on with %q, expected nothing", got)
	}
}
