package conn_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/transcript"
	"github.com/tinyproto-go/tinyproto/wire"
)

const peerDir = "../testdata/peer"

// pythonPath asks for the interpreter itself: what is in the PATH may be a
// slow wrapper.
var pythonPath = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	return strings.TrimSpace(string(out)), err
})

// A python is a Python process that a test started. It does not outlive it.
type python struct {
	cmd    *exec.Cmd
	out    *bufio.Reader
	stderr bytes.Buffer
}

func startPython(t testing.TB, stdin string, args ...string) *python {
	t.Helper()
	path, err := pythonPath()
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("CI has to test against Python, which does not run: %v", err)
	default:
		t.Skipf("the foreign peer needs python3, which does not run here: %v", err)
	}
	p := &python{cmd: exec.Command(path, args...)}
	p.cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	p.cmd.Stdin, p.cmd.Stderr = strings.NewReader(stdin), &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	t.Cleanup(func() {
		late.Stop()
		p.cmd.Process.Kill()
		p.cmd.Wait()
	})
	return p
}

func (p *python) line(t testing.TB) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		t.Fatalf("a line of the Python peer: %v; it said %q", err, p.stderr.String())
	}
	return strings.TrimSuffix(line, "\n")
}

// end waits for the process and compares all that it still printed, and what
// it complained of.
func (p *python) end(t testing.TB, stdout, stderr string) {
	t.Helper()
	rest, err := io.ReadAll(p.out)
	if err != nil {
		t.Error(err)
	}
	if err := p.cmd.Wait(); (err != nil) != (stderr != "") {
		t.Errorf("the Python peer ended with %v", err)
	}
	if diff := cmp.Diff(stdout, string(rest)); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(stderr, p.stderr.String()); diff != "" {
		t.Errorf("complained (-want +got):\n%s", diff)
	}
}

// pythonServer starts peer.py as a server and returns its address.
func pythonServer(t testing.TB, args ...string) (*python, string) {
	t.Helper()
	return serveScript(t, "peer.py", args...)
}

// serveScript starts a script of peerDir as a server and returns its address.
func serveScript(t testing.TB, script string, args ...string) (*python, string) {
	t.Helper()
	p := startPython(t, "", append([]string{peerDir + "/" + script, "serve"}, args...)...)
	addr, ok := strings.CutPrefix(p.line(t), "listening on ")
	if !ok {
		t.Fatal("the Python server does not say where it listens")
	}
	return p, addr
}

// dialPeer connects to a foreign peer and greets it.
func dialPeer(t testing.TB, addr string, opts *conn.Options) *conn.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return greetPeer(t, nc, opts)
}

// pythonClient starts peer.py as a client, of a listener here.
func pythonClient(t testing.TB, stdin string, args ...string) (*python, net.Conn) {
	t.Helper()
	l := listen(t)
	p := startPython(t, stdin, append([]string{peerDir + "/peer.py", "connect", l.Addr().String()}, args...)...)
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return p, nc
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { l.Close() })
	return l
}

func greetPeer(t testing.TB, nc net.Conn, opts *conn.Options) *conn.Conn {
	t.Helper()
	c, err := conn.New(t.Context(), nc, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// echo sends back all that arrives, behind a prefix, until the end.
func echo(ctx context.Context, c *conn.Conn, prefix string) error {
	for msg, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		if err := c.Send(ctx, append([]byte(prefix), msg...)); err != nil {
			return err
		}
	}
	return c.Err()
}

// foreignMessages are as small and as large as they come.
var foreignMessages = [][]byte{
	{},
	{0xff},
	[]byte("grüß dich €, 日本語 🙂"),
	transcript.Gen(64 << 10),
	bytes.Repeat(transcript.Gen(1<<20), 20),
}

// roomy accepts the largest of them.
var roomy = &conn.Options{MaxMessage: 20 << 20}

func TestPythonServerEchoesWhatWeSend(t *testing.T) {
	for _, tt := range []struct{ mode, prefix, quit string }{
		{"echo", "", ""},
		{"echo-back", "Echo back: ", "SRVQUIT"},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			p, addr := pythonServer(t, "--once", tt.mode)
			opts := *roomy
			opts.MaxMessage += uint32(len(tt.prefix))
			c := dialPeer(t, addr, &opts)
			for _, msg := range foreignMessages {
				if err := c.Send(t.Context(), msg); err != nil {
					t.Fatal(err)
				}
				got, err := c.Receive(t.Context())
				if diff := cmp.Diff(summary(append([]byte(tt.prefix), msg...)), summary(got)); err != nil || diff != "" {
					t.Errorf("echo (-want +got), error %v:\n%s", err, diff)
				}
			}
			if tt.quit != "" { // the server ends
				if err := c.Send(t.Context(), []byte(tt.quit)); err != nil {
					t.Error(err)
				}
				if msg, err := c.Receive(t.Context()); err != io.EOF {
					t.Errorf("received %s, %v, expected the end", summary(msg), err)
				}
			} else if err := c.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			checkError(t, c.Err())
			p.end(t, "", "")
		})
	}
}

