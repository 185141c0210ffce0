package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// asProgram makes the test binary the program itself, for tests with signals.
const asProgram = "ECHO_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	leaktest.Main(m)
}

// bound is how long anything here may take before it counts as hanging.
const bound = 10 * time.Second

// program is a run of the program in this process.
type program struct {
	stdout, stderr bytes.Buffer
	status         chan int
	cancel         context.CancelFunc
}

func start(t *testing.T, stdin io.Reader, stderr io.Writer, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{status: make(chan int, 1), cancel: cancel}
	if stderr == nil {
		stderr = &p.stderr
	}
	go func() { p.status <- run(ctx, args, stdin, &p.stdout, stderr) }() // ends with cancel
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

// startServer starts a server on a free port and returns its address.
func startServer(t *testing.T) (*program, string) {
	t.Helper()
	r, w := io.Pipe()
	p := start(t, nil, w, "-listen", "127.0.0.1:0")
	t.Cleanup(func() { r.Close() })
	return p, addressIn(t, r)
}

// addressIn reads the line that tells where a server listens.
func addressIn(t *testing.T, stderr io.Reader) string {
	t.Helper()
	buf := make([]byte, 100)
	n, err := stderr.Read(buf)
	address, ok := strings.CutPrefix(strings.TrimSuffix(string(buf[:n]), "\n"), "listening on ")
	if err != nil || !ok {
		t.Fatalf("stderr of the server: %q, %v; expected listening on ADDR", buf[:n], err)
	}
	return address
}

func TestClientSendsLinesInTurnAndPrintsReplies(t *testing.T) {
	long := strings.Repeat("x", 6<<20)
	for _, tt := range []struct{ name, stdin, stdout string }{
		{"no input", "", ""},
		{"lines", "hello\nworld\n", "Response from server: Echo back: hello\nResponse from server: Echo back: world\n"},
		{"an empty line", "\n", "Response from server: Echo back: \n"},
		{"a last line without newline", "a\nb", "Response from server: Echo back: a\nResponse from server: Echo back: b\n"},
		{"UTF-8", "grüß €\n", "Response from server: Echo back: grüß €\n"},
		{"a line of 6 MiB", long + "\n", "Response from server: Echo back: " + long + "\n"},
		{"QUIT ends it", "a\nQUIT\nb\n", "Response from server: Echo back: a\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, address := startServer(t)
			p := start(t, strings.NewReader(tt.stdin), nil, "-connect", address)
			if status := p.wait(t); status != 0 || p.stderr.Len() > 0 {
				t.Errorf("status %d, stderr %q; expected 0 and nothing", status, p.stderr.String())
			}
			if got := p.stdout.String(); got != tt.stdout {
				t.Errorf("stdout is %d bytes, expected %d:\n%.200s", len(got), len(tt.stdout), got)
			}
		})
	}
}

func TestServerReportsConnectionsAndEndsWithSRVQUIT(t *testing.T) {
	server, address := startServer(t)
	for range 2 {
		if status := start(t, strings.NewReader("hi\nQUIT\n"), nil, "-connect", address).wait(t); status != 0 {
			t.Fatalf("client: status %d", status)
		}
	}
	if status := start(t, strings.NewReader("SRVQUIT\n"), nil, "-connect", address).wait(t); status != 0 {
		t.Fatalf("client with SRVQUIT: status %d", status)
	}
	if status := server.wait(t); status != 0 {
		t.Errorf("server: status %d, expected 0", status)
	}
	var kinds []string
	for _, line := range strings.Split(strings.TrimSpace(server.stdout.String()), "\n") {
		kind, address, _ := strings.Cut(line, ": ")
		if _, _, err := net.SplitHostPort(address); err != nil {
			t.Errorf("line %q: %v", line, err)
		}
		kinds = append(kinds, kind)
	}
	opened, closed := "Connection opened from", "Connection closed from"
	if diff := cmp.Diff([]string{opened, closed, opened, closed, opened, closed}, kinds); diff != "" {
		t.Errorf("stdout of the server (-expected +got):\n%s", diff)
	}
}

