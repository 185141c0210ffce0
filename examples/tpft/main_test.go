package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/internal/transcript"
)

// asProgram makes the test binary the program itself, for tests with signals.
const asProgram = "TPFT_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	leaktest.Main(m)
}

// bound is how long anything here may take before it counts as hanging.
const bound = 20 * time.Second

// output is what a program prints, which tests may read at any time.
type output struct {
	mu    sync.Mutex
	b     bytes.Buffer  // guarded by mu
	wrote chan struct{} // guarded by mu; closed by the next Write, nil if nobody waits for it
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.wrote != nil {
		close(o.wrote)
		o.wrote = nil
	}
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// line waits for a line that begins like this.
func (o *output) line(t *testing.T, prefix string) string {
	t.Helper()
	for timeout := time.After(bound); ; {
		o.mu.Lock()
		if o.wrote == nil {
			o.wrote = make(chan struct{})
		}
		text, wrote := o.b.String(), o.wrote
		o.mu.Unlock()
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, prefix) && strings.HasSuffix(line, "\n") {
				return line
			}
		}
		select {
		case <-wrote:
		case <-timeout:
			t.Fatalf("no line begins with %q:\n%s", prefix, text)
		}
	}
}

// program is a run of the program in this process.
type program struct {
	stdout, stderr output
	status         chan int
	cancel         context.CancelFunc
}

func start(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{status: make(chan int, 1), cancel: cancel}
	go func() { p.status <- run(ctx, args, &p.stdout, &p.stderr) }() // ends with cancel
	t.Cleanup(cancel)
	return p
}

// wait returns the exit status, which must come within the bound.
func (p *program) wait(t *testing.T) int {
	t.Helper()
	select {
	case status := <-p.status:
		return status
	case <-time.After(bound):
		t.Fatalf("the program did not end within %v", bound)
		return -1
	}
}

// server is a server in this process, with a directory to serve.
type testServer struct {
	*program
	address string // host:port
	root    string
}

// startServer serves a new directory on a free port.
func startServer(t *testing.T, args ...string) *testServer {
	t.Helper()
	return startServerAt(t, t.TempDir(), args...)
}

func startServerAt(t *testing.T, root string, args ...string) *testServer {
	t.Helper()
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	s := &testServer{program: &program{status: make(chan int, 1), cancel: cancel}, root: root}
	args = append([]string{"-l", "127.0.0.1:0", "-v", "-root", root}, args...)
	go func() { // ends with cancel
		status := run(ctx, args, &s.stdout, w)
		w.Close()
		s.status <- status
	}()
	ended := false
	t.Cleanup(func() {
		cancel()
		if !ended {
			s.wait(t)
		}
	})
	buf := make([]byte, 1000)
	n, err := r.Read(buf)
	address, ok := strings.CutPrefix(strings.TrimSuffix(string(buf[:n]), "\n"), "listening on ")
	if err != nil || !ok {
		ended = true
		t.Fatalf("stderr of the server: %q, %v; expected listening on ADDR", buf[:n], err)
	}
	go io.Copy(&s.stderr, r) // ends with the server
	s.address = address
	return s
}

// remote returns a path of the server as the command line has it.
func (s *testServer) remote(path string) string { return s.address + ":" + path }

// path returns where a file of the server is.
func (s *testServer) path(name string) string { return filepath.Join(s.root, name) }

// tpft runs a client, and returns its status and what it printed on stderr.
func tpft(t *testing.T, args ...string) (status int, stderr string) {
	t.Helper()
	p := start(t, args...)
	status = p.wait(t)
	if out := p.stdout.String(); out != "" {
		t.Errorf("%q printed %q on stdout, expected nothing", args, out)
	}
	return status, p.stderr.String()
}

// succeed runs a client that is to print nothing.
func succeed(t *testing.T, args ...string) {
	t.Helper()
	if status, stderr := tpft(t, args...); status != 0 || stderr != "" {
		t.Fatalf("%q: status %d, stderr %q; expected 0 and nothing", args, status, stderr)
	}
}

// fail runs a client that is to end with status 1 and a reason that contains this.
func fail(t *testing.T, reason string, args ...string) {
	t.Helper()
	if status, stderr := tpft(t, args...); status != 1 || !strings.Contains(stderr, reason) {
		t.Errorf("%q: status %d, stderr %q; expected 1 and %q", args, status, stderr, reason)
	}
}

// contents returns n bytes that are not all the same.
func contents(n int) []byte { return transcript.Gen(n) }

func write(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// expectFile checks what is in a file.
func expectFile(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s has %d bytes, beginning with %.40q, %v; expected %d, beginning with %.40q",
			filepath.Base(path), len(got), got, err, len(want), want)
	}
}

// expectNames checks what is in a directory and below.
func expectNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	got := []string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && path != dir {
			name, _ := filepath.Rel(dir, path)
			got = append(got, filepath.ToSlash(name))
		}
		return err
	})
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("names in %s, error %v (-want +got):\n%s", filepath.Base(dir), err, diff)
	}
}
