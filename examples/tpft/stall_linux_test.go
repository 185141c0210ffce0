package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// openFiles returns the files below a directory that this process has open,
// also those without a name.
func openFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		fd := "/proc/self/fd/" + e.Name()
		name, err := os.Readlink(fd)
		if info, failed := os.Stat(fd); err != nil || failed != nil || !info.Mode().IsRegular() {
			continue
		}
		if inside, ok := strings.CutPrefix(name, dir+"/"); ok {
			names = append(names, inside)
		}
	}
	return names
}

// stalls are clients that stop after so many bytes of a file. The first ones
// are stopped by a signal.
type stalls struct {
	stopped []*process
	others  []*process
}

// start has clients of both languages stall, each in an upload and in a download.
func (s *stalls) start(t *testing.T, server *testServer, dir string, after int64) {
	t.Helper()
	local := filepath.Join(dir, "local")
	for _, upload := range []bool{true, false} {
		r := startRelay(t, server.address)
		from, to := local, server.remote("up")
		if !upload {
			from, to = server.remote("down"), filepath.Join(dir, "python")
		}
		p := pythonTPFT.copy(t, from, to, "--stall-after", strconv.FormatInt(after, 10))
		s.others = append(s.others, p)

		if from, to = local, r.address+":up"; !upload {
			from, to = r.address+":down", filepath.Join(dir, "go")
		}
		reached, release := r.hold(upload, after)
		stopped := goTPFT.copy(t, from, to)
		s.stopped = append(s.stopped, stopped)
		select {
		case <-reached:
		case <-stopped.ended:
			t.Errorf("%d bytes were not reached: stderr %q", after, stopped.stderr.String())
		}
		stopped.signal(t, syscall.SIGSTOP)
		release()
		p.after(t, &p.stdout, "stalled")
	}
}

func (s *stalls) all() []*process { return slices.Concat(s.stopped, s.others) }

// expectAlone checks that nothing is open below the served directory and
// nothing new in it.
func expectAlone(t *testing.T, server *testServer) {
	t.Helper()
	if names := openFiles(t, server.root); len(names) > 0 {
		t.Errorf("open files below the root: %q, expected none", names)
	}
	expectNames(t, server.root, "down", "up")
	expectFile(t, server.path("up"), []byte("old"))
}

// startStallable serves a file to download and one to be replaced.
func startStallable(t *testing.T, flags ...string) (server *testServer, dir string) {
	t.Helper()
	server, dir = startServer(t, flags...), t.TempDir()
	write(t, server.path("down"), killData())
	write(t, server.path("up"), []byte("old"))
	write(t, filepath.Join(dir, "local"), killData())
	return server, dir
}

func TestClientsThatStallOrDieInsideAFileHoldUpNobody(t *testing.T) {
	server, dir := startStallable(t)
	for _, args := range [][2]string{{filepath.Join(dir, "local"), server.remote("up")}, {server.remote("down"), filepath.Join(dir, "python")}} {
		if status := pythonTPFT.copy(t, args[0], args[1], "--die-after", "1000000").wait(t, bound); status != 3 {
			t.Errorf("the Python client ended with status %d, expected that it died with 3", status)
		}
	}
	server.awaitDisconnected(t, 2)
	var s stalls
	s.start(t, server, dir, 1_000_000)
	s.start(t, server, dir, 500)

	for _, c := range []implementation{goTPFT, pythonTPFT} {
		c.copy(t, filepath.Join(dir, "local"), server.remote("other")).expectSuccess(t)
		c.copy(t, server.remote("other"), filepath.Join(dir, "other")).expectSuccess(t)
		expectFile(t, filepath.Join(dir, "other"), killData())
	}
	if err := os.Remove(server.path("other")); err != nil {
		t.Error(err)
	}
	if text := server.stdout.String(); strings.Count(text, " disconnected\n") != 4 || strings.Count(text, "disconnected:") != 2 {
		t.Errorf("the server said\n%s\nexpected that 4 clients disconnected and 2 died, and those that stall did not", text)
	}
	if names := openFiles(t, server.root); len(names) != 8 {
		t.Errorf("%d open files below the root, expected one for each of the 8 clients that stall: %q", len(names), names)
	}
	for _, p := range s.all() {
		p.signal(t, syscall.SIGKILL)
	}
	server.awaitDisconnected(t, 2+8)
	if text := server.stdout.String(); strings.Contains(text, "shorter") {
		t.Errorf("the server takes a connection that broke for a file that did:\n%s", text)
	}
	expectAlone(t, server)
}

// awaitDisconnected waits until so many clients have disconnected that should
// not have.
func (s *testServer) awaitDisconnected(t *testing.T, n int) {
	t.Helper()
	if !s.stdout.await(nil, func(text string) bool { return strings.Count(text, " disconnected: ") == n }) {
		t.Fatalf("expected that %d clients are disconnected, the server said\n%s", n, s.stdout.String())
	}
}

func TestClientsThatStallInsideAFileAreGivenUpAndLeaveNothing(t *testing.T) {
	server, dir := startStallable(t, "-timeout", "1s")
	var s stalls
	s.start(t, server, dir, 1_000_000)
	s.start(t, server, dir, 500)
	server.awaitDisconnected(t, 8)
	text := server.stdout.String()
	if n := strings.Count(text, "no progress for 1s") + strings.Count(text, "silent for 1s"); n != 8 {
		t.Errorf("the server gave up %d clients because they stall, expected 8:\n%s", n, text)
	}
	expectAlone(t, server)
	for _, p := range s.stopped {
		p.signal(t, syscall.SIGCONT)
		if status := p.wait(t, soon); status != 1 || !broken.MatchString(p.stderr.String()) {
			t.Errorf("the client that goes on ended with status %d and %q, expected 1 and that the connection is broken", status, p.stderr.String())
		}
	}
	for _, p := range s.others {
		p.signal(t, syscall.SIGKILL)
		<-p.ended
	}
	os.Remove(filepath.Join(dir, "python")) // Python has begun it
	expectNames(t, dir, "local")
	succeed(t, filepath.Join(dir, "local"), server.remote("up"))
}

func TestServersThatStallInsideAFileAreGivenUpAndLeaveNothing(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	local, here := write(t, filepath.Join(dir, "local"), killData()), write(t, filepath.Join(dir, "x"), []byte("old"))
	write(t, filepath.Join(root, "down"), killData())
	const reason = "no progress for 500ms"
	expect := func(from, to string) {
		t.Helper()
		fail(t, reason, "-timeout", "500ms", from, to)
		expectNames(t, dir, "local", "x")
		expectFile(t, here, []byte("old"))
		if names := openFiles(t, dir); len(names) > 0 {
			t.Errorf("open files: %q, expected none", names)
		}
	}
	_, python := pythonTPFT.serve(t, root, "--stall-after", "1000000")
	expect(local, python+":up")
	expect(python+":down", here)

	server, address := goTPFT.serve(t, root)
	for _, upload := range []bool{true, false} {
		r := startRelay(t, address)
		r.direction(upload).when(1_000_000, func() { server.signal(t, syscall.SIGSTOP) })
		if upload {
			expect(local, r.address+":up")
		} else {
			expect(r.address+":down", here)
		}
		server.signal(t, syscall.SIGCONT)
	}
	server.await(t, &server.stdout, "that two clients disconnected", func(text string) bool {
		return strings.Count(text, " disconnected: ") == 2
	})
	succeed(t, address+":down", here)
	expectFile(t, here, killData())
}