// dialRaw connects without the library.
func dialRaw(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(bound))
	return c
}

func TestSRVQUITEndsTheServerWhateverItsPeersDo(t *testing.T) {
	server, address := startServer(t)
	dialRaw(t, address) // never greets

	silent := dialRaw(t, address) // never answers the offer of its reply
	exchange(t, silent, "ff", "ff")
	exchange(t, silent, "00000001", "ff")
	exchange(t, silent, "78", "0000000c")

	deaf := dialRaw(t, address) // accepts replies and reads none of them
	exchange(t, deaf, "ff", "ff")
	body := make([]byte, 16<<20-len(prefix))
	exchange(t, deaf, fmt.Sprintf("%08x", len(body)), "ff")
	if _, err := deaf.Write(body); err != nil {
		t.Fatal(err)
	}
	exchange(t, deaf, "", fmt.Sprintf("%08x", len(body)+len(prefix)))
	exchange(t, deaf, "ff", "")

	half := dialRaw(t, address) // stops in the middle of a message
	exchange(t, half, "ff", "ff")
	exchange(t, half, "00000064", "ff")
	exchange(t, half, "7878", "")

	if status := start(t, strings.NewReader("SRVQUIT"), nil, "-connect", address).wait(t); status != 0 {
		t.Fatalf("client: status %d", status)
	}
	if status := server.wait(t); status != 0 {
		t.Errorf("server: status %d, expected 0", status)
	}
}

func TestAnOutputThatNobodyReadsHoldsUpNeitherEnd(t *testing.T) {
	stuck, never := io.Pipe() // stdout: a write to it waits for ever
	defer stuck.Close()
	r, w := io.Pipe()
	defer r.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	serverStatus, clientStatus := make(chan int, 1), make(chan int, 1)
	go func() { serverStatus <- run(ctx, []string{"-listen", "127.0.0.1:0"}, nil, never, w) }() // ends with SRVQUIT
	address := addressIn(t, r)

	clientCtx, interrupt := context.WithCancel(context.Background())
	lines, typed := io.Pipe()
	defer lines.Close()
	go func() { clientStatus <- run(clientCtx, []string{"-connect", address}, lines, never, io.Discard) }() // ends with interrupt
	io.WriteString(typed, "hello\n")
	interrupt()
	wait := func(name string, status chan int) {
		t.Helper()
		select {
		case got := <-status:
			if got != 0 {
				t.Errorf("%s: status %d, expected 0", name, got)
			}
		case <-time.After(bound):
			t.Fatalf("the %s did not end within %v", name, bound)
		}
	}
	wait("client", clientStatus)
	if status := start(t, strings.NewReader("SRVQUIT\n"), nil, "-connect", address).wait(t); status != 0 {
		t.Errorf("client with SRVQUIT: status %d", status)
	}
	wait("server", serverStatus)
}

