package hub_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/hub"
)

// These are faults that users of other hubs paid for, where no other test of
// this package is about the same.

// Paid by users of chats that evict with the table's lock held: whoever is told
// of it, and tells the others, waits for that lock for ever. Here all that hear
// of anything use the hub, and end members, from where they hear it.
func TestWhoeverIsToldOfAnEvictionMayUseTheHub(t *testing.T) {
	eachMode(t, testWhoeverIsToldOfAnEvictionMayUseTheHub)
}

func testWhoeverIsToldOfAnEvictionMayUseTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const members = 20
		var h *hub.Hub
		var evictions, told atomic.Int64
		use := func(m *hub.Member) {
			told.Add(1)
			h.Len()
			h.Stats()
			m.Stats()
			m.Conn().Stats()
			m.Enter("those who are told of")
			for other := range h.Members() {
				other.In("those who are told of")
			}
			for range h.Rooms() {
			}
			h.Member(m.ID())
			m.Exit("those who are told of")
			m.Close(nil)
			m.Leave()
		}
		observer := &hub.Observer{
			Joined:  func(m *hub.Member) { told.Add(1); h.Len(); m.Stats() },
			Left:    func(m *hub.Member, _ error) { use(m) },
			Queued:  func(m *hub.Member, _, _ int) { told.Add(1); h.Len(); m.Stats(); m.Conn().Stats() },
			Dropped: func(m *hub.Member, _, _ int) { use(m) },
			Evicted: func(m *hub.Member) {
				evictions.Add(1)
				use(m)
				// Which evicts the next one, and so on: from within each other.
				if _, err := h.Broadcast(t.Context(), fmt.Appendf(nil, "%s was evicted", m.ID())); err != nil {
					t.Error(err)
				}
			},
		}
		logger := slog.New(callback{func() {
			if h != nil {
				h.Len()
				h.Broadcast(t.Context(), []byte("logged"))
			}
		}})
		h = start(t, &hub.Options{QueueMessages: 1, Observer: observer, Logger: logger})
		go drain(h) // ends with the hub
		var joined []*hub.Member
		for range members {
			m, _ := joinPipe(t, h) // whose peer never reads
			joined = append(joined, m)
		}
		began := time.Now()
		for range offQueue + 2 {
			if _, err := h.Broadcast(t.Context(), []byte("too much")); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		for _, m := range joined {
			<-m.Done()
			if err := m.Err(); !errors.Is(err, hub.ErrEvicted) {
				t.Errorf("a member left with %v, expected that it was evicted", err)
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %v", took)
		}
		if n := evictions.Load(); n != members {
			t.Errorf("%d evictions were heard of, expected %d", n, members)
		}
		reconcile(t, h, joined)
	})
}

// callback is a slog.Handler that does something else.
type callback struct{ do func() }

func (c callback) Enabled(context.Context, slog.Level) bool  { return true }
func (c callback) WithAttrs([]slog.Attr) slog.Handler        { return c }
func (c callback) WithGroup(string) slog.Handler             { return c }
func (c callback) Handle(context.Context, slog.Record) error { c.do(); return nil }

// Paid by everybody who wrote a hub as one loop with a register and an
// unregister channel: the loop broadcasts, finds a client that is full, and has
// nobody but itself to take the client's end. Here one goroutine takes the
// events, broadcasts at each of them and so evicts everybody, without a buffer
// anywhere.
func TestALoopOverEventsThatEvictsEverybodyTakesTheirEnds(t *testing.T) {
	eachMode(t, testALoopOverEventsThatEvictsEverybodyTakesTheirEnds)
}

func testALoopOverEventsThatEvictsEverybodyTakesTheirEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const members = 30
		h := start(t, &hub.Options{QueueMessages: 1})
		heard := make(chan struct{})
		go func() { // ends when all have left
			defer close(heard)
			for left := 0; left < members; {
				e := <-h.Events()
				h.Broadcast(t.Context(), []byte(e.Kind.String()))
				if e.Kind == hub.Left {
					left++
				}
			}
		}()
		var joined []*hub.Member
		for range members {
			m, peer := joinPipe(t, h) // whose peer floods, and never reads
			joined = append(joined, m)
			go func() { // ends with the peer
				for peer.Send(context.Background(), []byte("flood")) == nil {
				}
			}()
		}
		select {
		case <-heard:
		case <-time.After(time.Hour):
			t.Fatal("the loop does not hear of the ends")
		}
		for _, m := range joined {
			<-m.Done()
			if err := m.Err(); !errors.Is(err, hub.ErrEvicted) {
				t.Errorf("a member left with %v, expected that it was evicted", err)
			}
		}
		reconcile(t, h, joined)
	})
}

// Paid by users of golang.org/x/crypto/ssh, whose connections stand still unless
// somebody drains all channels: a program that only ever broadcasts, and takes
// no event.
func TestBroadcastsArriveThoughNobodyTakesEvents(t *testing.T) {
	eachMode(t, testBroadcastsArriveThoughNobodyTakesEvents)
}

func testBroadcastsArriveThoughNobodyTakesEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const members, messages = 5, 100
		h := start(t, nil)
		received := make(chan []string, members)
		for range members {
			_, peer := joinPipe(t, h)
			go func() { received <- receive(t, peer, messages) }() // ends with the last message
			go func() {                                            // ends with the peer
				for peer.Send(context.Background(), []byte("nobody listens")) == nil {
				}
			}()
		}
		began := time.Now()
		var want []string
		for i := range messages {
			want = append(want, fmt.Sprint(i))
			if n, err := h.Broadcast(t.Context(), []byte(want[i])); n != members || err != nil {
				t.Fatalf("queued for %d, %v", n, err)
			}
			synctest.Wait()
		}
		for range members {
			if diff := cmp.Diff(want, <-received); diff != "" {
				t.Errorf("received (-expected +got):\n%s", diff)
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// Paid by users of hubs that close a client's queue to say that it has left: a
// broadcast on the way to it panics (a send on a closed channel), and a second
// end of the same client does (a close of a closed channel).
func TestEverybodyMayEndEverybodyWhileAllBroadcast(t *testing.T) {
	eachMode(t, testEverybodyMayEndEverybodyWhileAllBroadcast)
}

func testEverybodyMayEndEverybodyWhileAllBroadcast(t *testing.T) {
	h := start(t, &hub.Options{QueueMessages: 2})
	go drain(h) // ends with the hub
	reason := errors.New("somebody had enough")
	var joined []*hub.Member
	for range 20 {
		m, peer := join(t, h)
		go drainPeer(peer) // ends with the peer
		joined = append(joined, m)
	}
	ended := make(chan struct{})
	for i := range joined {
		go func() { // ends when it has ended everybody
			defer func() { ended <- struct{}{} }()
			for k := range joined {
				h.Broadcast(t.Context(), []byte("on the way"))
				m := joined[(i+k)%len(joined)]
				switch i % 4 {
				case 0:
					m.Close(reason)
				case 1:
					m.Leave()
				case 2:
					m.Conn().Close() // which is not for anybody but the hub, and does no harm
				case 3:
					h.Send(t.Context(), m.ID(), []byte("on the way, too"))
				}
			}
		}()
	}
	for range joined {
		<-ended
	}
	for _, m := range joined {
		<-m.Done()
		if err := m.Err(); err != nil && !errors.Is(err, reason) && !errors.Is(err, conn.ErrClosed) && !errors.Is(err, hub.ErrEvicted) {
			t.Errorf("a member left with %v", err)
		}
	}
	reconcile(t, h, joined)
}
