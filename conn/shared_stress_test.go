package conn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// sideOf is one end in the stress: what its Sends returned, and what was received.
type sideOf struct {
	c    *conn.Conn
	name string

	mu       sync.Mutex
	accepted map[string]bool // Send returned nil
	refused  map[string]bool // Send says that it was not sent, for sure
	received []string        // in the order of each receiver, which is "receiver|message"
}

// send sends n messages from one of several senders, with contexts that may end.
func (s *sideOf) send(sender, n int, random *rand.Rand) {
	for i := range n {
		msg := fmt.Sprintf("%s %d %d ", s.name, sender, i)
		if random.IntN(10) == 0 {
			msg += strings.Repeat("x", random.IntN(200_000))
		}
		ctx, cancel := context.Background(), func() {}
		if random.IntN(3) == 0 {
			ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(2000))*time.Microsecond)
		}
		err := s.c.Send(ctx, []byte(msg))
		cancel()
		key := strings.TrimRight(msg, "x")
		s.mu.Lock()
		switch {
		case err == nil:
			s.accepted[key] = true
		case !errors.Is(err, conn.ErrInDoubt):
			s.refused[key] = true
		}
		s.mu.Unlock()
		if errors.Is(err, conn.ErrClosed) {
			return
		}
	}
}

// receive receives until the connection ends, with contexts that may end.
func (s *sideOf) receive(receiver int, random *rand.Rand) error {
	for {
		ctx, cancel := context.Background(), func() {}
		if random.IntN(2) == 0 {
			ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(1000))*time.Microsecond)
		}
		msg, err := s.c.Receive(ctx)
		ended := ctx.Err() != nil
		cancel()
		switch {
		case err == nil:
			s.note(receiver, msg)
		case !ended || !errors.Is(err, context.DeadlineExceeded):
			return err
		}
		if random.IntN(20) == 0 {
			aMoment(random)
		}
	}
}

func (s *sideOf) note(receiver int, msg []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = append(s.received, fmt.Sprintf("%d|%s", receiver, strings.TrimRight(string(msg), "x")))
}

// check compares what was sent with what the other end received.
func (s *sideOf) check(t *testing.T, other *sideOf, graceful bool) {
	t.Helper()
	times := map[string]int{}
	last := map[string]int{} // per receiver and sender
	for _, r := range other.received {
		receiver, msg, _ := strings.Cut(r, "|")
		times[msg]++
		var name string
		var sender, i int
		if _, err := fmt.Sscanf(msg, "%s %d %d", &name, &sender, &i); err != nil || name != s.name {
			t.Fatalf("%q was received from %s", msg, s.name)
		}
		// Each receiver sees the messages of each sender in order. (What one of
		// several receivers notes may be late.)
		of := fmt.Sprintf("%s %d", receiver, sender)
		if before, ok := last[of]; ok && before >= i {
			t.Errorf("a receiver had message %d of %s after %d", i, of, before)
		}
		last[of] = i
	}
	for msg, n := range times {
		if n != 1 || s.refused[msg] {
			t.Errorf("%q was received %d times, and not sent: %v", msg, n, s.refused[msg])
		}
	}
	if !graceful {
		return
	}
	for msg := range s.accepted {
		if times[msg] != 1 {
			t.Errorf("%q was accepted, and received %d times", msg, times[msg])
		}
	}
}

func TestManySendsAndReceivesAtOnceWithContextsThatEnd(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		random := newRandom(t)
		for range 15 {
			shareAtRandom(t, random)
		}
	})
}

// shareAtRandom has both ends send and receive, and one of them end.
func shareAtRandom(t *testing.T, random *rand.Rand) {
	leaktest.Check(t)
	x, y := tcpPair(t)
	a, b := joinBounded(t, x, y, &conn.Options{InboxBuffer: random.IntN(3)}, &conn.Options{InboxBuffer: random.IntN(2) * 5, WindowMessages: 1 + random.Uint32N(100)})
	ends := [2]*sideOf{}
	for i, c := range []*conn.Conn{a, b} {
		ends[i] = &sideOf{c: c, name: "ab"[i : i+1], accepted: map[string]bool{}, refused: map[string]bool{}}
	}
	var sending, receiving sync.WaitGroup
	fork := func() *rand.Rand { return rand.New(rand.NewPCG(random.Uint64(), 0)) }
	for _, s := range ends {
		for k := range 1 + random.IntN(4) {
			random := fork()
			sending.Go(func() { s.send(k, 40, random) }) // ends with its last message, or the connection
		}
		for k := range 1 + random.IntN(3) {
			random := fork()
			receiving.Go(func() { // ends with the connection
				if err := s.receive(k, random); err == nil || strings.Contains(err.Error(), "stuck") {
					t.Errorf("Receive returned %v", err)
				}
			})
		}
		if random.IntN(3) == 0 {
			random := fork()
			receiving.Go(func() { // ends with the connection
				aMoment(random)
				for msg := range s.c.Inbox() {
					s.note(-1, msg)
				}
			})
		}
	}
	graceful := random.IntN(2) == 0
	if graceful {
		sending.Wait()
		for _, s := range ends { // behind what may still be on its way
			sending.Go(func() { // ends with the message
				msg := s.name + " -1 0 "
				if err := s.c.Send(context.Background(), []byte(msg)); err != nil {
					t.Errorf("the last Send returned %v", err)
				}
				s.accepted[msg] = true
			})
		}
		sending.Wait()
		shutDown(t, a, b)
	} else {
		aMoment(random)
		aMoment(random)
		victim := ends[random.IntN(2)].c
		if random.IntN(2) == 0 {
			victim.Close()
		} else {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(random.IntN(2000))*time.Microsecond)
			victim.Shutdown(ctx)
			cancel()
		}
	}
	within(t, "a Send or a Receive", func() { sending.Wait(); receiving.Wait() })
	ends[0].check(t, ends[1], graceful)
	ends[1].check(t, ends[0], graceful)
	for _, s := range ends {
		sent := s.c.Stats()
		if graceful {
			if diff := cmp.Diff(uint64(len(s.received)), sent.MessagesReceived); diff != "" {
				t.Errorf("Stats count other messages than were received (-received +Stats):\n%s", diff)
			}
		}
		if _, err := s.c.Receive(context.Background()); err == nil || graceful && err != io.EOF {
			t.Errorf("Receive after the end returned %v", err)
		}
	}
}