// exchange writes bytes to c and expects others, both in hex.
func exchange(t *testing.T, c net.Conn, write, expect string) {
	t.Helper()
	var out, want []byte
	fmt.Sscanf(write, "%x", &out)
	fmt.Sscanf(expect, "%x", &want)
	if _, err := c.Write(out); err != nil {
		t.Fatalf("writing %s: %v", write, err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("after %s: read %x, %v; expected %s", write, got, err, expect)
	}
}

// rawServer is a server that does what it is told to its one connection.
func rawServer(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends with serve, or with l
		defer close(done)
		if c, err := l.Accept(); err == nil {
			defer c.Close()
			serve(c)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// untilClosed reads until the other end closes.
func untilClosed(c net.Conn) { io.Copy(io.Discard, c) }

func TestClientFailsWithOneLineAtOnce(t *testing.T) {
	greet := func(hello string) func(net.Conn) {
		return func(c net.Conn) { io.WriteString(c, hello); c.(*net.TCPConn).CloseWrite(); untilClosed(c) }
	}
	for _, tt := range []struct {
		name  string
		serve func(net.Conn)
		says  string
	}{
		{"CONLIMIT", greet("\xfe"), "connection limit"},
		{"zeros", greet(strings.Repeat("\x00", 254)), "refused"},
		{"end of stream", greet(""), "refused"},
		{"another protocol", greet("220 ready\r\n"), "does not speak tinyproto"},
		{"the server ends while the client waits for input", greet("\xff"), "the server ended the connection"},
		{"a broken protocol while the client waits for input", greet("\xff\xf5"), "protocol violation"},
		{"a message nobody asked for", func(c net.Conn) {
			io.WriteString(c, "\xff\x00\x00\x00\x02hi")
			untilClosed(c)
		}, "nobody asked for"},
		{"an end amid a message", greet("\xff\x00\x00\x00\x02h"), "1 of 2 payload bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stdin, keep := io.Pipe() // never says anything
			defer keep.Close()
			p := start(t, stdin, nil, "-connect", rawServer(t, tt.serve))
			if status := p.wait(t); status != 1 {
				t.Errorf("status %d, expected 1", status)
			}
			if got := p.stderr.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, tt.says) {
				t.Errorf("stderr %q, expected one line that says %q", got, tt.says)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		p := start(t, strings.NewReader("x"), nil, "-connect", l.Addr().String())
		if status := p.wait(t); status != 1 || strings.Count(p.stderr.String(), "\n") != 1 {
			t.Errorf("status %d, stderr %q; expected 1 and one line", status, p.stderr.String())
		}
	})
	t.Run("a line over the limit", func(t *testing.T) {
		_, address := startServer(t)
		p := start(t, strings.NewReader(strings.Repeat("x", maxLine+1)), nil, "-connect", address)
		if status := p.wait(t); status != 1 || !strings.Contains(p.stderr.String(), "longer than") {
			t.Errorf("status %d, stderr %q; expected 1 and a line that names the limit", status, p.stderr.String())
		}
	})
}

func TestALineOfJustTheLimitPasses(t *testing.T) {
	_, address := startServer(t)
	p := start(t, strings.NewReader(strings.Repeat("x", maxLine)+"\n"), nil, "-connect", address)
	if status := p.wait(t); status != 0 {
		t.Fatalf("status %d, stderr %q", status, p.stderr.String())
	}
	if n := p.stdout.Len() - len("Response from server: Echo back: \n"); n != maxLine {
		t.Errorf("%d bytes came back, expected %d", n, maxLine)
	}
}

func TestBadFlagsEndWithStatus2(t *testing.T) {
	for _, args := range [][]string{{}, {"-listen", "a:1", "-connect", "b:1"}, {"-nonsense"}, {"-listen"}, {"-connect", "a:1", "more"}} {
		p := start(t, nil, nil, args...)
		if status := p.wait(t); status != 2 || p.stderr.Len() == 0 {
			t.Errorf("%q: status %d, stderr %q; expected 2 and the usage", args, status, p.stderr.String())
		}
	}
}

func TestBothEndCleanlyOnSignals(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			server, address := spawn(t, nil, "-listen", "127.0.0.1:0")
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			defer w.Close()
			client, _ := spawn(t, r, "-connect", address)
			io.WriteString(w, "hello\n")
			out := make([]byte, len("Response from server: Echo back: hello\n"))
			if _, err := io.ReadFull(client.out, out); err != nil {
				t.Fatal(err)
			}
			for _, p := range []*process{client, server} { // a client whose server goes first fails
				if err := p.cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, p.out)
				if err := p.cmd.Wait(); err != nil {
					t.Errorf("echo %s after %v: %v, expected status 0", p.cmd.Args[1], signal, err)
				}
			}
		})
	}
}

// process is the program as a process of its own.
type process struct {
	cmd *exec.Cmd
	out io.Reader
}

// spawn starts the program and, for a server, returns its address.
func spawn(t *testing.T, stdin *os.File, args ...string) (*process, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	if stdin != nil {
		cmd.Stdin = stdin
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if args[0] != "-listen" {
		return &process{cmd, out}, ""
	}
	return &process{cmd, out}, addressIn(t, stderr)
}
