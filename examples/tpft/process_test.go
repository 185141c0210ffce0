package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// process is a program that runs in a process of its own. It does not outlive
// the test.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr output
	ended          chan struct{} // closed when it has, and all that it printed is there
}

func launch(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process, which Cleanup kills
		defer close(p.ended)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-p.ended
	})
	return p
}

// signal sends a signal. The process may have ended by then.
func (p *process) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
}

// wait returns the exit status, -1 for a process that was killed, which must
// come in time.
func (p *process) wait(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		t.Fatalf("%q did not end within %v, and has printed %q", p.cmd.Args, within, p.stderr.String())
		return -1
	}
}

// address returns where a server listens, as it has printed.
func (p *process) address(t *testing.T, printed *output) string {
	t.Helper()
	return p.after(t, printed, "listening on ")
}

// after waits for a line of a process that begins like this, and returns the rest.
func (p *process) after(t *testing.T, printed *output, prefix string) (rest string) {
	t.Helper()
	p.await(t, printed, "a line that begins with "+prefix, func(text string) (ok bool) {
		for line := range strings.Lines(text) {
			if rest, ok = strings.CutPrefix(line, prefix); ok && strings.HasSuffix(line, "\n") {
				rest = strings.TrimSuffix(rest, "\n")
				return true
			}
		}
		return false
	})
	return rest
}

// await waits until a process has printed what is expected.
func (p *process) await(t *testing.T, printed *output, what string, isThere func(text string) bool) {
	t.Helper()
	if !printed.await(p.ended, isThere) {
		t.Fatalf("%q: expected %s, it printed %q and %q", p.cmd.Args, what, p.stdout.String(), p.stderr.String())
	}
}

// await reports whether what is expected has been printed within the bound. A
// process that has ended prints no more.
func (o *output) await(ended <-chan struct{}, isThere func(text string) bool) bool {
	timeout := time.After(bound)
	for over := false; ; {
		text, wrote := o.next()
		if isThere(text) || over {
			return isThere(text)
		}
		select {
		case <-wrote:
		case <-ended: // all that it printed is there: a last look
			over = true
		case <-timeout:
			over = true
		}
	}
}

// next returns what was printed, and a channel that is closed when there is more.
func (o *output) next() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.wrote == nil {
		o.wrote = make(chan struct{})
	}
	return o.b.String(), o.wrote
}

// expectSuccess waits for a client that is to print nothing.
func (p *process) expectSuccess(t *testing.T) {
	t.Helper()
	if status := p.wait(t, bound); status != 0 || p.stdout.String()+p.stderr.String() != "" {
		t.Errorf("%q: status %d, printed %q and %q; expected 0 and nothing", p.cmd.Args, status, p.stdout.String(), p.stderr.String())
	}
}

// expectFailure waits for a client that is to end with status 1 and one line
// that tells the reason, which it returns.
func (p *process) expectFailure(t *testing.T, within time.Duration, reason string) string {
	t.Helper()
	status, line := p.wait(t, within), p.stderr.String()
	if status != 1 || !regexp.MustCompile(`^tpft(\.py)?: .*`+reason+`.*\n$`).MatchString(line) {
		t.Errorf("%q: status %d, stderr %q; expected 1 and one line with %q", p.cmd.Args, status, line, reason)
	}
	return line
}

// build builds the program. Unlike the test binary it has no race detector,
// which takes memory and time.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tpft.exe")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// pythonPath asks for the interpreter itself: what is in the PATH may be a
// slow wrapper.
var pythonPath = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	return string(bytes.TrimSpace(out)), err
})

const peerDir = "../../testdata/peer"

// pythonCommand is a run of the peer in Python. Nothing is skipped where all
// tests have to run.
func pythonCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := pythonPath()
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("CI has to test against Python, which does not run: %v", err)
	default:
		t.Skipf("the peer in Python needs python3, which does not run here: %v", err)
	}
	// Without -S it takes twice as long to start, for packages that it does not need.
	return exec.Command(path, append([]string{"-S", "-E", filepath.Join(peerDir, "tpft.py")}, args...)...)
}

// implementation is one of the two programs that have to understand each other.
type implementation struct {
	name string
	// serve starts a server and returns its address, too.
	serve func(t *testing.T, root string, flags ...string) (*process, string)
	// copy starts a client. SRC and DST are as the command line of tpft has them.
	copy func(t *testing.T, from, to string, flags ...string) *process
}

// goTPFT is this program: the test binary.
var goTPFT = implementation{"Go", func(t *testing.T, root string, flags ...string) (*process, string) {
	t.Helper()
	p := launch(t, goCommand(t, append(flags, "-l", "127.0.0.1:0", "-v", "-root", root)...))
	return p, p.address(t, &p.stderr)
}, func(t *testing.T, from, to string, flags ...string) *process {
	t.Helper()
	return launch(t, goCommand(t, append(flags, from, to)...))
}}

// goCommand is a run of the test binary as the program.
func goCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	// A race detector would have each process sleep for a second at its end.
	cmd.Env = append(os.Environ(), asProgram+"=1", "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	return cmd
}

// pythonTPFT is the peer in Python, with flags of its own.
var pythonTPFT = implementation{"Python", func(t *testing.T, root string, flags ...string) (*process, string) {
	t.Helper()
	p := launch(t, pythonCommand(t, append([]string{"serve", "--dir", root}, flags...)...))
	return p, p.address(t, &p.stdout)
}, func(t *testing.T, from, to string, flags ...string) *process {
	t.Helper()
	return launch(t, pythonCommand(t, pythonArgs(t, from, to, flags...)...))
}}

// pythonArgs translates SRC and DST.
func pythonArgs(t *testing.T, from, to string, flags ...string) []string {
	t.Helper()
	source, err := parsePlace(from)
	if err != nil {
		t.Fatal(err)
	}
	dest, err := parsePlace(to)
	if err != nil {
		t.Fatal(err)
	}
	if dest.server != "" {
		return slices.Concat([]string{"put"}, flags, []string{"--", dest.server, source.path, dest.path})
	}
	return slices.Concat([]string{"get"}, flags, []string{"--", source.server, source.path, dest.path})
}
