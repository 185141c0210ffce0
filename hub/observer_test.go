package hub_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/hub"
)

// gauges are what a metrics library would show of a hub, if it were attached
// by the Observer alone.
type gauges struct {
	mu                                             sync.Mutex
	members                                        map[*hub.Member]bool
	joined, left, evicted, dropped, bytes, strayed int
	queued                                         map[*hub.Member][2]int
}

func (g *gauges) observer() *hub.Observer {
	g.members, g.queued = map[*hub.Member]bool{}, map[*hub.Member][2]int{}
	locked := func(f func()) {
		g.mu.Lock()
		defer g.mu.Unlock()
		f()
	}
	return &hub.Observer{
		Joined: func(m *hub.Member) { hesitate(); locked(func() { g.joined++; g.members[m] = true }) },
		Left: func(m *hub.Member, err error) {
			locked(func() {
				g.left++
				if !g.members[m] {
					g.strayed++
				}
				delete(g.members, m)
			})
		},
		Evicted: func(*hub.Member) { locked(func() { g.evicted++ }) },
		Dropped: func(_ *hub.Member, messages, bytes int) {
			locked(func() { g.dropped += messages; g.bytes += bytes })
		},
		Queued: func(m *hub.Member, messages, bytes int) {
			if bytes > 0 {
				hesitate()
			}
			locked(func() {
				q := g.queued[m]
				g.queued[m] = [2]int{q[0] + messages, q[1] + bytes}
			})
		},
	}
}

// hesitate lets everybody else go first, as the scheduler may at any time.
func hesitate() {
	for range 100 {
		runtime.Gosched()
	}
}

func TestTheObserverHearsOfAJoinedBeforeItsLeft(t *testing.T) {
	eachMode(t, testTheObserverHearsOfAJoinedBeforeItsLeft)
}

func testTheObserverHearsOfAJoinedBeforeItsLeft(t *testing.T) {
	var g gauges
	h := start(t, &hub.Options{Observer: g.observer()})
	go drain(h) // ends with the hub
	const members = 300
	for range members {
		own, theirs := tcpPair(t)
		c, peer := greet(t, own, theirs, nil)
		peer.Close()
		<-c.Done() // it is over before it joins
		m, err := h.Join(c)
		if err != nil {
			t.Fatal(err)
		}
		<-m.Done()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.joined != members || g.left != members || g.strayed != 0 || len(g.members) != 0 {
		t.Errorf("%d joined, %d left, %d of them before they joined, %d never left; expected %d, %[5]d, 0, 0",
			g.joined, g.left, g.strayed, len(g.members), members)
	}
}

func TestWhatTheObserverIsToldIsQueuedAddsUpToWhatIs(t *testing.T) {
	eachMode(t, testWhatTheObserverIsToldIsQueuedAddsUpToWhatIs)
}

func testWhatTheObserverIsToldIsQueuedAddsUpToWhatIs(t *testing.T) {
	for _, policy := range []hub.Policy{hub.DropNewest, hub.DropOldest, hub.Block} {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var g gauges
				h := start(t, &hub.Options{Full: policy, QueueMessages: 4, Observer: g.observer()})
				go drain(h) // ends with the hub
				reading, peer := joinPipe(t, h)
				stalled, _ := joinPipe(t, h)
				late, latePeer := joinPipe(t, h)
				leaving, leavingPeer := joinPipe(t, h)
				go drainPeer(peer) // ends with the peer
				for i := range 10 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					h.Broadcast(ctx, make([]byte, 100+i))
					cancel()
					synctest.Wait()
				}
				if n := stalled.Stats().QueuedMessages; n != 4 {
					t.Fatalf("%d messages are queued, expected 4", n)
				}
				receive(t, latePeer, 2)
				leavingPeer.Close()
				synctest.Wait()
				g.mu.Lock()
				defer g.mu.Unlock()
				want, got := map[string][2]int{}, map[string][2]int{}
				for name, m := range map[string]*hub.Member{"reading": reading, "stalled": stalled, "late": late, "leaving": leaving} {
					s := m.Stats()
					want[name] = [2]int{s.QueuedMessages, s.QueuedBytes}
					got[name] = g.queued[m]
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("queued messages and bytes (-expected +told):\n%s", diff)
				}
				if s := h.Stats(); g.dropped != int(s.Dropped) || s.Dropped == 0 {
					t.Errorf("told of %d dropped, counted %d", g.dropped, s.Dropped)
				}
			})
		})
	}
}
