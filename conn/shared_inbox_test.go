package conn_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

func TestTheInboxHasWhatWasHeldBeforeItWasAskedFor(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		s := newShared(t, conn.Options{})
		s.delivers("held")
		if got := string(<-s.c.Inbox()); got != "held" {
			t.Errorf("the Inbox has %q", got)
		}
		s.delivers("next")
		if got := string(<-s.c.Inbox()); got != "next" {
			t.Errorf("the Inbox has %q", got)
		}
	})
}

// The goroutine that would have offered it to the Inbox has left by then.
func TestTheInboxHasWhatWasHeldWhenTheConnectionEnded(t *testing.T) {
	for _, began := range []bool{true, false} {
		t.Run(fmt.Sprintf("Outbox used: %v", began), func(t *testing.T) {
			for range 20 {
				s := newShared(t, conn.Options{})
				if began {
					s.c.Outbox() <- []byte("out")
					s.takes("out")
				}
				s.delivers("held")
				s.peer.Conn.(halfCloser).CloseWrite()
				<-s.c.Done()
				var got []string
				within(t, "the range over the Inbox", func() { got = s.received() })
				if diff := cmp.Diff([]string{"held"}, got); diff != "" {
					t.Errorf("the Inbox has (-want +got):\n%s", diff)
				}
				if err := s.c.Err(); err != nil {
					t.Errorf("Err is %v", err)
				}
			}
		})
	}
}

func TestReceiveHasWhatWasHeldWhenTheConnectionEnded(t *testing.T) {
	for _, inbox := range []int{0, 1} {
		s := newShared(t, conn.Options{InboxBuffer: inbox})
		s.c.Outbox() <- []byte("out")
		s.takes("out")
		msgs := []string{"one", "two"}[:1+inbox]
		for _, m := range msgs {
			s.delivers(m)
		}
		s.peer.Conn.(halfCloser).CloseWrite()
		<-s.c.Done()
		s.receives(msgs...)
		for range 2 {
			if msg, err := receiveSoon(s.c); err != io.EOF {
				t.Errorf("then Receive returned %q, %v, expected io.EOF", msg, err)
			}
		}
	}
}

// Whoever waits in Receive or Send goes on, and the messages go to either.
func TestInboxMayBeCalledAtAnyMoment(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		random := newRandom(t)
		for range 40 {
			leaktest.Check(t)
			x, y := tcpPair(t)
			a, b := joinBounded(t, x, y, nil, &conn.Options{InboxBuffer: random.IntN(2) * 3})
			const n = 50
			got := make(chan string, 3*n)
			ended := make(chan struct{}, 3)
			receive := func() { // ends with the connection
				defer func() { ended <- struct{}{} }()
				for {
					msg, err := b.Receive(context.Background())
					if err != nil {
						return
					}
					got <- string(msg)
				}
			}
			go receive()
			go receive()
			sent := make(chan error, 2)
			sendAll := func(c *conn.Conn, name string) { // ends with its last message
				for i := range n {
					if err := c.Send(context.Background(), fmt.Appendf(nil, "%s %d", name, i)); err != nil {
						sent <- err
						return
					}
				}
				sent <- nil
			}
			go sendAll(a, "there")
			go sendAll(b, "back")
			back := make(chan int, 1)
			go func() { // ends with the connection
				k := 0
				for range a.Messages(context.Background()) {
					k++
				}
				back <- k
			}()
			aMoment(random)
			go func() { // ends with the connection
				defer func() { ended <- struct{}{} }()
				for msg := range b.Inbox() {
					got <- string(msg)
				}
			}()
			for range cap(sent) {
				if err := <-sent; err != nil {
					t.Errorf("Send returned %v", err)
				}
			}
			shutDown(t, a, b)
			for range cap(ended) {
				<-ended
			}
			close(got)
			seen := map[string]int{}
			for m := range got {
				seen[m]++
			}
			want := map[string]int{}
			for i := range n {
				want[fmt.Sprintf("there %d", i)] = 1
			}
			if diff := cmp.Diff(want, seen); diff != "" {
				t.Fatalf("received so often (-want +got):\n%s", diff)
			}
			if k := <-back; k != n {
				t.Fatalf("%d messages came back, expected %d", k, n)
			}
		}
	})
}

func TestTheNextMessageIsAnsweredOnceReceiveHasMadeRoom(t *testing.T) {
	t.Run("classic", func(t *testing.T) {
		s := newShared(t, conn.Options{InboxBuffer: 2})
		for _, m := range []string{"1", "2", "3"} {
			s.delivers(m)
		}
		s.peer.says(offerOf(1)...)
		s.receives("1")
		s.peer.hears(ok)
		s.peer.says('4')
		s.receives("2", "3", "4")
	})
	t.Run("pipelined", func(t *testing.T) {
		nc, peer := tcpPair(t)
		s := newPipelined(t, nc, peer, conn.Options{InboxBuffer: 2}, generous)
		s.peer.says(dataOf("1", "2", "3", "4")...)
		s.peer.hears(ok, ok)
		s.receives("1")
		s.peer.hears(ok)
		s.receives("2", "3", "4")
		s.peer.hears(ok)
	})
}
