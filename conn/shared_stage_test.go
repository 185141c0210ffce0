package conn_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// The tests of shared_*_test.go are of connections on a socket, where Receive and
// Send read themselves, as long as nobody has asked for the Inbox.

// newShared is newStage or newPipelined over TCP, in the mode of eachMode. The
// peer does not wait for ever.
func newShared(t testing.TB, opts conn.Options) *stage {
	t.Helper()
	nc, peer := tcpPair(t)
	peer.SetDeadline(time.Now().Add(patience))
	if inPipelined() {
		return newPipelined(t, nc, peer, opts, generous)
	}
	return newStage(t, nc, peer, opts)
}

// delivers has the peer send a message that is accepted at once. It is not answered
// in pipelined mode, before it is received.
func (s *stage) delivers(msg string) {
	s.t.Helper()
	if inPipelined() {
		s.peer.says(dataOf(msg)...)
	} else {
		s.peer.saysMessage(msg)
	}
}

// takes has the peer receive a message, up to its answer in pipelined mode.
func (s *stage) takes(msg string) {
	s.t.Helper()
	if inPipelined() {
		s.peer.hears(dataOf(msg)...)
	} else {
		s.peer.hearsMessage(msg)
	}
}

// receives expects messages from Receive.
func (s *stage) receives(msgs ...string) {
	s.t.Helper()
	for _, want := range msgs {
		if msg, err := receiveSoon(s.c); string(msg) != want || err != nil {
			s.t.Fatalf("Receive returned %q, %v, expected %q", msg, err, want)
		}
	}
}

// receiveSoon is a Receive that does not wait for ever.
func receiveSoon(c *conn.Conn) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.Receive(ctx)
}

// sendSoon is a Send that does not wait for ever.
func sendSoon(c *conn.Conn, msg string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.Send(ctx, []byte(msg))
}

// within fails the test unless f returns within patience.
func within(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }() // ends with f
	if !closesWithin(done, patience) {
		t.Fatalf("%s does not return", what)
	}
}

// aMoment passes, which is none, a few steps of other goroutines, or longer than
// a connection is left unread.
func aMoment(random *rand.Rand) {
	var moment time.Duration
	if random.IntN(4) > 0 {
		moment = time.Duration(random.IntN([]int{20, 200, 3000}[random.IntN(3)])) * time.Microsecond
	}
	<-time.After(moment)
}

// newRandom returns random numbers whose seed is logged.
func newRandom(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
