//go:build unix

package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/faultproxy"
)

// scene is a server, the clients that are to notice nothing, and what decides
// about those that are hit.
type scene struct {
	t        *testing.T
	random   *rand.Rand
	until    time.Time
	server   *process[serverReport]
	address  string
	jumping  string // the program of all processes, as start has it
	others   []*process[clientReport]
	over     []clientReport // of the others, once they have ended
	ended    serverReport   // of the server, once it has
	corrupts bool
	mode     conn.Mode // of the clients that are hit; of the others, some are in either
}

// Two processes of others, one for each mode, with some connections each.
const (
	otherProcesses = 2
	otherConns     = 3
)

func newScene(t *testing.T, mode conn.Mode, o serverOrders) *scene {
	t.Helper()
	return newSceneOf(t, "", mode, o)
}

// inEachMode has a scene for each mode of the clients that are hit.
func inEachMode(t *testing.T, test func(*testing.T, conn.Mode)) {
	t.Parallel()
	for name, mode := range map[string]conn.Mode{"classic": conn.Classic, "pipelined": conn.Pipelined} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, mode)
		})
	}
}

// newSceneOf is a scene whose processes are all of a program, as start has it.
func newSceneOf(t *testing.T, jumping string, mode conn.Mode, o serverOrders) *scene {
	t.Helper()
	s := &scene{t: t, jumping: jumping, mode: mode}
	n := *seed
	if n == 0 {
		n = rand.Uint64()
	}
	t.Logf("-seed %d", n)
	s.random = rand.New(rand.NewPCG(n, 0))
	s.server = start[serverReport](t, jumping, "server", o)
	s.address = s.server.asks().Address
	for _, mode := range [otherProcesses]conn.Mode{conn.Classic, conn.Pipelined} {
		s.others = append(s.others, s.client(clientOrders{Mode: mode}))
	}
	s.othersAreServed()
	s.until = time.Now().Add(*duration)
	return s
}

// client starts a client of the server, or of whatever its orders say.
func (s *scene) client(o clientOrders) *process[clientReport] {
	s.t.Helper()
	if o.Address == "" {
		o.Address = s.address
	}
	if o.Conns == 0 {
		o.Conns = otherConns
	}
	if o.Largest == 0 {
		o.Largest = 16 << 10
	}
	if o.Pause == 0 {
		o.Pause = 2 * time.Millisecond
	}
	if o.Mode == conn.Either {
		o.Mode = s.mode
	}
	o.Seed = s.random.Uint64()
	return start[clientReport](s.t, s.jumping, "client", o)
}

// goesOn reports whether the scene is not over.
func (s *scene) goesOn() bool { return time.Now().Before(s.until) }

// sometime waits for up to d.
func (s *scene) sometime(d time.Duration) {
	pause(s.t.Context(), time.Duration(s.random.Int64N(int64(d))))
}

// waitFor waits until the condition holds.
func (s *scene) waitFor(what string, holds func() bool) {
	s.t.Helper()
	for late := time.Now().Add(patience); !holds(); {
		if time.Now().After(late) {
			s.t.Fatalf("still waiting for %s after %v", what, patience)
		}
		pause(s.t.Context(), 2*time.Millisecond)
	}
}

// isServed waits until each connection of a client has had more replies.
func (s *scene) isServed(c *process[clientReport], conns int64) {
	s.t.Helper()
	before := c.asks().Replied
	s.waitFor("replies", func() bool { return c.asks().Replied > before+2*conns })
}

func (s *scene) othersAreServed() {
	s.t.Helper()
	for _, c := range s.others {
		s.isServed(c, otherConns)
	}
}

// ends ends the others, who have to have noticed nothing, and the server.
func (s *scene) ends() serverReport {
	s.t.Helper()
	s.othersAreServed()
	for _, c := range s.others {
		r := c.ends()
		noticedNothing(s.t, "one of the others", r, otherConns)
		s.over = append(s.over, r)
	}
	r := s.server.ends()
	if len(r.Unnamed) > 0 {
		s.t.Errorf("errors without a name at the server: %q", r.Unnamed)
	}
	s.ended = r
	return r
}

// figures logs what was done to whom, and what it cost. What a client in pipelined
// mode knows to be answered, the server's application has to have, unless the
// network has put words into its mouth.
func (s *scene) figures(injected string, hit ...clientReport) {
	s.t.Helper()
	answered := int64(0)
	for _, r := range append(hit, s.over...) {
		if r.Mode == conn.Pipelined {
			answered += r.Answered
		}
	}
	if s.ended.Address != "" && answered > s.ended.Received && !s.corrupts {
		s.t.Errorf("%d requests were answered, but the server's application has %d", answered, s.ended.Received)
	}
	lost := func(reports []clientReport) string {
		var sent, lost int64
		for _, r := range reports {
			sent, lost = sent+r.Sent, lost+r.Lost
		}
		return fmt.Sprintf("%d of %d requests lost", lost, sent)
	}
	s.t.Logf("figures: %s; those hit: %s; the others: %s", injected, lost(hit), lost(s.over))
}

func noticedNothing(t *testing.T, who string, r clientReport, conns int64) {
	t.Helper()
	if r.Lost > 0 || r.Sent != r.Replied || r.Sent == 0 || len(r.Ends) > 0 || r.Connected != conns {
		t.Errorf("%s noticed something: %+v", who, r)
	}
}

// accounts checks that a client that was hit has lost no more requests than it
// may, each of the most with those sent ahead of its reply, and knows of each by an
// error among names.
func accounts(t *testing.T, r clientReport, most int64, names ...string) {
	t.Helper()
	if r.Sent != r.Replied+r.Lost || r.Replied == 0 {
		t.Errorf("%d requests were sent, %d replied to, %d lost: that does not add up, or is nothing", r.Sent, r.Replied, r.Lost)
	}
	if r.Mode == conn.Pipelined {
		most *= maxAhead
	}
	if r.Lost > most {
		t.Errorf("%d requests were lost, expected at most %d", r.Lost, most)
	}
	if len(r.Unnamed) > 0 {
		t.Errorf("errors without a name: %q", r.Unnamed)
	}
	for name, n := range r.Ends {
		if !slices.Contains(names, name) {
			t.Errorf("%d connections ended with %q, expected one of %q", n, name, names)
		}
	}
}

// through starts a proxy in front of the server, and returns it and its address.
func (s *scene) through(f faultproxy.Faults) (*faultproxy.Proxy, string) {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	p := &faultproxy.Proxy{Target: s.address, Faults: f, Seed: s.random.Uint64()}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx, l) }() // ends with the test
	s.t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			s.t.Error(err)
		}
	})
	return p, l.Addr().String()
}
