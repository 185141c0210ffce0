package hub_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/hub"
	"github.com/tinyproto-go/tinyproto/wire"
)

const (
	calm       = 10 // members that only read, and must not notice anything
	stormers   = 4  // goroutines that broadcast, besides the loop over events
	stormCalls = 30 // broadcasts of each
	stormAhead = 8  // how many broadcasts the calm ones may be behind
	stormQueue = 24 // more than that, and less than all
)

// A storm is a hub with calm members and others, to whom many broadcast.
type storm struct {
	t        *testing.T
	h        *hub.Hub
	ctx      context.Context // ends the calls and the troubles
	together chan struct{}   // closed in the middle of it
	members  []*hub.Member

	mu      sync.Mutex
	calls   sync.WaitGroup // broadcasts in progress; Add with mu held
	moved   sync.Cond
	sent    int       // broadcasts
	arrived [calm]int // at each calm member
}

// trouble is what one member does, in a goroutine of its own. It is over when
// the storm's context has ended.
type trouble struct {
	raw  bool // there is a transport without a conn.Conn
	deaf bool // it never reads
	do   func(s *storm, m *hub.Member, peer *conn.Conn, nc net.Conn)
}

var troubles = map[string]trouble{
	"never reads": {deaf: true, do: func(s *storm, m *hub.Member, peer *conn.Conn, nc net.Conn) {
		<-s.ctx.Done()
		peer.Close()
	}},
	"floods and never reads": {deaf: true, do: func(s *storm, m *hub.Member, peer *conn.Conn, nc net.Conn) {
		for peer.Send(s.ctx, []byte("flood")) == nil { // each is answered from within the loop over events
		}
		peer.Close()
	}},
	"floods": {do: func(s *storm, m *hub.Member, peer *conn.Conn, nc net.Conn) {
		go drainPeer(peer) // ends with the peer
		for peer.Send(s.ctx, []byte("flood")) == nil {
		}
	}},
	"resets in the middle of a message": {raw: true, do: func(s *storm, m *hub.Member, peer *conn.Conn, nc net.Conn) {
		<-s.together
		nc.Write([]byte{0, 0x10, 0, 0})
		for b := []byte{0}; !inPipelined() && b[0] != byte(wire.OK); { // the hub's own offers contain no such byte
			if _, err := nc.Read(b); err != nil {
				return
			}
		}
		nc.Write(make([]byte, 1<<16))
		nc.(*net.TCPConn).SetLinger(0)
		nc.Close()
		<-m.Done()
	}},
	"leaves together with all others": {do: func(s *storm, m *hub.Member, peer *conn.Conn, nc net.Conn) {
		go drainPeer(peer) // ends with the peer
		<-s.together
		switch m.ID()[0] % 4 {
		case 0:
			peer.Shutdown(context.Background())
		case 1:
			peer.Close()
		case 2:
			m.Leave()
		case 3:
			m.Close(nil)
		}
		<-m.Done()
	}},
}

var policies = []hub.Policy{hub.Evict, hub.DropNewest, hub.DropOldest, hub.Block}

func TestBroadcastsRaceWithTroublesAndReachEverybodyElse(t *testing.T) {
	eachMode(t, testBroadcastsRaceWithTroublesAndReachEverybodyElse)
}

func testBroadcastsRaceWithTroublesAndReachEverybodyElse(t *testing.T) {
	for name, members := range map[string]int{
		"never reads":                       150, // evicted under load, all at once
		"floods and never reads":            2,
		"floods":                            5,
		"resets in the middle of a message": 20,
		"leaves together with all others":   500,
	} {
		for _, policy := range policies {
			t.Run(fmt.Sprintf("%d: %s, %v", members, name, policy), func(t *testing.T) {
				troubles := map[string]trouble{name: troubles[name]}
				s, calmOnes, received := rage(t, policy, troubles, members, false)
				s.check(calmOnes, received)
				if !troubles[name].deaf {
					return
				}
				for _, m := range s.members[calm:] {
					counts := m.Stats()
					if evicted := errors.Is(m.Err(), hub.ErrEvicted); evicted != (policy == hub.Evict) || counts.Dropped == 0 {
						t.Errorf("evicted: %v (%v), counts %+v", evicted, m.Err(), counts)
					}
				}
			})
		}
	}
}

func TestTheHubsEndRacesWithEverything(t *testing.T) {
	eachMode(t, testTheHubsEndRacesWithEverything)
}