func TestPythonClientGetsItsEcho(t *testing.T) {
	t.Run("of any size", func(t *testing.T) {
		p, nc := pythonClient(t, "", "check", "--sizes", "0,1,65536,20971520")
		c := greetPeer(t, nc, roomy)
		checkError(t, echo(t.Context(), c, ""))
		p.end(t, fmt.Sprintf("{\"messages\": 4, \"bytes\": %d}\n", 1+65536+20971520), "")
	})
	t.Run("in any language", func(t *testing.T) {
		p, nc := pythonClient(t, "grüß dich €\n\n日本語 🙂\n", "echo-lines")
		c := greetPeer(t, nc, nil)
		checkError(t, echo(t.Context(), c, "Echo back: "))
		const reply = "Response from server: Echo back: "
		p.end(t, reply+"grüß dich €\n"+reply+"\n"+reply+"日本語 🙂\n", "")
	})
}

func TestPythonSinkGetsWhatGoesOneWay(t *testing.T) {
	digest, total := sha256.New(), 0
	for _, msg := range foreignMessages {
		digest.Write(wire.AppendSize(nil, uint32(len(msg))))
		digest.Write(msg)
		total += len(msg)
	}
	type report struct {
		Messages, Bytes int
		SHA256          string
	}
	want := report{len(foreignMessages), total, fmt.Sprintf("%x", digest.Sum(nil))}
	send := func(t *testing.T, p *python, c *conn.Conn) {
		for _, msg := range foreignMessages {
			select {
			case c.Outbox() <- msg:
			case <-c.Done():
				t.Fatal(c.Err())
			}
		}
		if err := c.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		var got report
		if err := json.Unmarshal([]byte(p.line(t)), &got); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the sink got (-want +got):\n%s", diff)
		}
		p.end(t, "", "")
	}
	t.Run("server", func(t *testing.T) {
		p, addr := pythonServer(t, "--once", "sink")
		send(t, p, dialPeer(t, addr, nil))
	})
	t.Run("client", func(t *testing.T) {
		p, nc := pythonClient(t, "", "sink")
		send(t, p, greetPeer(t, nc, nil))
	})
}

func TestPythonSourceReachesUsOneWay(t *testing.T) {
	const count, size = 500, 1000
	arguments := []string{"--count", strconv.Itoa(count), "--size", strconv.Itoa(size)}
	receive := func(t *testing.T, p *python, c *conn.Conn) {
		got := 0
		for msg := range c.Inbox() {
			got++
			if diff := cmp.Diff(summary(transcript.Gen(size)), summary(msg)); diff != "" {
				t.Fatalf("message %d (-want +got):\n%s", got, diff)
			}
		}
		if got != count {
			t.Errorf("received %d messages, expected %d", got, count)
		}
		checkError(t, c.Err())
		p.end(t, "", "")
	}
	t.Run("server", func(t *testing.T) {
		p, addr := pythonServer(t, append(arguments, "--once", "source")...)
		receive(t, p, dialPeer(t, addr, nil))
	})
	t.Run("client", func(t *testing.T) {
		p, nc := pythonClient(t, "", append(arguments, "flood")...)
		receive(t, p, greetPeer(t, nc, nil))
	})
}

const crowd = 200

func TestPythonServerServesManyOfUsAtOnce(t *testing.T) {
	_, addr := pythonServer(t, "echo")
	conns := make([]*conn.Conn, crowd)
	for i := range conns {
		conns[i] = dialPeer(t, addr, nil)
	}
	var running sync.WaitGroup
	for i, c := range conns { // all are greeted
		running.Go(func() {
			want := transcript.Gen(1000 + i)
			if err := c.Send(t.Context(), want); err != nil {
				t.Error(err)
				return
			}
			got, err := c.Receive(t.Context())
			if diff := cmp.Diff(summary(want), summary(got)); err != nil || diff != "" {
				t.Errorf("echo (-want +got), error %v:\n%s", err, diff)
			}
			checkError(t, c.Shutdown(t.Context()))
		})
	}
	running.Wait()
}

