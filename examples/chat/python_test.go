package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// pythonPath asks for the interpreter itself: what is in the PATH may be a
// slow wrapper.
var pythonPath = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	return strings.TrimSpace(string(out)), err
})

// startPython starts the peer in Python, which speaks the protocol as the
// original does: it must not be sent a message while it sends one.
func startPython(t *testing.T, args ...string) *process {
	t.Helper()
	path, err := pythonPath()
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("CI has to test against Python, which does not run: %v", err)
	default:
		t.Skipf("the foreign peer needs python3, which does not run here: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), path, append([]string{"../../testdata/peer/peer.py"}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	p := launch(t, cmd)
	late := time.AfterFunc(2*bound, func() { cmd.Process.Kill() })
	t.Cleanup(func() { late.Stop() })
	return p
}

func (p *process) types(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

func TestTwoPythonClientsChatThroughTheServer(t *testing.T) {
	server, address := startServer(t)
	connect := func() *process {
		t.Helper()
		p := startPython(t, "connect", address, "chat")
		if line := server.stdout.next(t); !strings.HasPrefix(line, "[INFO] New connection opened from ") {
			t.Fatalf("the server said %q, expected that a connection was opened", line)
		}
		return p
	}
	idIn := func(line, announced string) string {
		t.Helper()
		id, found := strings.CutSuffix(strings.TrimPrefix(line, "["), "] "+announced)
		if !found || !isID(id) {
			t.Fatalf("a client printed %q, expected [ID] %s", line, announced)
		}
		return id
	}
	a := connect()
	b := connect()
	idB := idIn(a.stdout.next(t), "**joined the chat")
	a.types(t, "hello from A")
	idA := idIn(b.stdout.next(t), "hello from A")
	for _, line := range []string{"", "grüß dich €", "/", strings.Repeat("x", 1<<17)} {
		b.types(t, line)
		a.stdout.expect(t, "["+idB+"] "+line)
		a.types(t, "and back: "+line)
		b.stdout.expect(t, "["+idA+"] and back: "+line)
	}
	b.types(t, "/nick bob") // they can do that as well
	b.stdout.expect(t, "** you are bob now")
	b.types(t, quit)
	a.stdout.expect(t, "[bob] "+quit)
	a.stdout.expect(t, "[bob] **left the chat")
	b.end(t, "")
	a.types(t, quit)
	a.end(t, "")
}

func TestGoClientsChatThroughAPythonServer(t *testing.T) {
	server := startPython(t, "serve", "chat")
	address := addressIn(t, server.stdout.next(t))
	a, toA := startClient(t, address)
	b, toB := startClient(t, address)
	meet(t, address, a, b)
	for _, line := range []string{"hello", "", "grüß dich €", strings.Repeat("x", 1<<20)} {
		io.WriteString(toA, line+"\n")
		fromA := b.stdout.next(t)
		io.WriteString(toB, "and back: "+line+"\n")
		fromB := a.stdout.next(t)
		if !strings.HasPrefix(fromA, "[") || !strings.HasSuffix(fromA, "] "+line) {
			t.Errorf("%.100q was printed as %.100q, expected [ID] in front of it", line, fromA)
		}
		if !strings.HasPrefix(fromB, "[") || !strings.HasSuffix(fromB, "] and back: "+line) {
			t.Errorf("the answer to %.100q was printed as %.100q", line, fromB)
		}
	}
	io.WriteString(toA, quit+"\n")
	a.end(t, 0, "", "")
	if line := b.stdout.next(t); !strings.HasSuffix(line, "] "+quit) {
		t.Errorf("b printed %q, expected a's %s", line, quit)
	}
	toB.Close()
	b.end(t, 0, "", "")
	server.signal(t, syscall.SIGTERM)
	server.end(t, "")
}

// meet waits until all clients are members of a server that does not tell who
// is: until they print what others say, who have left by then.
func meet(t *testing.T, address string, clients ...*program) {
	t.Helper()
	for n, deadline := 0, time.Now().Add(bound); time.Now().Before(deadline); n++ {
		knock := fmt.Sprint("] knock ", n)
		p := dial(t, address)
		p.say(t, strings.TrimPrefix(knock, "] "))
		p.leave(t)
		met := 0
		for _, c := range clients {
			if c.stdout.skipTo(knock, 200*time.Millisecond) {
				met++
			}
		}
		if met == len(clients) {
			return
		}
	}
	t.Fatalf("the clients do not hear each other within %v", bound)
}

// skipTo takes lines up to one with this end, and reports whether it came in time.
func (p *printed) skipTo(end string, patience time.Duration) bool {
	timeout := time.After(patience)
	for {
		select {
		case line := <-p.lines:
			if strings.HasSuffix(line, end) {
				return true
			}
		case <-timeout:
			return false
		}
	}
}
