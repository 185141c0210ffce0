package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// patience bounds what has to happen soon: only a failing test takes that long.
const patience = 20 * time.Second

func receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("still waiting after %v for %s", patience, what)
		panic("unreachable")
	}
}

// program is a call of run in a goroutine of its own.
type program struct {
	cancel context.CancelFunc
	status chan int
	out    bytes.Buffer // read once status has come
	err    output
}

// output is what a program wrote to stderr so far.
type output struct {
	mu    sync.Mutex
	text  string
	lines chan string // whole lines, as many as fit
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := strings.Count(o.text, "\n")
	o.text += string(p)
	lines := strings.Split(o.text, "\n")
	for _, line := range lines[before : len(lines)-1] {
		select {
		case o.lines <- line:
		default:
		}
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text
}

// start runs the program, and ends it when the test ends.
func start(t testing.TB, stdin io.Reader, args ...string) *program {
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{cancel: cancel, status: make(chan int, 1), err: output{lines: make(chan string, 10)}}
	ended := make(chan struct{})
	go func() { // ends with ctx
		defer close(ended)
		p.status <- run(ctx, args, stdin, &p.out, &p.err)
	}()
	t.Cleanup(func() {
		cancel()
		receive(t, "the end of the program", ended)
	})
	return p
}

// address returns where a source or a sink listens.
func (p *program) address(t testing.TB) string {
	t.Helper()
	line := receive(t, "the program to listen", p.err.lines)
	address, ok := strings.CutPrefix(line, "listening on ")
	if !ok {
		t.Fatalf("the program said %q", line)
	}
	return address
}

// check waits for the end of the program and compares how it ended.
func (p *program) check(t testing.TB, what string, status int, stdout string) {
	t.Helper()
	if got := receive(t, "the end of the "+what, p.status); got != status {
		t.Errorf("%s: status %d, expected %d; it said:\n%s", what, got, status, &p.err)
	}
	if diff := cmp.Diff(stdout, p.out.String()); diff != "" {
		t.Errorf("%s: stdout (-want +got):\n%s", what, diff)
	}
}

// complaint returns what a program that failed said last, and expects it to be
// one line behind the one that says where it listens.
func (p *program) complaint(t testing.TB) string {
	t.Helper()
	text := p.err.String()
	if strings.HasPrefix(text, "listening on ") {
		_, text, _ = strings.Cut(text, "\n")
	}
	line, rest, _ := strings.Cut(text, "\n")
	if !strings.HasPrefix(line, "pipeline: ") || rest != "" {
		t.Errorf("expected one line that begins with the program's name, it said:\n%s", text)
	}
	return line
}

// idle is a stdin that has nothing to say until the test ends.
func idle(t testing.TB) io.Reader {
	r, w := io.Pipe()
	t.Cleanup(func() { w.Close() })
	return r
}

// refusedPort is an address that nobody listens on, and that nobody else can
// take during the test: it is a client's.
func refusedPort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close(); l.Close() })
	return nc.LocalAddr().String()
}