// crowdScript is a client with many connections, each a thread, that talk as
// soon as all are greeted.
const crowdScript = `
import socket, sys, threading
sys.path.insert(0, sys.argv[1])
import peer
address, count = peer.address(sys.argv[2]), int(sys.argv[3])
greeted, echoed = threading.Barrier(count, timeout=30), []

def talk(i):
    conn = peer.Conn(socket.create_connection(address, 30), 30)
    conn.hello()
    greeted.wait()
    conn.transmit(peer.gen(1000 + i))
    if conn.receive() == peer.gen(1000 + i):
        echoed.append(i)
    conn.close()

threads = [threading.Thread(target=talk, args=(i,)) for i in range(count)]
for t in threads: t.start()
for t in threads: t.join()
print(len(echoed), "echoed")
`

func TestManyPythonClientsAreServedAtOnce(t *testing.T) {
	l := listen(t)
	p := startPython(t, "", "-c", crowdScript, peerDir, l.Addr().String(), strconv.Itoa(crowd))
	var running sync.WaitGroup
	for range crowd {
		nc, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() {
			c, err := conn.New(t.Context(), nc, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			checkError(t, echo(t.Context(), c, ""))
		})
	}
	running.Wait()
	p.end(t, fmt.Sprintf("%d echoed\n", crowd), "")
}

func TestKilledPythonPeerIsReported(t *testing.T) {
	t.Run("in the middle of its payload", func(t *testing.T) {
		p, nc := pythonClient(t, "", "die", "--size", "100000", "--after", "40000")
		c := greetPeer(t, nc, nil)
		if line := p.line(t); line != "ready" {
			t.Fatal(line)
		}
		p.cmd.Process.Kill()
		for msg := range c.Inbox() {
			t.Errorf("received %s", summary(msg))
		}
		checkError(t, c.Err(), io.ErrUnexpectedEOF,
			&wire.IncompleteError{Accepted: true, PayloadBytes: 40000, Payload: 100000})
	})
	t.Run("in the middle of ours", func(t *testing.T) {
		l := listen(t)
		p := startPython(t, "", "-c", `
import socket, sys, threading
sys.path.insert(0, sys.argv[1])
import peer
conn = peer.Conn(socket.create_connection(peer.address(sys.argv[2])), 30)
conn.hello()
conn.read(4, "size")
conn.sock.sendall(peer.OK)
conn.read(1, "payload")
peer.emit(b"ready")
threading.Event().wait()
`, peerDir, l.Addr().String())
		nc, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c := greetPeer(t, nc, nil)
		msg := foreignMessages[len(foreignMessages)-1] // more than the sockets buffer
		c.Outbox() <- msg
		if line := p.line(t); line != "ready" {
			t.Fatal(line)
		}
		p.cmd.Process.Kill()
		for msg := range c.Inbox() {
			t.Errorf("received %s", summary(msg))
		}
		checkError(t, c.Err(), conn.ErrUnsent)
		// Which of them depends on who learns of it first, the reader or the writer.
		if err := c.Err(); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("error %v, expected that the connection broke", err)
		}
		if diff := cmp.Diff(summaries([][]byte{msg}), summaries(c.Unsent())); diff != "" {
			t.Errorf("unsent (-want +got):\n%s", diff)
		}
	})
}

func TestPythonServerAtItsLimitIsErrConnLimit(t *testing.T) {
	_, addr := pythonServer(t, "--limit", "1", "echo")
	first := dialPeer(t, addr, nil)
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.New(t.Context(), nc, nil)
	checkError(t, err, conn.ErrConnLimit, conn.ErrRefused, &wire.HelloError{Seen: byte(wire.ConnLimit)})
	checkError(t, first.Shutdown(t.Context()))
	again := dialPeer(t, addr, nil) // there is room again
	checkError(t, again.Shutdown(t.Context()))
}

func TestPythonClientLearnsThatItIsRefused(t *testing.T) {
	p, nc := pythonClient(t, "", "check", "--sizes", "1")
	if err := conn.Refuse(t.Context(), nc); err != nil {
		t.Error(err)
	}
	p.end(t, "", "peer.py: hello: expected ff, got fe (connection limit)\n")
}
