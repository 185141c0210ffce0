package hub_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/hub"
)

func TestTheEndLetsTheMembersReceiveWhatIsQueued(t *testing.T) {
	eachMode(t, testTheEndLetsTheMembersReceiveWhatIsQueued)
}

func testTheEndLetsTheMembersReceiveWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const members, messages = 5, 6
		h := hub.New(nil)
		go drain(h) // ends with the hub
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.Run(ctx) }() // ends with ctx
		received := make(chan []string, members)
		var joined []*hub.Member
		for range members {
			m, peer := joinPipe(t, h)
			joined = append(joined, m)
			go func() { // ends with the hub
				var got []string
				for msg := range peer.Inbox() {
					got = append(got, string(msg))
					time.Sleep(time.Second) // the last within the grace of 5 s
				}
				received <- got
			}()
		}
		var want []string
		for i := range messages {
			want = append(want, fmt.Sprint(i))
			if n, err := h.Broadcast(ctx, []byte(want[i])); n != members || err != nil {
				t.Fatal(n, err)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		for range members {
			if diff := cmp.Diff(want, <-received); diff != "" {
				t.Errorf("received (-expected +got):\n%s", diff)
			}
		}
		for _, m := range joined {
			if diff := cmp.Diff(hub.MemberStats{Sent: messages, Delivered: messages}, m.Stats()); diff != "" || m.Err() != nil {
				t.Errorf("error %v, counts (-expected +got):\n%s", m.Err(), diff)
			}
		}
		reconcile(t, h, joined)
	})
}

func TestTheEndWaitsNoLongerThanItsGraceForThoseWhoNeverRead(t *testing.T) {
	eachMode(t, testTheEndWaitsNoLongerThanItsGraceForThoseWhoNeverRead)
}

func testTheEndWaitsNoLongerThanItsGraceForThoseWhoNeverRead(t *testing.T) {
	for name, test := range map[string]struct{ option, want time.Duration }{
		"as chosen":   {time.Minute, time.Minute},
		"by default":  {0, hub.DefaultGrace},
		"not at all":  {-1, 0},
		"a hair more": {1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const members, messages = 20, 5
				h := hub.New(&hub.Options{Grace: test.option})
				heard := make(chan int, 1)
				go func() { // ends with the hub
					left := 0
					for e := range h.Events() {
						if e.Kind == hub.Left {
							left++
						}
						time.Sleep(time.Millisecond) // it is slow, but it takes all of them
					}
					heard <- left
				}()
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				var stuck []*hub.Member
				for range members {
					m, _ := joinPipe(t, h)
					stuck = append(stuck, m)
				}
				for range messages {
					if n, err := h.Broadcast(ctx, []byte("unread")); n != members || err != nil {
						t.Fatal(n, err)
					}
				}
				began := time.Now()
				if err := h.Run(ctx); err != nil {
					t.Errorf("Run: %v", err)
				}
				// The events take their time, too.
				if took, limit := time.Since(began), time.Second+test.want+members*time.Millisecond; took < time.Second+test.want || took > limit {
					t.Errorf("the end took %v, expected %v", took-time.Second, test.want)
				}
				if n := <-heard; n != members || h.Stats().Unheard != 0 {
					t.Errorf("%d ends were heard of, %d events were not; expected %d and none", n, h.Stats().Unheard, members)
				}
				for _, m := range stuck {
					want := hub.MemberStats{Sent: messages, Delivered: 1, Undelivered: messages - 1}
					if diff := cmp.Diff(want, m.Stats()); diff != "" || !errors.Is(m.Err(), conn.ErrGrace) {
						t.Errorf("error %v, counts (-expected +got):\n%s", m.Err(), diff)
					}
				}
				reconcile(t, h, stuck)
			})
		})
	}
}

func TestTheEndWaitsForNobodyToTakeEvents(t *testing.T) {
	eachMode(t, testTheEndWaitsForNobodyToTakeEvents)
}

func testTheEndWaitsForNobodyToTakeEvents(t *testing.T) {
	for _, buffer := range []int{0, 1, 7} {
		t.Run(fmt.Sprint("buffer ", buffer), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const members = 10
				h := hub.New(&hub.Options{EventBuffer: buffer})
				ctx, cancel := context.WithCancel(t.Context())
				var sends sync.WaitGroup
				var accepted int
				var mu sync.Mutex
				for range members {
					_, peer := joinPipe(t, h)
					sends.Go(func() { // ends with the hub
						for peer.Send(t.Context(), []byte("hello")) == nil {
							mu.Lock()
							accepted++
							mu.Unlock()
						}
					})
				}
				synctest.Wait()
				cancel()
				began := time.Now()
				h.Run(ctx)
				if took, limit := time.Since(began), hub.DefaultGrace+3*time.Second; took > limit {
					t.Errorf("the end took %v, expected no more than %v", took, limit)
				}
				sends.Wait()
				taken := 0
				for range h.Events() { // closed, so this ends
					taken++
				}
				s := h.Stats()
				if s.Joined != members || s.Left != members || s.Members != 0 {
					t.Errorf("%d joined, %d left, %d stayed", s.Joined, s.Left, s.Members)
				}
				if taken != buffer || s.Unheard != s.Joined+s.Received+s.Left-uint64(buffer) || buffer > 0 && s.Received == 0 {
					t.Errorf("%d events were buffered, %d unheard; expected %d of %d + %d + %d", taken, s.Unheard, buffer, s.Joined, s.Received, s.Left)
				}
			})
		})
	}
}

