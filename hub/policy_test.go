package hub_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/hub"
)

func TestAFullQueueIsTreatedAsThePolicySays(t *testing.T) {
	eachMode(t, testAFullQueueIsTreatedAsThePolicySays)
}

func testAFullQueueIsTreatedAsThePolicySays(t *testing.T) {
	// The first two messages are off the queue (see joinPipe), so with room for
	// three the sixth is the first that does not fit.
	const room = 3
	for name, test := range map[string]struct {
		opts     hub.Options
		sizes    []int  // of the messages, the number of each is its content
		queued   string // which were queued at once or after waiting: one letter for each message
		received []int  // by the peer, once it reads again
		stalled  hub.MemberStats
		err      error // of the member
	}{
		"drop newest, by messages": {
			opts:     hub.Options{Full: hub.DropNewest, QueueMessages: room},
			sizes:    []int{1, 1, 1, 1, 1, 1, 1},
			queued:   "yyyyynn",
			received: []int{0, 1, 2, 3, 4},
			stalled:  hub.MemberStats{Sent: 7, Delivered: 1, Dropped: 2, QueuedMessages: 3, QueuedBytes: 3, Sending: true},
		},
		"drop newest, by bytes: a smaller one may still fit": {
			opts:     hub.Options{Full: hub.DropNewest, QueueBytes: 100},
			sizes:    []int{1, 1, 60, 50, 40, 1, 0},
			queued:   "yyynyny",
			received: []int{0, 1, 2, 4, 6},
			stalled:  hub.MemberStats{Sent: 7, Delivered: 1, Dropped: 2, QueuedMessages: 3, QueuedBytes: 100, Sending: true},
		},
		"drop newest: one larger than the queue waits alone": {
			opts:     hub.Options{Full: hub.DropNewest, QueueBytes: 100},
			sizes:    []int{1, 1, 1000, 1, 0},
			queued:   "yyynn",
			received: []int{0, 1, 2},
			stalled:  hub.MemberStats{Sent: 5, Delivered: 1, Dropped: 2, QueuedMessages: 1, QueuedBytes: 1000, Sending: true},
		},
		"drop oldest, by messages": {
			opts:     hub.Options{Full: hub.DropOldest, QueueMessages: room},
			sizes:    []int{1, 1, 1, 1, 1, 1, 1},
			queued:   "yyyyyyy",
			received: []int{0, 1, 4, 5, 6},
			stalled:  hub.MemberStats{Sent: 7, Delivered: 1, Dropped: 2, QueuedMessages: 3, QueuedBytes: 3, Sending: true},
		},
		"drop oldest, by bytes: as many as it takes": {
			opts:     hub.Options{Full: hub.DropOldest, QueueBytes: 100},
			sizes:    []int{1, 1, 30, 30, 30, 50, 10},
			queued:   "yyyyyyy",
			received: []int{0, 1, 4, 5, 6},
			stalled:  hub.MemberStats{Sent: 7, Delivered: 1, Dropped: 2, QueuedMessages: 3, QueuedBytes: 90, Sending: true},
		},
		"drop oldest: one larger than the queue drops all": {
			opts:     hub.Options{Full: hub.DropOldest, QueueBytes: 100},
			sizes:    []int{1, 1, 30, 30, 30, 1000},
			queued:   "yyyyyy",
			received: []int{0, 1, 5},
			stalled:  hub.MemberStats{Sent: 6, Delivered: 1, Dropped: 3, QueuedMessages: 1, QueuedBytes: 1000, Sending: true},
		},
		"evict, by messages": { // it leaves at once, and nothing more is sent to it
			opts:     hub.Options{QueueMessages: room},
			sizes:    []int{1, 1, 1, 1, 1, 1, 1, 1},
			queued:   "yyyyyn--",
			received: []int{0},
			stalled:  hub.MemberStats{Sent: 6, Delivered: 1, Dropped: 1, Undelivered: 4},
			err:      &hub.EvictedError{Messages: 3, Bytes: 3},
		},
		"evict, by bytes": {
			opts:     hub.Options{QueueBytes: 100},
			sizes:    []int{1, 1, 60, 40, 1},
			queued:   "yyyyn",
			received: []int{0},
			stalled:  hub.MemberStats{Sent: 5, Delivered: 1, Dropped: 1, Undelivered: 3},
			err:      &hub.EvictedError{Messages: 2, Bytes: 100},
		},
		"evict: one larger than the queue waits alone": {
			opts:     hub.Options{QueueBytes: 100},
			sizes:    []int{1, 1, 1000, 0},
			queued:   "yyyn",
			received: []int{0},
			stalled:  hub.MemberStats{Sent: 4, Delivered: 1, Dropped: 1, Undelivered: 2},
			err:      &hub.EvictedError{Messages: 1, Bytes: 1000},
		},
		"block, by messages: as long as the context lasts": {
			opts:     hub.Options{Full: hub.Block, QueueMessages: room},
			sizes:    []int{1, 1, 1, 1, 1, 1, 1},
			queued:   "yyyyynn",
			received: []int{0, 1, 2, 3, 4},
			stalled:  hub.MemberStats{Sent: 7, Delivered: 1, Dropped: 2, QueuedMessages: 3, QueuedBytes: 3, Sending: true},
		},
		"block, by bytes: a smaller one may still fit": {
			opts:     hub.Options{Full: hub.Block, QueueBytes: 100},
			sizes:    []int{1, 1, 60, 50, 40},
			queued:   "yyyny",
			received: []int{0, 1, 2, 4},
			stalled:  hub.MemberStats{Sent: 5, Delivered: 1, Dropped: 1, QueuedMessages: 2, QueuedBytes: 100, Sending: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := start(t, &test.opts)
				go drain(h) // ends with the hub
				m, peer := joinPipe(t, h)
				queued := ""
				for i, size := range test.sizes {
					began, before := time.Now(), m.Stats().Sent
					ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errImpatient)
					n, err := h.Broadcast(ctx, bytes.Repeat([]byte{byte(i)}, size))
					cancel()
					waits := time.Since(began)
					switch {
					case n == 1 && err == nil && waits == 0:
						queued += "y"
					case n == 0 && err == nil && waits == 0 && m.Stats().Sent == before: // not for it any more
						queued += "-"
					case test.opts.Full == hub.Block && n == 0 && errors.Is(err, errImpatient) && waits == time.Minute:
						queued += "n"
					case test.opts.Full != hub.Block && n == 0 && err == nil && waits == 0:
						queued += "n"
					default:
						t.Errorf("broadcast %d: queued for %d after %v, %v", i, n, waits, err)
					}
					synctest.Wait()
				}
				if queued != test.queued {
					t.Errorf("queued %s, expected %s", queued, test.queued)
				}
				if diff := cmp.Diff(test.stalled, m.Stats()); diff != "" {
					t.Errorf("counts while the peer stalls (-expected +got):\n%s", diff)
				}
				if e, ok := test.err.(*hub.EvictedError); ok {
					e.ID = m.ID()
					if n := h.Stats().Evicted; n != 1 {
						t.Errorf("%d evicted, expected 1", n)
					}
				} else {
					m.Leave() // once all is sent
				}
				var received []int
				for msg := range peer.Inbox() {
					if len(msg) == 0 {
						received = append(received, len(test.sizes)-1) // the only empty one is the last
						continue
					}
					received = append(received, int(msg[0]))
				}
				<-m.Done()
				delivered := len(test.received)
				if inPipelined() && test.err != nil { // one more has arrived, and was not answered
					test.received = append(test.received, delivered)
				}
				if diff := cmp.Diff(test.received, received); diff != "" {
					t.Errorf("received (-expected +got):\n%s", diff)
				}
				if diff := cmp.Diff(test.err, m.Err()); diff != "" {
					t.Errorf("the member's error (-expected +got):\n%s", diff)
				}
				s := m.Stats()
				want := hub.MemberStats{Sent: test.stalled.Sent, Dropped: test.stalled.Dropped, Undelivered: test.stalled.Undelivered,
					Delivered: uint64(delivered)}
				if diff := cmp.Diff(want, s); diff != "" {
					t.Errorf("counts at the end (-expected +got):\n%s", diff)
				}
				reconcile(t, h, []*hub.Member{m})
			})
		})
	}
}

