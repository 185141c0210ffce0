package conn_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// transport joins the two ends of a connection.
type transport func(testing.TB) (net.Conn, net.Conn)

// transports are the ways to join two ends that a test can run over.
var transports = map[string]transport{
	"tcp":  tcpPair,
	"pipe": pipePair,
}

// tcpPair returns the two ends of a TCP connection on loopback.
func tcpPair(t testing.TB) (net.Conn, net.Conn) {
	t.Helper()
	l, err := listener()
	if err != nil {
		t.Fatal(err)
	}
	pairing.Lock()
	defer pairing.Unlock()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close(); nc.Close() })
	return dialed, nc
}

// listener is one for all pairs: with one for each, the machine may run out of
// ports, which closed connections keep for a minute.
var (
	listener = sync.OnceValues(func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") })
	pairing  sync.Mutex // joins a Dial with its Accept
)

// pipePair returns the two ends of a connection without any buffer.
func pipePair(t testing.TB) (net.Conn, net.Conn) {
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// mode is that of the connections that join makes: see eachMode.
var mode = conn.Classic

// eachMode runs a test whose connections come from join in either mode: what a
// connection promises is the same, but where the test says so by inPipelined.
func eachMode(t *testing.T, test func(*testing.T)) {
	t.Helper()
	for _, m := range []struct {
		name string
		mode conn.Mode
	}{{"classic", conn.Classic}, {"pipelined", conn.Pipelined}} {
		t.Run(m.name, func(t *testing.T) {
			mode = m.mode
			defer func() { mode = conn.Classic }()
			test(t)
		})
	}
}

// inPipelined reports whether join makes connections in pipelined mode.
func inPipelined() bool { return mode == conn.Pipelined }

// join greets over the two ends of a transport, and closes the connections
// when the test ends.
func join(t testing.TB, x, y net.Conn, xOpts, yOpts *conn.Options) (a, b *conn.Conn) {
	t.Helper()
	return joinContext(t, context.Background(), context.Background(), x, y, xOpts, yOpts)
}

func joinContext(t testing.TB, xCtx, yCtx context.Context, x, y net.Conn, xOpts, yOpts *conn.Options) (a, b *conn.Conn) {
	t.Helper()
	if inPipelined() {
		var o conn.Options
		if xOpts != nil {
			o = *xOpts
		}
		o.Mode = conn.Pipelined // one end asks
		xOpts = &o
	}
	greeted := make(chan error, 1)
	go func() { // ends with the hello
		var err error
		a, err = conn.New(xCtx, x, xOpts)
		greeted <- err
	}()
	b, err := conn.New(yCtx, y, yOpts)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-greeted; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}
