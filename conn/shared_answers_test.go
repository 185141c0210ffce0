package conn_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// heldReader is a Reader that waits for its gate.
type heldReader struct {
	gate chan struct{}
	from io.Reader
}

func (r heldReader) Read(p []byte) (int, error) {
	<-r.gate
	return r.from.Read(p)
}

// inPipelinedMode runs a test in that mode alone.
func inPipelinedMode(t *testing.T) {
	mode = conn.Pipelined
	t.Cleanup(func() { mode = conn.Classic })
}

// answersOnce plays a peer that reads once, after a message of its own, and reports
// whether that was all of want.
func (s *stage) answersOnce(want []byte) bool {
	s.t.Helper()
	p := make([]byte, len(want)+1)
	n, err := s.peer.Read(p)
	if err != nil {
		s.t.Fatal(err)
	}
	whole := n == len(want)
	if !bytes.Equal(p[:n], want[:n]) {
		s.t.Fatalf("the peer heard % x, expected % x", p[:n], want)
	}
	s.peer.hears(want[n:]...)
	return whole
}

func TestTheAnswerRidesWithTheReplyOfAnApplicationThatRepliesAtOnce(t *testing.T) {
	inPipelinedMode(t)
	s := newShared(t, conn.Options{})
	const rounds = 200
	done := make(chan struct{})
	go func() { // ends with the last round
		defer close(done)
		for range rounds {
			msg, err := receiveSoon(s.c)
			if err != nil {
				t.Errorf("Receive returned %v", err)
				return
			}
			if err := sendSoon(s.c, string(msg)); err != nil {
				t.Errorf("Send returned %v", err)
			}
		}
	}()
	together := 0
	for range rounds {
		s.peer.says(dataOf("ping")...)
		if s.answersOnce(append([]byte{ok}, dataOf("ping")...)) {
			together++
		}
		s.peer.says(ok)
	}
	<-done
	if together < rounds/4 { // the first is never, and a machine that is busy is late
		t.Errorf("%d of %d answers came with the reply", together, rounds)
	}
}

// An application that replied at once so far, and does not reply now, or only to
// the last of several messages.
func TestAnAnswerWaitsForAReplyForAFewMillisecondsAtMost(t *testing.T) {
	inPipelinedMode(t)
	best := time.Hour
	for range 10 {
		s := newShared(t, conn.Options{})
		for range 20 {
			s.peer.says(dataOf("ping")...)
			s.receives("ping")
			sent := make(chan error, 1)
			go func() { sent <- sendSoon(s.c, "pong") }() // ends with the answer
			s.peer.hears(append([]byte{ok}, dataOf("pong")...)...)
			s.peer.says(ok)
			if err := <-sent; err != nil {
				t.Fatalf("Send returned %v", err)
			}
		}
		s.peer.says(dataOf("one", "two", "three")...)
		for _, m := range []string{"one", "two", "three"} {
			begun := time.Now()
			s.receives(m)
			s.peer.hears(ok)
			best = min(best, time.Since(begun))
		}
		s.c.Close()
	}
	if best > 50*time.Millisecond {
		t.Errorf("an answer came after %v at best", best)
	}
}

func TestAnswersThatWaitAreWrittenBeforeReceiveWaits(t *testing.T) {
	inPipelinedMode(t)
	s := newShared(t, conn.Options{})
	go func() { // ends with the connection
		for range s.c.Messages(context.Background()) {
		}
	}()
	for n := range 20 {
		s.peer.says(bytes.Repeat(dataOf("m"), n+1)...)
		s.peer.hears(times(n+1, ok)...)
	}
}

// They can't be written amid another message.
func TestAnswersThatWaitForASendFromHaveReceiveWait(t *testing.T) {
	inPipelinedMode(t)
	s := newShared(t, conn.Options{})
	from := heldReader{make(chan struct{}), bytes.NewReader([]byte("12345"))}
	sent := make(chan error, 1)
	go func() { sent <- s.c.SendFrom(context.Background(), from, 5) }() // ends with the answer
	s.peer.hears(offerOf(5)...)
	s.peer.says(dataOf("one", "two")...)
	s.receives("one", "two")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	within(t, "Receive", func() {
		if msg, err := s.c.Receive(ctx); err == nil {
			t.Errorf("Receive returned %q", msg)
		}
	})
	received := make(chan string, 1)
	go func() { // ends with the last message
		msg, _ := receiveSoon(s.c)
		received <- string(msg)
	}()
	within(t, "Stats", func() { s.c.Stats() })
	close(from.gate)
	s.peer.hears([]byte("12345")...)
	s.peer.hears(ok, ok)
	s.peer.says(append([]byte{ok}, dataOf("three")...)...)
	if got := <-received; got != "three" {
		t.Errorf("received %q", got)
	}
	if err := <-sent; err != nil {
		t.Errorf("SendFrom returned %v", err)
	}
}
