package hub_test

import (
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// mode is that of the connections that greet makes: see eachMode.
var mode = conn.Classic

// eachMode runs a test whose members come from greet in either mode: what a hub
// promises is the same, but where the test says so by inPipelined.
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

// inPipelined reports whether greet makes connections in pipelined mode.
func inPipelined() bool { return mode == conn.Pipelined }

// asking returns opts, with which a peer asks for the mode that the test is in.
func asking(opts *conn.Options) *conn.Options {
	if !inPipelined() {
		return opts
	}
	o := conn.Options{}
	if opts != nil {
		o = *opts
	}
	o.Mode = conn.Pipelined
	return &o
}
