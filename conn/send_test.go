package conn_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// A connection is not tied to others: synctest forbids to share a channel
// between bubbles.
func TestSendWorksInOneSynctestBubbleAfterAnother(t *testing.T) {
	eachMode(t, testSendWorksInOneSynctestBubbleAfterAnother)
}

func testSendWorksInOneSynctestBubbleAfterAnother(t *testing.T) {
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			x, y := net.Pipe()
			a, b := join(t, x, y, nil, nil)
			sent := make(chan error, 1)
			go func() { sent <- a.Send(t.Context(), []byte("hello")) }() // ends when it is received
			if msg := <-b.Inbox(); string(msg) != "hello" {
				t.Errorf("received %q", msg)
			}
			if err := <-sent; err != nil {
				t.Errorf("Send returned %v", err)
			}
		})
	}
}

func TestSendGoesBehindWhatIsInTheOutbox(t *testing.T) {
	eachMode(t, testSendGoesBehindWhatIsInTheOutbox)
}

func testSendGoesBehindWhatIsInTheOutbox(t *testing.T) {
	for _, buffer := range []int{0, 1, 8} {
		t.Run(fmt.Sprintf("OutboxBuffer %d", buffer), func(t *testing.T) {
			x, y := tcpPair(t)
			a, b := joinBounded(t, x, y, &conn.Options{OutboxBuffer: buffer}, nil)
			const rounds = 300
			var want, got []string
			for round := range rounds {
				for i := range 1 + round%3 {
					want = append(want, fmt.Sprintf("%d: Outbox %d", round, i))
				}
				want = append(want, fmt.Sprintf("%d: Send", round))
			}
			failed := make(chan error, 1)
			go func() { // ends with the last message, or a Send that fails
				defer close(failed)
				for round := range rounds {
					for i := range 1 + round%3 {
						if err := put(a, fmt.Appendf(nil, "%d: Outbox %d", round, i)); err != nil {
							failed <- err
							return
						}
					}
					if err := a.Send(t.Context(), fmt.Appendf(nil, "%d: Send", round)); err != nil {
						failed <- err
						return
					}
				}
				close(a.Outbox())
			}()
			for m := range b.Inbox() {
				got = append(got, string(m))
			}
			if err := <-failed; err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("received (-sent +received):\n%s", diff)
			}
		})
	}
}

func TestConcurrentSendsGoInTheirOrder(t *testing.T) {
	for _, useOutbox := range []bool{false, true} {
		t.Run(fmt.Sprintf("Outbox in use: %t", useOutbox), func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newStage(t, nc, peer, conn.Options{})
				if useOutbox {
					s.c.Outbox()
					synctest.Wait()
				}
				var sends sync.WaitGroup
				const n = 20
				for i := range n {
					sends.Go(func() { // ends when the peer accepts it
						if err := s.c.Send(t.Context(), []byte{byte(i)}); err != nil {
							t.Error(err)
						}
					})
					synctest.Wait() // so that this one came before the next
				}
				s.peer.SetDeadline(time.Now().Add(time.Minute))
				for i := range n {
					s.peer.hearsMessage(string([]byte{byte(i)}))
				}
				sends.Wait()
			})
		})
	}
}

// Sends from many goroutines, with and without the Outbox: each goroutine's
// own messages keep their order, and none waits for ever.
func TestSendAndOutboxFromManyGoroutines(t *testing.T) {
	eachMode(t, testSendAndOutboxFromManyGoroutines)
}

func testSendAndOutboxFromManyGoroutines(t *testing.T) {
	leaktest.Check(t)
	x, y := tcpPair(t)
	a, b := joinBounded(t, x, y, &conn.Options{OutboxBuffer: 1}, &conn.Options{InboxBuffer: 8})
	const senders, each = 8, 500
	var work sync.WaitGroup
	for id := range senders {
		work.Go(func() { // ends with the last of its messages, or with the connection
			for i := range each {
				send := a.Send
				if (i+id)%3 == 0 {
					send = func(_ context.Context, msg []byte) error { return put(a, msg) }
				}
				if err := send(t.Context(), []byte{byte(id), byte(i >> 8), byte(i)}); err != nil {
					t.Errorf("sender %d: %v", id, err)
					return
				}
			}
		})
	}
	var next [senders]int
	for range senders * each {
		m, ok := <-b.Inbox()
		if !ok {
			t.Fatalf("messages got stuck; received of each sender: %v", next)
		}
		if i := int(m[1])<<8 | int(m[2]); next[m[0]] != i {
			t.Errorf("message %d of sender %d came when %d was next", i, m[0], next[m[0]])
		}
		next[m[0]]++
	}
	work.Wait()
}

func TestSendsDoNotStarveTheOutbox(t *testing.T) { eachMode(t, testSendsDoNotStarveTheOutbox) }

func testSendsDoNotStarveTheOutbox(t *testing.T) {
	for _, buffer := range []int{0, 1} {
		t.Run(fmt.Sprintf("OutboxBuffer %d", buffer), func(t *testing.T) {
			leaktest.Check(t)
			x, y := tcpPair(t)
			a, b := joinBounded(t, x, y, &conn.Options{OutboxBuffer: buffer}, nil)
			var work sync.WaitGroup
			for range 4 { // each ends with the connection
				work.Go(func() {
					for a.Send(context.Background(), []byte("Send")) == nil {
					}
				})
			}
			work.Go(func() { // ends with the connection
				for put(a, []byte("Outbox")) == nil {
				}
			})
			got := map[string]int{}
			for len(got) < 2 || got["Outbox"] < 20 {
				m, ok := <-b.Inbox()
				if got[string(m)]++; !ok || got["Send"] > 20_000 {
					t.Errorf("received %v", got)
					break
				}
			}
			a.Close()
			work.Wait()
		})
	}
}

func TestSendReturnsWhenTheMessageIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 0)
		s := newStage(t, nc, peer, conn.Options{})
		returned := func() bool {
			synctest.Wait()
			return len(s.sent) > 0
		}
		s.send("message")
		s.peer.hears(offerOf(7)...)
		if returned() {
			t.Error("Send returned before the message was accepted")
		}
		s.peer.says(ok)
		s.peer.hears([]byte("messag")...)
		if returned() {
			t.Error("Send returned before the message was written")
		}
		s.peer.hears('e')
		if !returned() {
			t.Error("Send did not return when the message was written")
		}
	})
}

// C7: one slice may be sent on many connections at once. (The race detector
// sees whether a connection writes to it.)
func TestOneSliceIsSentOnManyConnections(t *testing.T) {
	eachMode(t, testOneSliceIsSentOnManyConnections)
}

func testOneSliceIsSentOnManyConnections(t *testing.T) {
	msg := bytes.Repeat([]byte("shared"), 5000)
	want := bytes.Clone(msg)
	var work sync.WaitGroup
	for range 8 {
		x, y := tcpPair(t)
		a, b := joinBounded(t, x, y, nil, nil)
		work.Go(func() { // ends with its Send
			if err := a.Send(t.Context(), msg); err != nil {
				t.Error(err)
			}
		})
		work.Go(func() { // ends with the message
			got := <-b.Inbox()
			if !bytes.Equal(got, want) {
				t.Errorf("received %d bytes, not those that were sent", len(got))
			}
			clear(got) // it is the receiver's
		})
	}
	work.Wait()
	if !bytes.Equal(msg, want) {
		t.Error("the slice that was sent has changed")
	}
}