// serveSink is a sink of another kind than the program's.
func serveSink(t testing.TB, take func(*tinyproto.Conn)) (address string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l, err := tinyproto.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := tinyproto.Server{Handler: func(_ context.Context, c *tinyproto.Conn) error { take(c); return nil }}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, l) }() // ends with ctx
	t.Cleanup(func() {
		cancel()
		if err := receive(t, "the end of the sink", ended); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func TestPipelineKeepsTheOrderAtAllSinks(t *testing.T) {
	leaktest.Check(t)
	const messages = 5000
	var lines strings.Builder
	for i := range messages {
		if i%100 == 50 {
			lines.WriteByte('\n') // an empty message is one, too
		} else {
			fmt.Fprintf(&lines, "line %d: %s\n", i, strings.Repeat("grüße ", i%7))
		}
	}
	want := strings.ToUpper(lines.String())
	for _, workers := range []string{"1", "8"} {
		t.Run(workers+" workers", func(t *testing.T) {
			source := start(t, strings.NewReader(lines.String()), "-source", "127.0.0.1:0")
			first, second := start(t, nil, "-sink", "127.0.0.1:0"), start(t, nil, "-sink", "127.0.0.1:0")
			relay := start(t, nil, "-workers", workers,
				"-from", source.address(t), "-to", first.address(t)+","+second.address(t))
			relay.check(t, "relay", 0, fmt.Sprintf("passed on %d messages\n", messages))
			source.check(t, "source", 0, "")
			first.check(t, "first sink", 0, want)
			second.check(t, "second sink", 0, want)
		})
	}
}

func TestLastLineNeedsNoNewline(t *testing.T) {
	source, sink := start(t, strings.NewReader("one\ntwo"), "-source", "127.0.0.1:0"), start(t, nil, "-sink", "127.0.0.1:0")
	relay := start(t, nil, "-from", source.address(t), "-to", sink.address(t))
	relay.check(t, "relay", 0, "passed on 2 messages\n")
	source.check(t, "source", 0, "")
	sink.check(t, "sink", 0, "ONE\nTWO\n")
}

func TestSourceWithoutLinesIsPassedOnToo(t *testing.T) {
	source, sink := start(t, strings.NewReader(""), "-source", "127.0.0.1:0"), start(t, nil, "-sink", "127.0.0.1:0")
	relay := start(t, nil, "-from", source.address(t), "-to", sink.address(t))
	relay.check(t, "relay", 0, "passed on 0 messages\n")
	source.check(t, "source", 0, "")
	sink.check(t, "sink", 0, "")
}

func TestSinkThatGoesEndsThePipelineWithAnError(t *testing.T) {
	leaktest.Check(t)
	lines := strings.Repeat("line\n", 5000)
	source, sink := start(t, strings.NewReader(lines), "-source", "127.0.0.1:0"), start(t, nil, "-sink", "127.0.0.1:0")
	gone := serveSink(t, func(c *tinyproto.Conn) {
		for range 10 {
			<-c.Inbox()
		}
	})
	relay := start(t, nil, "-from", source.address(t), "-to", sink.address(t)+","+gone)
	relay.check(t, "relay", 1, "")
	if line := relay.complaint(t); !strings.HasPrefix(line, "pipeline: sink "+gone+" is gone: ") {
		t.Errorf("the relay said %q", line)
	}
	source.check(t, "source", 1, "")
	if line := source.complaint(t); !strings.HasPrefix(line, "pipeline: the client ended before it had all lines") {
		t.Errorf("the source said %q", line)
	}
	// Whether its connection ended between messages or inside one depends on
	// how far the relay had come.
	receive(t, "the end of the other sink", sink.status)
	if n := strings.Count(sink.out.String(), "LINE\n"); n < 10 || n*len("LINE\n") != sink.out.Len() {
		t.Errorf("the other sink printed %d whole lines in %d bytes, expected at least the 10 that both got", n, sink.out.Len())
	}
}

func TestServersThatAreNotThereAreOneLineAndStatusOne(t *testing.T) {
	nobody := refusedPort(t)
	want := "pipeline: tinyproto: dial " + nobody + ": dial tcp " + nobody + ": connect: connection refused"
	t.Run("source", func(t *testing.T) {
		relay := start(t, nil, "-from", nobody, "-to", nobody)
		relay.check(t, "relay", 1, "")
		if diff := cmp.Diff(want, relay.complaint(t)); diff != "" {
			t.Errorf("stderr (-want +got):\n%s", diff)
		}
	})
	t.Run("second sink", func(t *testing.T) {
		source, sink := start(t, strings.NewReader("line\n"), "-source", "127.0.0.1:0"), start(t, nil, "-sink", "127.0.0.1:0")
		relay := start(t, nil, "-from", source.address(t), "-to", sink.address(t)+","+nobody)
		relay.check(t, "relay", 1, "")
		if diff := cmp.Diff(want, relay.complaint(t)); diff != "" {
			t.Errorf("stderr (-want +got):\n%s", diff)
		}
	})
	t.Run("address in use", func(t *testing.T) {
		sink := start(t, nil, "-sink", "127.0.0.1:0")
		taken := sink.address(t)
		other := start(t, nil, "-sink", taken)
		other.check(t, "other sink", 1, "")
		want := "pipeline: tinyproto: listen tcp " + taken + ": bind: address already in use"
		if diff := cmp.Diff(want, other.complaint(t)); diff != "" {
			t.Errorf("stderr (-want +got):\n%s", diff)
		}
	})
}

func TestBadArgumentsAreStatusTwo(t *testing.T) {
	for _, tt := range []struct {
		args   string
		status int
		says   string
	}{
		{"", 2, "usage: pipeline "},
		{"-h", 0, "usage: pipeline "},
		{"-from a:1", 2, "usage: pipeline "},
		{"-to a:1", 2, "usage: pipeline "},
		{"-from a:1 -to b:1 -workers 0", 2, "usage: pipeline "},
		{"-from a:1 -to b:1 -source c:1", 2, "usage: pipeline "},
		{"-source a:1 -sink b:1", 2, "usage: pipeline "},
		{"-sink a:1 -to b:1", 2, "usage: pipeline "},
		{"-nonsense", 2, "flag provided but not defined: -nonsense\n"},
		{"-workers many", 2, `invalid value "many" for flag -workers: parse error` + "\n"},
		{"-sink a:1 more", 2, `pipeline: unexpected argument "more"` + "\n"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run(t.Context(), strings.Fields(tt.args), strings.NewReader(""), &stdout, &stderr)
			if status != tt.status {
				t.Errorf("status %d, expected %d", status, tt.status)
			}
			if first, _ := bufio.NewReader(&stderr).ReadString('\n'); !strings.HasPrefix(first, tt.says) {
				t.Errorf("stderr begins with %q, expected %q", first, tt.says)
			}
			if stdout.Len() > 0 {
				t.Errorf("stdout: %q", &stdout)
			}
		})
	}
}

// A signal ends the context: that is how these programs are told to end, so it
// is no failure, wherever they are.
func TestSignalIsStatusZero(t *testing.T) {
	// connected returns a pipeline through which one line has gone.
	connected := func(t *testing.T) (source, sink, relay *program) {
		arrived := make(chan struct{})
		stdin, lines := io.Pipe()
		source = start(t, stdin, "-source", "127.0.0.1:0")
		t.Cleanup(func() { lines.Close() }) // ends the source before its own cleanup waits for it
		sink = start(t, nil, "-sink", "127.0.0.1:0")
		tap := serveSink(t, func(c *tinyproto.Conn) {
			<-c.Inbox()
			close(arrived)
			for range c.Inbox() {
			}
		})
		relay = start(t, nil, "-from", source.address(t), "-to", sink.address(t)+","+tap)
		if _, err := io.WriteString(lines, "line\n"); err != nil {
			t.Fatal(err)
		}
		receive(t, "the first line", arrived)
		return source, sink, relay
	}
	// soon is less than the server waits for a handler that does not return.
	const soon = 3 * time.Second
	for name, signalled := range map[string]func(*testing.T) *program{
		"source without a client": func(t *testing.T) *program { p := start(t, idle(t), "-source", "127.0.0.1:0"); p.address(t); return p },
		"sink without a client":   func(t *testing.T) *program { p := start(t, nil, "-sink", "127.0.0.1:0"); p.address(t); return p },
		"source":                  func(t *testing.T) *program { source, _, _ := connected(t); return source },
		"sink":                    func(t *testing.T) *program { _, sink, _ := connected(t); return sink },
		"relay":                   func(t *testing.T) *program { _, _, relay := connected(t); return relay },
	} {
		t.Run(name, func(t *testing.T) {
			p := signalled(t)
			began := time.Now()
			p.cancel()
			if status := receive(t, "the end of the program", p.status); status != 0 {
				t.Errorf("status %d; it said:\n%s", status, &p.err)
			}
			if took := time.Since(began); took > soon {
				t.Errorf("it took %v to end", took)
			}
			if text := p.err.String(); strings.Contains(text, "pipeline:") {
				t.Errorf("it complained:\n%s", text)
			}
		})
	}
}
