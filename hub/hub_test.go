package hub_test

import (
	"context"
	"fmt"
	"net"
	"sort"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/hub"
)

// start runs a hub until the test ends.
func start(t testing.TB, opts *hub.Options) *hub.Hub {
	t.Helper()
	h := hub.New(opts)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }() // ends with cancel
	t.Cleanup(func() {
		cancel()
		for range h.Events() {
		}
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return h
}

// join adds a member over TCP and returns it with its peer.
func join(t testing.TB, h *hub.Hub) (*hub.Member, *conn.Conn) {
	t.Helper()
	own, theirs := tcpPair(t)
	return joinOver(t, h, own, theirs, nil)
}

// joinPipe adds a member over a net.Pipe, as tests in a synctest bubble need
// it. A peer whose Inbox nobody receives from accepts one message and answers
// the offer of no further one: so two are off the hub's queue when it stalls. In
// pipelined mode its window and the buffer of its Inbox make it the same.
func joinPipe(t testing.TB, h *hub.Hub) (*hub.Member, *conn.Conn) {
	t.Helper()
	own, theirs := pipePair()
	return joinOver(t, h, own, theirs, narrow(conn.Options{}))
}

// narrow returns opts for a peer as that of joinPipe.
func narrow(opts conn.Options) *conn.Options {
	if inPipelined() {
		opts.InboxBuffer, opts.WindowMessages = 1, 1
	}
	return &opts
}

// offQueue is how many messages a stalled peer of joinPipe takes off the hub's
// queue: one that it has accepted, and one whose offer it leaves unanswered.
const offQueue = 2

// joinOver adds a member over one end of a transport, and returns it with the
// peer at the other end.
func joinOver(t testing.TB, h *hub.Hub, own, theirs net.Conn, opts *conn.Options) (*hub.Member, *conn.Conn) {
	t.Helper()
	c, peer := greet(t, own, theirs, opts)
	m, err := h.Join(c)
	if err != nil {
		t.Fatal(err)
	}
	return m, peer
}

// greet makes connections of the two ends of a transport. The peer's, with
// opts, is closed when the test ends.
func greet(t testing.TB, own, theirs net.Conn, opts *conn.Options) (c, peer *conn.Conn) {
	t.Helper()
	greeted := make(chan error, 1)
	go func() { // ends with the hello
		var err error
		c, err = conn.New(context.Background(), own, nil)
		greeted <- err
	}()
	peer, err := conn.New(context.Background(), theirs, asking(opts))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	if err := <-greeted; err != nil {
		t.Fatal(err)
	}
	return c, peer
}

// pipePair returns the two ends of a connection without any buffer.
func pipePair() (own, theirs net.Conn) { return net.Pipe() }

// tcpPair returns the two ends of a TCP connection on loopback.
func tcpPair(t testing.TB) (own, theirs net.Conn) {
	t.Helper()
	loopback.Lock()
	defer loopback.Unlock()
	var err error
	if loopback.l == nil {
		if loopback.l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	theirs, err = net.Dial("tcp", loopback.l.Addr().String()) // the backlog takes it
	if err != nil {
		t.Fatal(err)
	}
	own, err = loopback.l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return own, theirs
}

// loopback is the listener of all tests. One each would take a port each, for
// the minute that TIME_WAIT lasts: the system runs out of them.
var loopback struct {
	sync.Mutex
	l net.Listener
}

func TestEachMembersMessagesStandBetweenItsJoinedAndItsLeft(t *testing.T) {
	eachMode(t, testEachMembersMessagesStandBetweenItsJoinedAndItsLeft)
}

func testEachMembersMessagesStandBetweenItsJoinedAndItsLeft(t *testing.T) {
	h := start(t, nil)
	const members, messages = 3, 50
	for range members {
		_, peer := join(t, h)
		go func() { // ends with its messages
			for i := range messages {
				if err := peer.Send(t.Context(), fmt.Appendf(nil, "%d", i)); err != nil {
					t.Error(err)
				}
			}
			peer.Shutdown(t.Context())
		}()
	}
	got := map[hub.ID][]string{}
	for left := 0; left < members; {
		e := <-h.Events()
		switch e.Kind {
		case hub.Message:
			got[e.Member.ID()] = append(got[e.Member.ID()], string(e.Body))
		case hub.Left:
			left++
			fallthrough
		default:
			got[e.Member.ID()] = append(got[e.Member.ID()], e.Kind.String())
		}
		if e.Err != nil {
			t.Errorf("%v of %s: %v", e.Kind, e.Member.ID(), e.Err)
		}
	}
	want := []string{"joined"}
	for i := range messages {
		want = append(want, fmt.Sprint(i))
	}
	want = append(want, "left")
	if len(got) != members {
		t.Errorf("events of %d members, expected %d", len(got), members)
	}
	for id, events := range got {
		if diff := cmp.Diff(want, events); diff != "" {
			t.Errorf("events of %s (-expected +got):\n%s", id, diff)
		}
	}
	if n := h.Len(); n != 0 {
		t.Errorf("%d members are left", n)
	}
}

func TestBroadcastReachesAllButSome(t *testing.T) { eachMode(t, testBroadcastReachesAllButSome) }

func testBroadcastReachesAllButSome(t *testing.T) {
	h := start(t, nil)
	go func() { // ends with the hub
		for range h.Events() {
		}
	}()
	a, peerA := join(t, h)
	b, peerB := join(t, h)
	c, peerC := join(t, h)
	b.Enter("room")
	c.Enter("room")
	type call struct {
		name string
		send func(body []byte) (int, error)
		to   string
	}
	for _, call := range []call{
		{"all", func(p []byte) (int, error) { return h.Broadcast(t.Context(), p) }, "abc"},
		{"all but a", func(p []byte) (int, error) { return h.Broadcast(t.Context(), p, a) }, "bc"},
		{"all but b and c", func(p []byte) (int, error) { return h.Broadcast(t.Context(), p, b, c) }, "a"},
		{"those picked", func(p []byte) (int, error) {
			return h.BroadcastWhere(t.Context(), p, func(m *hub.Member) bool { return m == c })
		}, "c"},
		{"a room", func(p []byte) (int, error) { return h.BroadcastRoom(t.Context(), "room", p) }, "bc"},
		{"a room but c", func(p []byte) (int, error) { return h.BroadcastRoom(t.Context(), "room", p, c) }, "b"},
		{"an empty room", func(p []byte) (int, error) { return h.BroadcastRoom(t.Context(), "none", p) }, ""},
		{"one", func(p []byte) (int, error) { return 1, h.Send(t.Context(), a.ID(), p) }, "a"},
	} {
		if n, err := call.send([]byte(call.name)); err != nil || n != len(call.to) {
			t.Errorf("%s: sent to %d, %v; expected %d", call.name, n, err, len(call.to))
		}
		var got []string
		for _, name := range call.to {
			peer := map[rune]*conn.Conn{'a': peerA, 'b': peerB, 'c': peerC}[name]
			msg, err := peer.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(name)+": "+string(msg))
		}
		var want []string
		for _, name := range call.to {
			want = append(want, string(name)+": "+call.name)
		}
		sort.Strings(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-expected +got):\n%s", call.name, diff)
		}
	}
}

