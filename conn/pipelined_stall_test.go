package conn_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

func TestAPeerThatStallsInAnItemEndsTheConnection(t *testing.T) {
	for _, c := range []struct {
		name        string
		opts        conn.Options
		stall       func(*stage)
		from, until time.Duration
		doing       string
	}{
		{"in a size", conn.Options{}, func(s *stage) { s.peer.says(0) }, 30 * time.Second, 30 * time.Second, "reading"},
		{"in a message", conn.Options{}, func(s *stage) { s.peer.says(dataOf("message")[:6]...) }, 30 * time.Second, 30 * time.Second, "reading"},
		{"in a message, given", conn.Options{StallTimeout: time.Second},
			func(s *stage) { s.peer.says(dataOf("message")[:6]...) }, time.Second, time.Second, "reading"},
		{"in a large message", conn.Options{StallTimeout: time.Second},
			func(s *stage) { s.peer.says(dataOf(large)[:100_000]...) }, time.Second, time.Second, "reading"},
		{"in a message that is skipped", conn.Options{StallTimeout: time.Second, MaxMessage: 5},
			func(s *stage) { s.peer.says(dataOf("message")[:6]...) }, time.Second, time.Second, "reading"},
		{"in a message, for ever", conn.Options{StallTimeout: -1}, func(s *stage) { s.peer.says(dataOf("message")[:6]...) }, never, never, ""},
		// Progress within the first period is noticed at its end, so it may take two.
		{"not reading", conn.Options{}, func(s *stage) { s.send(large); s.peer.hears(0) }, 30 * time.Second, time.Minute, "writing"},
		{"not reading, given", conn.Options{StallTimeout: time.Second}, func(s *stage) { s.send(large); s.peer.hears(0) }, time.Second, 2 * time.Second, "writing"},
		{"not reading, for ever", conn.Options{StallTimeout: -1}, func(s *stage) { s.send(large); s.peer.hears(0) }, never, never, ""},
		{"between messages", conn.Options{InboxBuffer: 1}, func(s *stage) { s.peer.says(dataOf("message")...) }, never, never, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				c.opts.PeerTimeout = -1
				nc, peer := memPair(t, 1<<10)
				s := newPipelined(t, nc, peer, c.opts, generous)
				c.stall(s)
				checkStall(t, s, c.opts.StallTimeout, c.from, c.until, c.doing)
			})
		})
	}
}

func checkStall(t *testing.T, s *stage, after, from, until time.Duration, doing string) {
	t.Helper()
	start := time.Now()
	select {
	case <-s.c.Done():
	case <-time.After(time.Hour):
		if until != never {
			t.Error("the stall was not noticed")
		}
		return
	}
	if took := time.Since(start); took < from || took > until {
		t.Errorf("it was noticed after %v, expected %v to %v", took, from, until)
	}
	s.received()
	if after == 0 {
		after = from
	}
	checkError(t, s.c.Err(), &conn.StallError{Doing: doing, After: after})
}

// The time runs from when a message is wholly written, and the oldest one counts.
func TestAnswerTimeoutBoundsTheOldestMessagesAnswer(t *testing.T) {
	const timeout = 3 * time.Second
	sendTwo := func(s *stage) {
		s.sends("one", "two")
		s.peer.hears(dataOf("one", "two")...)
	}
	for _, c := range []struct {
		name  string
		do    func(*stage)
		after time.Duration // behind what is done
	}{
		{"nothing sent", func(*stage) {}, never},
		{"a message unanswered", sendTwo, timeout},
		{"the second unanswered", func(s *stage) {
			sendTwo(s)
			time.Sleep(timeout / 2)
			s.peer.says(ok)
		}, timeout},
		{"signs of life are no answers", func(s *stage) {
			sendTwo(s)
			for range 5 {
				time.Sleep(timeout / 6)
				s.peer.says(ping)
				s.peer.hears(pong)
			}
		}, timeout - 5*(timeout/6)},
		{"all answered", func(s *stage) {
			sendTwo(s)
			time.Sleep(timeout / 2)
			s.peer.says(ok, tooLarge)
		}, never},
		{"answered, and another later", func(s *stage) {
			sendTwo(s)
			s.peer.says(ok, ok)
			time.Sleep(10 * timeout)
			s.send("three")
			s.peer.hears(dataOf("three")...)
		}, timeout},
		{"a message that is read slowly", func(s *stage) {
			s.send(large)
			s.peer.hears(offerOf(len(large))...)
			s.peer.hearsSlowly(large)
		}, timeout},
		{"one answered, and one behind it that is read slowly", func(s *stage) {
			s.sends("one", large)
			s.peer.hears(dataOf("one")...)
			s.peer.says(ok)
			s.peer.hears(offerOf(len(large))...)
			s.peer.hearsSlowly(large)
		}, timeout},
		{"a message whose Reader takes its time", func(s *stage) {
			from, to := io.Pipe()
			s.sendFrom(from, 7)
			s.peer.hears(offerOf(7)...)
			time.Sleep(10 * timeout)
			to.Write([]byte("message"))
			s.peer.hears([]byte("message")...)
		}, timeout},
		{"one unanswered, and one behind it that is read slowly", func(s *stage) {
			s.sends("one", large)
			s.peer.hears(dataOf("one")...)
			s.peer.hears(offerOf(len(large))...)
			time.Sleep(timeout / 2)
		}, timeout / 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newPipelined(t, nc, peer, conn.Options{AnswerTimeout: timeout, PeerTimeout: -1, WindowBytes: 2 * int64(len(large))}, generous)
				c.do(s)
				if s.isDone() {
					t.Fatalf("it ended before its time: %v", s.c.Err())
				}
				checkStall(t, s, timeout, c.after, c.after, "waiting for the answer to a message")
			})
		})
	}
}

// An application that is slow is not what StallTimeout bounds, here or there.
func TestMessagesMayWaitForTheApplicationForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := memPair(t, 1<<10)
		a, b := join(t, x, y, &conn.Options{Mode: conn.Pipelined, OutboxBuffer: 3}, nil)
		for _, m := range []string{"one", "two", "three"} {
			a.Outbox() <- []byte(m)
		}
		shut := make(chan error, 1)
		go func() { shut <- a.Shutdown(t.Context()) }() // ends with the connection
		for _, m := range []string{"one", "two", "three"} {
			time.Sleep(time.Hour)
			if got, err := b.Receive(t.Context()); err != nil || string(got) != m {
				t.Fatalf("received %q, %v", got, err)
			}
		}
		if _, err := b.Receive(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("the Inbox is closed with %v", err)
		}
		if err := <-shut; err != nil {
			t.Errorf("Shutdown returned %v", err)
		}
	})
}
