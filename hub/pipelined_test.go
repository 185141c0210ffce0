package hub_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/hub"
)

// pipelined runs a test in pipelined mode, in a synctest bubble.
func pipelined(t *testing.T, test func(*testing.T)) {
	t.Helper()
	mode = conn.Pipelined
	defer func() { mode = conn.Classic }()
	synctest.Test(t, test)
}

func TestABurstReachesAPipelinedMemberInFewWrites(t *testing.T) {
	pipelined(t, func(t *testing.T) {
		const messages = 200
		h := start(t, nil)
		go drain(h) // ends with the hub
		own, theirs := pipePair()
		counted := &countedWrites{Conn: own, gate: make(chan struct{}, 1)}
		m, peer := joinOver(t, h, counted, theirs, &conn.Options{InboxBuffer: messages})
		synctest.Wait()
		counted.gate <- struct{}{} // the first write takes its time
		before := counted.writes.Load()
		var want []string
		for i := range messages {
			want = append(want, fmt.Sprint(i))
			if n, err := h.Broadcast(t.Context(), []byte(want[i])); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			if i == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		<-counted.gate
		if diff := cmp.Diff(want, receive(t, peer, messages)); diff != "" {
			t.Errorf("received (-sent +received):\n%s", diff)
		}
		synctest.Wait()
		if n := counted.writes.Load() - before; n != 2 {
			t.Errorf("%d writes, expected one for the first message and one for all others", n)
		}
		if diff := cmp.Diff(hub.MemberStats{Sent: messages, Delivered: messages}, m.Stats()); diff != "" {
			t.Errorf("counts (-expected +got):\n%s", diff)
		}
	})
}

// countedWrites is a transport that counts the writes, and lets none begin while its
// gate is full.
type countedWrites struct {
	net.Conn
	writes atomic.Int64
	gate   chan struct{} // cap 1
}

func (c *countedWrites) Write(p []byte) (int, error) {
	c.writes.Add(1)
	c.gate <- struct{}{}
	<-c.gate
	return c.Conn.Write(p)
}

func TestAWindowIsInFlightBesidesTheQueueOfAPipelinedMember(t *testing.T) {
	pipelined(t, func(t *testing.T) {
		const window, room = 5, 3
		h := start(t, &hub.Options{QueueMessages: room, Full: hub.DropNewest})
		go drain(h) // ends with the hub
		own, theirs := pipePair()
		m, peer := joinOver(t, h, own, theirs, &conn.Options{WindowMessages: window})
		for range window + room + 1 {
			if _, err := h.Broadcast(t.Context(), []byte("x")); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		want := hub.MemberStats{Sent: window + room + 1, Dropped: 1, QueuedMessages: room, QueuedBytes: room, Sending: true}
		if diff := cmp.Diff(want, m.Stats()); diff != "" {
			t.Errorf("counts (-expected +got):\n%s", diff)
		}
		receive(t, peer, 1) // which is answered, and makes room
		synctest.Wait()
		want.Delivered, want.QueuedMessages, want.QueuedBytes = 1, room-1, room-1
		if diff := cmp.Diff(want, m.Stats()); diff != "" {
			t.Errorf("counts after one was received (-expected +got):\n%s", diff)
		}
	})
}

func TestWhatIsQueuedReachesAPipelinedPeerThatSaysBye(t *testing.T) {
	pipelined(t, func(t *testing.T) {
		const messages = 5
		h := start(t, nil)
		go drain(h) // ends with the hub
		m, peer := joinPipe(t, h)
		var want []string
		for i := range messages {
			want = append(want, fmt.Sprint(i))
			if err := h.Send(t.Context(), m.ID(), []byte(want[i])); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		began := time.Now()
		ended := make(chan error, 1)
		go func() { ended <- peer.Shutdown(context.Background()) }() // ends with the connection
		synctest.Wait()
		if n, err := h.Broadcast(t.Context(), []byte("too late")); n != 0 || err != nil {
			t.Errorf("queued for %d, %v, although the peer says nothing any more", n, err)
		}
		if diff := cmp.Diff(want, receive(t, peer, messages)); diff != "" {
			t.Errorf("received (-sent +received):\n%s", diff)
		}
		<-m.Done()
		if err := <-ended; err != nil || m.Err() != nil || time.Since(began) > 0 {
			t.Errorf("Shutdown returned %v, and the member left with %v, after %v; expected a clean end at once",
				err, m.Err(), time.Since(began))
		}
		if diff := cmp.Diff(hub.MemberStats{Sent: messages, Delivered: messages}, m.Stats()); diff != "" {
			t.Errorf("counts (-expected +got):\n%s", diff)
		}
		reconcile(t, h, []*hub.Member{m})
	})
}
