package tinytest_test

import (
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/tinytest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// links are conditions under which the contract of net.Conn has to hold.
var links = map[string]tinytest.Conditions{
	"no buffer":            {},
	"no buffer, but delay": {Latency: 5 * time.Millisecond, Jitter: 3 * time.Millisecond},
	"no buffer, cut":       {MaxSegment: 3},
	"one byte of buffer":   {Buffer: 1},
	"buffer":               {Buffer: 4 << 10},
	"buffer and delay":     {Buffer: 4 << 10, Latency: 20 * time.Millisecond, Jitter: 30 * time.Millisecond},
	"everything":           {Buffer: 1000, Latency: time.Millisecond, Jitter: time.Millisecond, Bandwidth: 1 << 20, MaxSegment: 300},
}

// overAllLinks runs a test with a pair of connected ends over each link, in a
// bubble: it must not leave anything running.
func overAllLinks(t *testing.T, test func(t *testing.T, a, b *tinytest.Conn)) {
	for name, link := range links {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := tinytest.NewNetwork(tinytest.Config{Seed: 1, Conditions: link}).Pair("a", "b")
				test(t, a, b)
				a.Close()
				b.Close()
			})
		})
	}
}

// pair returns connected ends and their link.
func pair(c tinytest.Conditions) (a, b *tinytest.Conn, link *tinytest.Link) {
	n := tinytest.NewNetwork(tinytest.Config{Seed: 1, Conditions: c})
	a, b = n.Pair("a", "b")
	return a, b, n.Link("a", "b")
}

// data returns n bytes that are different everywhere.
func data(n int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(random.Uint32())
	}
	return p
}

// result is what a Read or Write returned, and when.
type result struct {
	n   int
	err error
	at  time.Time
}

// begin calls a Read or Write in a goroutine.
func begin(call func([]byte) (int, error), p []byte) <-chan result {
	done := make(chan result, 1)
	go func() { // ends with the call
		n, err := call(p)
		done <- result{n, err, time.Now()}
	}()
	return done
}

// write writes all of p while the test goes on.
func write(t testing.TB, nc net.Conn, p []byte) <-chan result {
	done := make(chan result, 1)
	go func() { // ends with the write
		n, err := nc.Write(p)
		if n != len(p) || err != nil {
			t.Errorf("Write of %d bytes returned %d, %v", len(p), n, err)
		}
		done <- result{n, err, time.Now()}
	}()
	return done
}

// expect reads exactly what is expected.
func expect(t testing.TB, nc net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(nc, got); err != nil || string(got) != want {
		t.Errorf("read %q, %v; expected %q", got, err, want)
	}
}