// drain takes events until the hub ends.
func drain(h *hub.Hub) {
	for range h.Events() {
	}
}

// drainPeer receives until the connection ends, and returns how many messages
// that were.
func drainPeer(peer *conn.Conn) int {
	n := 0
	for range peer.Inbox() {
		n++
	}
	sayBye(peer)
	return n
}

// sayBye ends a peer's connection whose Inbox is closed, as programs do. In pipelined
// mode it would end by itself only a second later.
func sayBye(peer *conn.Conn) { peer.Shutdown(context.Background()) }

// receive returns the next n messages that a peer receives.
func receive(t testing.TB, peer *conn.Conn, n int) []string {
	t.Helper()
	var got []string
	for range n {
		msg, err := peer.Receive(t.Context())
		if err != nil {
			t.Errorf("after %d of %d messages: %v", len(got), n, err)
			break
		}
		got = append(got, string(msg))
	}
	return got
}

func TestAConnectionJoinsButOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, other := start(t, nil), start(t, nil)
		go drain(h)     // ends with the hub
		go drain(other) // ends with the hub
		m, peer := joinPipe(t, h)
		for _, again := range []*hub.Hub{h, other} {
			if _, err := again.Join(m.Conn()); err == nil {
				t.Error("it joined again")
			}
		}
		if err := h.Send(t.Context(), m.ID(), []byte("still here")); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"still here"}, receive(t, peer, 1)); diff != "" {
			t.Errorf("received (-expected +got):\n%s", diff)
		}
	})
}
