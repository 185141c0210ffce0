package conn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// block is what messages are cut from, so that neither end has to keep any:
// both cut the same ones.
var block = func() []byte {
	b := make([]byte, 128<<10)
	random := rand.NewChaCha8([32]byte{})
	random.Read(b)
	return b
}()

// cutter cuts a sequence of messages that its seed decides: most are small,
// some empty, a few up to 64 KiB.
type cutter struct{ random *rand.Rand }

func newCutter(seed uint64) cutter { return cutter{rand.New(rand.NewPCG(seed, 0))} }

func (c cutter) next() []byte {
	largest := 64
	switch n := c.random.IntN(1000); {
	case n < 5:
		largest = 64 << 10
	case n < 100:
		largest = 4 << 10
	}
	size := c.random.IntN(largest + 1)
	at := c.random.IntN(len(block) - size)
	return block[at : at+size]
}

// split is a transport that splits every write and every read at random, down
// to single bytes.
type split struct {
	net.Conn
	reading, writing *rand.Rand
}

func newSplit(nc net.Conn) net.Conn {
	return split{nc, rand.New(rand.NewPCG(1, 1)), rand.New(rand.NewPCG(2, 2))}
}

func piece(random *rand.Rand, n int) int { return min(n, 1+random.IntN(1<<random.IntN(14))) }

func (s split) Read(p []byte) (int, error) {
	return s.Conn.Read(p[:min(len(p), piece(s.reading, len(p)))])
}

func (s split) Write(p []byte) (written int, err error) {
	for written < len(p) && err == nil {
		var n int
		n, err = s.Conn.Write(p[written : written+piece(s.writing, len(p)-written)])
		written += n
	}
	return written, err
}

func (s split) CloseWrite() error {
	if hc, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return hc.CloseWrite()
	}
	return errors.ErrUnsupported
}

// duplexTransports are those of every test, and what mistreats their bytes.
var duplexTransports = map[string]transport{
	"tcp":        tcpPair,
	"pipe":       pipePair,
	"unix":       unixPair,
	"tls":        tlsPair,
	"split tcp":  splitPair(tcpPair),
	"split pipe": splitPair(pipePair),
	"memory":     func(t testing.TB) (net.Conn, net.Conn) { return memPair(t, 100) },
}

func splitPair(join func(testing.TB) (net.Conn, net.Conn)) func(testing.TB) (net.Conn, net.Conn) {
	return func(t testing.TB) (net.Conn, net.Conn) {
		x, y := join(t)
		return newSplit(x), newSplit(y)
	}
}

func TestBothEndsSendAtOnce(t *testing.T) { eachMode(t, testBothEndsSendAtOnce) }

func testBothEndsSendAtOnce(t *testing.T) {
	for _, c := range []struct {
		transport string
		messages  [3]int // in each direction, with buffers of 0, 1 and 8
	}{
		{"tcp", [3]int{100_000, 10_000, 10_000}},
		{"pipe", [3]int{20_000, 10_000, 10_000}},
		{"unix", [3]int{5_000, 5_000, 5_000}},
		{"tls", [3]int{5_000, 5_000, 5_000}},
		{"split tcp", [3]int{5_000, 5_000, 5_000}},
		{"split pipe", [3]int{5_000, 5_000, 5_000}},
		{"memory", [3]int{5_000, 5_000, 5_000}},
	} {
		for i, buffer := range []int{0, 1, 8} {
			t.Run(fmt.Sprintf("%s, buffers %d", c.transport, buffer), func(t *testing.T) {
				leaktest.Check(t)
				opts := conn.Options{InboxBuffer: buffer, OutboxBuffer: buffer}
				x, y := duplexTransports[c.transport](t)
				a, b := joinBounded(t, x, y, &opts, &opts)
				n := c.messages[i]
				if testing.Short() {
					n /= 10
				}
				if inPipelined() { // where nothing collides
					n = min(n, 20_000)
				}
				const fromA, fromB = 1, 2
				var work sync.WaitGroup
				// Each ends with its last message, or with its connection.
				work.Go(func() { sendAll(t, viaOutbox(a), fromA, n) })
				work.Go(func() { sendAll(t, viaSend(b), fromB, n) })
				work.Go(func() { receiveAll(t, a, fromB, n) })
				work.Go(func() { receiveAll(t, b, fromA, n) })
				work.Wait()
				endBoth(t, a, b)
			})
		}
	}
}

func TestASingleGoroutineEchoesForIndependentSenderAndReceiver(t *testing.T) {
	eachMode(t, testASingleGoroutineEchoesForIndependentSenderAndReceiver)
}

func testASingleGoroutineEchoesForIndependentSenderAndReceiver(t *testing.T) {
	for name, transport := range duplexTransports {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			x, y := transport(t)
			a, b := joinBounded(t, x, y, nil, nil) // every buffer is zero
			const n = 5_000
			var work sync.WaitGroup
			// Each ends with its last message, or with its connection.
			work.Go(func() { sendAll(t, viaSend(a), 1, n) })
			work.Go(func() { receiveAll(t, a, 1, n) })
			echoed := make(chan struct{})
			go func() { // ends with its connection
				defer close(echoed)
				for m := range b.Inbox() {
					if put(b, m) != nil {
						return
					}
				}
			}()
			work.Wait()
			endBoth(t, a, b)
			<-echoed
		})
	}
}

func viaOutbox(c *conn.Conn) func([]byte) error {
	return func(m []byte) error { return put(c, m) }
}

func viaSend(c *conn.Conn) func([]byte) error {
	return func(m []byte) error { return c.Send(context.Background(), m) }
}

func sendAll(t *testing.T, send func([]byte) error, seed uint64, n int) {
	for i, c := 0, newCutter(seed); i < n; i++ {
		if err := send(c.next()); err != nil {
			t.Errorf("message %d of %d was not sent: %v", i, n, err)
			return
		}
	}
}

func receiveAll(t *testing.T, from *conn.Conn, seed uint64, n int) {
	for i, c := 0, newCutter(seed); i < n; i++ {
		msg, ok := <-from.Inbox()
		if !ok {
			t.Errorf("%d of %d messages arrived; Err: %v", i, n, from.Err())
			return
		}
		if want := c.next(); !bytes.Equal(msg, want) {
			t.Errorf("message %d arrived as %d bytes, expected %d, or others", i, len(msg), len(want))
			return
		}
	}
}

// endBoth ends both ends at once, and checks that what one counts the other
// counts too.
func endBoth(t *testing.T, a, b *conn.Conn) {
	t.Helper()
	var work sync.WaitGroup
	for name, c := range map[string]*conn.Conn{"one": a, "the other": b} {
		work.Go(func() { // ends with the connection
			if err := c.Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown of %s end returned %v", name, err)
			}
			for m := range c.Inbox() {
				t.Errorf("%s end received another %d bytes", name, len(m))
			}
		})
	}
	work.Wait()
	ours, theirs := a.Stats(), b.Stats()
	want := conn.Stats{
		MessagesSent: theirs.MessagesReceived, MessagesReceived: theirs.MessagesSent,
		BytesSent: theirs.BytesReceived, BytesReceived: theirs.BytesSent,
		Conflicts: theirs.Conflicts, Pipelined: inPipelined(),
	}
	ours.LastActivity = time.Time{}
	if diff := cmp.Diff(want, ours); diff != "" {
		t.Errorf("Stats of one end (-by those of the other +got):\n%s", diff)
	}
}