var errImpatient = errors.New("the caller has waited long enough")

// reconcile checks that the counts of members that have left, and those of
// their hub, add up.
func reconcile(t testing.TB, h *hub.Hub, members []*hub.Member) {
	t.Helper()
	var sum hub.Stats
	for _, m := range members {
		s := m.Stats()
		if s.Sent != s.Delivered+s.Dropped+s.Undelivered || s.QueuedMessages != 0 || s.QueuedBytes != 0 || s.Sending {
			t.Errorf("counts of %s, which has left, do not add up: %+v", m.ID(), s)
		}
		sum.Sent += s.Sent
		sum.Delivered += s.Delivered
		sum.Dropped += s.Dropped
		sum.Undelivered += s.Undelivered
		if errors.Is(m.Err(), hub.ErrEvicted) {
			sum.Evicted++
		}
	}
	total := h.Stats()
	sum.Joined, sum.Left = uint64(len(members)), uint64(len(members))
	sum.Received, sum.Unheard = total.Received, total.Unheard // not of members
	if diff := cmp.Diff(sum, total); diff != "" {
		t.Errorf("counts of the members and of the hub differ (-members +hub):\n%s", diff)
	}
}

func TestTheDefaultIsToEvictWhoIs256MessagesOr1MiBBehind(t *testing.T) {
	eachMode(t, testTheDefaultIsToEvictWhoIs256MessagesOr1MiBBehind)
}

