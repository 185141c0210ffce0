package conn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// One of several Sends reads, and its own answer may be the first to come, so the
// next one has to read on.
func TestSendsReadForEachOther(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		for n := 1; n <= 8; n++ {
			s := newShared(t, conn.Options{})
			ended := make(chan error, n)
			for i := range n {
				go func() { ended <- sendSoon(s.c, fmt.Sprint(i)) }() // ends with its answer
			}
			if inPipelined() {
				io.ReadFull(s.peer, make([]byte, 5*n))
			}
			for range n {
				if inPipelined() {
					s.peer.says(ok)
				} else {
					s.peer.hears(offerOf(1)...)
					s.peer.says(ok)
					io.ReadFull(s.peer, make([]byte, 1))
				}
				if err := <-ended; err != nil {
					t.Errorf("one of %d Sends returned %v", n, err)
				}
			}
		}
	})
}

// Whoever reads may leave at any moment, as its context ends.
func TestTheSendThatReadsMayEndBeforeTheOthers(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		random := newRandom(t)
		for range 30 {
			s := newShared(t, conn.Options{})
			ctx, cancel := context.WithCancel(context.Background())
			first, second := make(chan error, 1), make(chan error, 1)
			go func() { first <- s.c.Send(ctx, []byte("first")) }() // ends with its context
			if inPipelined() {
				s.peer.hears(dataOf("first")...)
			} else {
				s.peer.hears(offerOf(5)...)
			}
			go func() { second <- sendSoon(s.c, "second") }() // ends with its answer
			received := make(chan string, 1)
			go func() { // ends with the message
				msg, _ := receiveSoon(s.c)
				received <- string(msg)
			}()
			aMoment(random)
			cancel()
			if err := <-first; !errors.Is(err, context.Canceled) || !errors.Is(err, conn.ErrInDoubt) {
				t.Errorf("the first Send returned %v", err)
			}
			if inPipelined() {
				s.peer.hears(dataOf("second")...)
				s.peer.says(ok, ok)
			} else {
				s.peer.says(ok)
				s.peer.hears([]byte("first")...)
				s.takes("second")
			}
			if err := <-second; err != nil {
				t.Errorf("the second Send returned %v", err)
			}
			s.delivers("in")
			if got := <-received; got != "in" {
				t.Errorf("received %q", got)
			}
		}
	})
}

// What the socket does not take is written by the writer goroutine, and nothing
// comes to end the Read of the Send that waits.
func TestASendWhoseLastBytesTheWriterWritesReturns(t *testing.T) {
	leaktest.Check(t)
	for _, size := range []int{1 << 20, 8 << 20, 20 << 20} {
		s := newShared(t, conn.Options{})
		msg := make([]byte, size)
		sent := make(chan error, 1)
		go func() { sent <- sendSoon(s.c, string(msg)) }() // ends with the message
		s.peer.hears(offerOf(size)...)
		s.peer.says(ok)
		s.peer.hears(msg...)
		if err := <-sent; err != nil {
			t.Errorf("a Send of %d bytes returned %v", size, err)
		}
		s.delivers("in") // whoever reads now
		s.receives("in")
	}
}

// Nobody reads its answer but who else calls the connection, or the connection.
func TestASendFromIsAnsweredWhoeverReads(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		for name, busy := range map[string]func(*stage){
			"nobody":            func(*stage) {},
			"a Receive":         func(s *stage) { go s.c.Receive(context.Background()) }, // ends with the connection
			"Receives that end": func(s *stage) { s.receivesNone(); s.receivesNone() },
		} {
			t.Run(name, func(t *testing.T) {
				s := newShared(t, conn.Options{})
				for _, m := range []string{"one", "two", "three"} {
					sent := make(chan error, 1)
					go func() { // ends with the message
						sent <- s.c.SendFrom(context.Background(), bytes.NewReader([]byte(m)), int64(len(m)))
					}()
					busy(s)
					s.takes(m)
					if inPipelined() {
						s.peer.says(ok)
					}
					if err := <-sent; err != nil {
						t.Errorf("SendFrom returned %v", err)
					}
				}
			})
		}
	})
}

// A Receive that reads leaves that to the connection, so that Accept and its Writer
// are not called by it.
func TestSetAcceptWhileReceiveReadsTakesTheNextMessages(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		random := newRandom(t)
		for range 10 {
			leaktest.Check(t)
			x, y := tcpPair(t)
			a, b := joinBounded(t, x, y, nil, nil)
			ctx, cancel := context.WithCancel(context.Background())
			received := make(chan int, 1)
			go func() { // ends with its context
				n := 0
				for _, err := range b.Messages(ctx) {
					if err != nil {
						break
					}
					n++
				}
				received <- n
			}()
			const n = 20
			var mu sync.Mutex
			streamed := 0
			sent := make(chan error, 1)
			go func() { // ends with the last message
				for range n {
					if err := a.Send(context.Background(), make([]byte, 1000)); err != nil {
						sent <- err
						return
					}
				}
				sent <- nil
			}()
			aMoment(random)
			b.SetAccept(func(uint32) conn.Placement {
				return conn.Placement{Writer: io.Discard, Done: func(moved int64, err error) {
					mu.Lock()
					defer mu.Unlock()
					if streamed++; moved != 1000 || err != nil {
						t.Errorf("Done was called with %d, %v", moved, err)
					}
				}}
			})
			if err := <-sent; err != nil {
				t.Errorf("Send returned %v", err)
			}
			another := make(chan int, 1)
			go func() { // ends with its context
				if _, err := b.Receive(ctx); err == nil {
					another <- 1
				} else {
					another <- 0
				}
			}()
			if err := a.Send(context.Background(), make([]byte, 1000)); err != nil { // all before it are done with
				t.Errorf("Send returned %v", err)
			}
			cancel()
			k := <-received + <-another
			shutDown(t, a, b)
			if k+streamed != n+1 {
				t.Errorf("%d of %d messages were received, and %d streamed", k, n+1, streamed)
			}
		}
	})
}

func TestConnectionsOverUnixSocketsAreReadAsThoseOverTCP(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		leaktest.Check(t)
		l, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		x, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		y, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		a, b := joinBounded(t, x, y, nil, nil)
		want := []string{"", "one", string(make([]byte, 300_000)), "two"}
		go func() { // ends with the last message
			for _, m := range want {
				a.Send(context.Background(), []byte(m))
			}
		}()
		ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
		cancel()
		b.Receive(ctx)
		var got []string
		for range want {
			msg, err := receiveSoon(b)
			if err != nil {
				t.Fatalf("Receive returned %v", err)
			}
			got = append(got, string(msg))
		}
		if !slices.Equal(want, got) {
			t.Errorf("received (-want +got):\n%s", cmp.Diff(want, got))
		}
		shutDown(t, a, b)
	})
}