func testTheHubsEndRacesWithEverything(t *testing.T) {
	for _, policy := range policies {
		t.Run(policy.String(), func(t *testing.T) {
			for range 5 {
				s, calmOnes, received := rage(t, policy, troubles, 10, true)
				for i, m := range calmOnes { // what they were sent before the end, they got
					if counts := m.Stats(); m.Err() != nil || int(counts.Delivered) != len(received[i]) || counts.Delivered != counts.Sent {
						t.Errorf("%v; %d received, counts %+v", m.Err(), len(received[i]), counts)
					}
				}
				if n, err := s.h.Broadcast(t.Context(), nil); n != 0 || err != nil {
					t.Errorf("after the end: %d, %v", n, err)
				}
			}
		})
	}
}

// rage lets a storm rage to its end, or to that of the hub in the middle of it.
// It returns the calm members and what they received.
func rage(t *testing.T, policy hub.Policy, troubles map[string]trouble, each int, endEarly bool) (*storm, []*hub.Member, [][]string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s := &storm{t: t, ctx: ctx, together: make(chan struct{}),
		h: hub.New(&hub.Options{Full: policy, QueueMessages: stormQueue})}
	s.moved.L = &s.mu
	hubCtx, endHub := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.h.Run(hubCtx) }() // ends with hubCtx
	var all, calls sync.WaitGroup
	all.Go(func() { // ends with the hub
		for e := range s.h.Events() {
			if e.Kind == hub.Message {
				s.broadcast(e.Member)
			}
		}
	})
	received := make([][]string, calm)
	for i := range calm {
		m, peer := join(t, s.h)
		s.members = append(s.members, m)
		all.Go(func() { received[i] = s.listen(i, peer) }) // ends with the hub
	}
	for _, trouble := range troubles {
		for range each {
			own, theirs := tcpPair(t)
			var m *hub.Member
			var peer *conn.Conn
			if trouble.raw {
				m = joinRawOver(t, s.h, own, theirs)
			} else {
				var opts *conn.Options
				if trouble.deaf {
					opts = narrow(conn.Options{}) // or it would not be behind
				}
				m, peer = joinOver(t, s.h, own, theirs, opts)
			}
			s.members = append(s.members, m)
			all.Go(func() { trouble.do(s, m, peer, theirs) }) // ends with ctx
		}
	}
	for i := range stormers {
		calls.Go(func() { // ends with its broadcasts, or with ctx
			for k := range stormCalls {
				s.broadcast(nil)
				if i == 0 && k == stormCalls/4 {
					close(s.together)
					if endEarly {
						endHub()
						stop()
					}
				}
			}
		})
	}
	calls.Wait()
	s.mu.Lock()
	stop()
	s.mu.Unlock()
	s.calls.Wait() // what was begun counts
	endHub()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	all.Wait()
	reconcile(t, s.h, s.members)
	if n := s.h.Stats().Unheard; n != 0 {
		t.Errorf("%d events were not heard", n)
	}
	return s, s.members[:calm], received
}

// broadcast sends to all but some as soon as the calm ones have caught up.
func (s *storm) broadcast(except ...*hub.Member) {
	wake := context.AfterFunc(s.ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.moved.Broadcast()
	})
	defer wake()
	s.mu.Lock()
	for slices.Min(s.arrived[:]) < s.sent-stormAhead && s.ctx.Err() == nil {
		s.moved.Wait()
	}
	if s.ctx.Err() != nil {
		s.mu.Unlock()
		return
	}
	s.calls.Add(1)
	defer s.calls.Done()
	s.sent++
	body := fmt.Append(nil, s.sent)
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(s.ctx, time.Millisecond) // which those who are blocked cost
	defer cancel()
	n, err := s.h.Broadcast(ctx, body, except...)
	if err != nil && ctx.Err() == nil {
		s.t.Errorf("broadcast to %d: %v", n, err)
	}
}

// listen is the peer of a calm member.
func (s *storm) listen(i int, peer *conn.Conn) []string {
	var got []string
	for msg := range peer.Inbox() {
		got = append(got, string(msg))
		s.mu.Lock()
		s.arrived[i]++
		s.moved.Broadcast()
		s.mu.Unlock()
	}
	sayBye(peer)
	return got
}

// check checks that the calm members received everything, in one order.
func (s *storm) check(members []*hub.Member, received [][]string) {
	s.t.Helper()
	if s.sent < stormers*stormCalls {
		s.t.Errorf("only %d broadcasts", s.sent)
	}
	for i, m := range members {
		want := hub.MemberStats{Sent: uint64(s.sent), Delivered: uint64(s.sent)}
		if diff := cmp.Diff(want, m.Stats()); diff != "" || m.Err() != nil || len(received[i]) != s.sent {
			s.t.Errorf("%v; received %d, counts (-expected +got):\n%s", m.Err(), len(received[i]), diff)
		}
		if diff := cmp.Diff(received[0], received[i]); diff != "" {
			s.t.Errorf("two calm members received in a different order:\n%s", diff)
		}
	}
}