func TestWhoJoinsAfterTheEndIsTurnedAway(t *testing.T) {
	eachMode(t, testWhoJoinsAfterTheEndIsTurnedAway)
}

func testWhoJoinsAfterTheEndIsTurnedAway(t *testing.T) {
	for name, join := range map[string]func(*hub.Hub, *conn.Conn) error{
		"Join": func(h *hub.Hub, c *conn.Conn) error {
			m, err := h.Join(c)
			if m != nil {
				t.Errorf("member %v", m.ID())
			}
			return err
		},
		"Handler": func(h *hub.Hub, c *conn.Conn) error { return hub.Handler(h)(t.Context(), c) },
	} {
		t.Run(name, func(t *testing.T) {
			h := hub.New(nil)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := h.Run(ctx); err != nil { // without any member, it ends at once
				t.Errorf("Run: %v", err)
			}
			own, theirs := tcpPair(t)
			c, peer := greet(t, own, theirs, nil)
			if err := join(h, c); !errors.Is(err, hub.ErrClosed) {
				t.Errorf("error %v, expected ErrClosed", err)
			}
			want := io.EOF
			if inPipelined() {
				want = io.ErrUnexpectedEOF // nobody has said BYE
			}
			if _, err := peer.Receive(t.Context()); !errors.Is(err, want) {
				t.Errorf("the peer received: %v, expected %v", err, want)
			}
			if err := c.Err(); !errors.Is(err, conn.ErrClosed) {
				t.Errorf("the connection's error: %v", err)
			}
			if e, ok := <-h.Events(); ok {
				t.Errorf("event %v", e.Kind)
			}
			if diff := cmp.Diff(hub.Stats{}, h.Stats()); diff != "" {
				t.Errorf("counts (-expected +got):\n%s", diff)
			}
		})
	}
}

func TestAHandlerReturnsWithTheMembersError(t *testing.T) {
	eachMode(t, testAHandlerReturnsWithTheMembersError)
}

func testAHandlerReturnsWithTheMembersError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil)
		own, theirs := pipePair()
		c, _ := greet(t, own, theirs, nil)
		returned := make(chan error, 1)
		go func() { returned <- hub.Handler(h)(t.Context(), c) }() // ends with the member
		reason := errors.New("no reason in particular")
		e := <-h.Events()
		e.Member.Close(reason)
		synctest.Wait()
		select {
		case err := <-returned:
			t.Fatalf("returned before the Left event was taken: %v", err)
		default:
		}
		if e := <-h.Events(); e.Kind != hub.Left || e.Err != reason {
			t.Errorf("%v, %v; expected the end with its reason", e.Kind, e.Err)
		}
		if err := <-returned; err != reason {
			t.Errorf("returned %v, expected %v", err, reason)
		}
	})
}

func TestLeavingMayBeAskedForAtAnyTimeAndByMany(t *testing.T) {
	eachMode(t, testLeavingMayBeAskedForAtAnyTimeAndByMany)
}

func testLeavingMayBeAskedForAtAnyTimeAndByMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil)
		reason := errors.New("the first reason counts")
		_, peer := joinPipe(t, h)
		go peer.Send(t.Context(), []byte("hello")) // ends with the connection
		var left *hub.Member
		for e := range h.Events() { // from within the loop over events, too
			e.Member.Leave()
			if e.Kind == hub.Left {
				left = e.Member
				break
			}
			if e.Kind == hub.Message {
				e.Member.Close(reason)
				e.Member.Close(errors.New("too late"))
				h.Send(t.Context(), e.Member.ID(), []byte("nobody is there"))
			}
			e.Member.Leave()
		}
		<-left.Done()
		left.Leave()
		left.Close(errors.New("too late"))
		if err := left.Err(); err != nil && err != reason {
			t.Errorf("error %v", err)
		}
		if n, err := h.Broadcast(t.Context(), nil); n != 0 || err != nil {
			t.Errorf("broadcast to %d, %v", n, err)
		}
		reconcile(t, h, []*hub.Member{left})
	})
}

func TestIDsAreUnique(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const batches, members = 10, 1000
		h := start(t, nil)
		go drain(h) // ends with the hub
		seen := map[hub.ID]bool{}
		for range batches {
			for range members {
				m, _ := joinRaw(t, h)
				seen[m.ID()] = true
				if found, ok := h.Member(m.ID()); !ok || found != m || len(m.ID()) != 26 {
					t.Fatalf("%q is found: %v", m.ID(), ok)
				}
			}
			for m := range h.Members() {
				m.Close(nil)
			}
			synctest.Wait()
			if n := h.Len(); n != 0 {
				t.Fatalf("%d stayed", n)
			}
		}
		if len(seen) != batches*members {
			t.Errorf("%d different IDs for %d members", len(seen), batches*members)
		}
	})
}