func testTheDefaultIsToEvictWhoIs256MessagesOr1MiBBehind(t *testing.T) {
	for name, test := range map[string]struct {
		size int
		want hub.EvictedError
	}{
		"messages": {size: 1, want: hub.EvictedError{Messages: 256, Bytes: 256}},
		"bytes":    {size: 1 << 18, want: hub.EvictedError{Messages: 4, Bytes: 1 << 20}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := start(t, nil)
				go drain(h) // ends with the hub
				m, _ := joinPipe(t, h)
				for range offQueue + test.want.Messages {
					if n, err := h.Broadcast(t.Context(), make([]byte, test.size)); n != 1 || err != nil {
						t.Fatal(n, err)
					}
					synctest.Wait()
				}
				if err := m.Err(); err != nil {
					t.Errorf("evicted too early: %v", err)
				}
				if n, err := h.Broadcast(t.Context(), []byte("x")); n != 0 || err != nil {
					t.Errorf("queued for %d, %v; expected 0", n, err)
				}
				<-m.Done()
				test.want.ID = m.ID()
				if diff := cmp.Diff(error(&test.want), m.Err()); diff != "" {
					t.Errorf("error (-expected +got):\n%s", diff)
				}
			})
		})
	}
}

func TestSendSaysWhyItCannot(t *testing.T) { eachMode(t, testSendSaysWhyItCannot) }

func testSendSaysWhyItCannot(t *testing.T) {
	for name, test := range map[string]struct {
		opts hub.Options
		then func(t *testing.T, h *hub.Hub, m *hub.Member) // once its queue is full
		want []error
	}{
		"nobody has that ID": {
			then: func(t *testing.T, h *hub.Hub, m *hub.Member) {
				m.Close(nil)
				<-m.Done()
			},
			want: []error{hub.ErrNotMember},
		},
		"it was closed just now": {
			then: func(t *testing.T, h *hub.Hub, m *hub.Member) { m.Close(nil) },
			want: []error{hub.ErrNotMember},
		},
		"it is leaving": {
			then: func(t *testing.T, h *hub.Hub, m *hub.Member) { m.Leave() },
			want: []error{hub.ErrNotMember},
		},
		"the message was dropped": {
			opts: hub.Options{Full: hub.DropNewest},
			want: []error{hub.ErrDropped},
		},
		"the member was evicted": {
			want: []error{hub.ErrEvicted},
		},
		"the context ended while it waited": {
			opts: hub.Options{Full: hub.Block},
			want: []error{errImpatient},
		},
		"the member left while it waited": {
			opts: hub.Options{Full: hub.Block},
			then: func(t *testing.T, h *hub.Hub, m *hub.Member) {
				time.AfterFunc(time.Second, func() { m.Close(nil) })
			},
			want: []error{hub.ErrNotMember},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.opts.QueueMessages = 1
				h := start(t, &test.opts)
				go drain(h) // ends with the hub
				m, _ := joinPipe(t, h)
				for range offQueue + 1 {
					if err := h.Send(t.Context(), m.ID(), []byte("fill")); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				if test.then != nil {
					test.then(t, h, m)
				}
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errImpatient)
				defer cancel()
				err := h.Send(ctx, m.ID(), []byte("more"))
				all := []error{hub.ErrNotMember, hub.ErrDropped, hub.ErrEvicted, errImpatient}
				var got []error
				for _, e := range all {
					if errors.Is(err, e) {
						got = append(got, e)
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(test.want) {
					t.Errorf("error %q matches %q, expected %q", err, got, test.want)
				}
			})
		})
	}
}

func TestAMessageThatThePeerRefusesIsDroppedAndTheMemberStays(t *testing.T) {
	eachMode(t, testAMessageThatThePeerRefusesIsDroppedAndTheMemberStays)
}

func testAMessageThatThePeerRefusesIsDroppedAndTheMemberStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gauges
		h := start(t, &hub.Options{Observer: g.observer()})
		go drain(h) // ends with the hub
		own, theirs := pipePair()
		m, peer := joinOver(t, h, own, theirs, &conn.Options{MaxMessage: 10})
		for _, msg := range []string{"small", "much too large", "also small"} {
			if err := h.Send(t.Context(), m.ID(), []byte(msg)); err != nil {
				t.Errorf("sending %q: %v", msg, err)
			}
		}
		got := receive(t, peer, 2)
		if diff := cmp.Diff([]string{"small", "also small"}, got); diff != "" {
			t.Errorf("received (-expected +got):\n%s", diff)
		}
		synctest.Wait()
		if diff := cmp.Diff(hub.MemberStats{Sent: 3, Delivered: 2, Dropped: 1}, m.Stats()); diff != "" {
			t.Errorf("counts (-expected +got):\n%s", diff)
		}
		if g.dropped != 1 || g.bytes != len("much too large") {
			t.Errorf("the observer was told of %d messages of %d bytes", g.dropped, g.bytes)
		}
	})
}

func TestPoliciesAndKindsHaveNames(t *testing.T) {
	got := fmt.Sprint(hub.Evict, hub.Block, hub.DropNewest, hub.DropOldest, hub.Policy(9),
		hub.Joined, hub.Message, hub.Left, hub.Kind(0))
	want := "evict block drop newest drop oldest unknown policy joined message left unknown event"
	if got != want {
		t.Errorf("%s, expected %s", got, want)
	}
}
