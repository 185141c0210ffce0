package hub_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/hub"
)

func TestBlockedBroadcastsAreQueuedInTheOrderInWhichTheyCame(t *testing.T) {
	eachMode(t, testBlockedBroadcastsAreQueuedInTheOrderInWhichTheyCame)
}

func testBlockedBroadcastsAreQueuedInTheOrderInWhichTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, &hub.Options{QueueMessages: 1, Full: hub.Block})
		go drain(h) // ends with the hub
		_, peer := joinPipe(t, h)
		var want []string
		var sends sync.WaitGroup
		for i := range 8 { // the first three fill the peer and the queue
			msg := fmt.Sprint(i)
			want = append(want, msg)
			sends.Go(func() { // ends when the peer reads
				if n, err := h.Broadcast(t.Context(), []byte(msg)); n != 1 || err != nil {
					t.Errorf("broadcast %s: %d, %v", msg, n, err)
				}
			})
			synctest.Wait()
		}
		got := receive(t, peer, len(want))
		sends.Wait()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("received (-expected +got):\n%s", diff)
		}
	})
}

func TestABlockedBroadcastThatGivesUpMakesWayForASmallerOne(t *testing.T) {
	eachMode(t, testABlockedBroadcastThatGivesUpMakesWayForASmallerOne)
}

func testABlockedBroadcastThatGivesUpMakesWayForASmallerOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, &hub.Options{QueueBytes: 100, Full: hub.Block})
		go drain(h) // ends with the hub
		m, _ := joinPipe(t, h)
		for _, size := range []int{1, 1, 50} {
			if _, err := h.Broadcast(t.Context(), make([]byte, size)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		first, cancel := context.WithTimeoutCause(t.Context(), time.Second, errImpatient)
		defer cancel()
		gaveUp := make(chan error, 1)
		go func() { // ends with its context
			_, err := h.Broadcast(first, make([]byte, 80))
			gaveUp <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errImpatient)
		defer cancel()
		if n, err := h.Broadcast(ctx, make([]byte, 50)); n != 1 || err != nil {
			t.Errorf("queued for %d, %v", n, err)
		}
		if err := <-gaveUp; !errors.Is(err, errImpatient) {
			t.Errorf("the larger one: %v", err)
		}
		synctest.Wait()
		want := hub.MemberStats{Sent: 5, Delivered: 1, Dropped: 1, QueuedMessages: 2, QueuedBytes: 100, Sending: true}
		if diff := cmp.Diff(want, m.Stats()); diff != "" {
			t.Errorf("counts (-expected +got):\n%s", diff)
		}
	})
}

func TestOneBlockedMemberDoesNotDelayAnotherThatHasRoomAgain(t *testing.T) {
	eachMode(t, testOneBlockedMemberDoesNotDelayAnotherThatHasRoomAgain)
}

func testOneBlockedMemberDoesNotDelayAnotherThatHasRoomAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, &hub.Options{QueueMessages: 1, Full: hub.Block})
		go drain(h) // ends with the hub
		slow, _ := joinPipe(t, h)
		const others = 5
		for range others {
			_, peer := joinPipe(t, h)
			go func() { // ends with the peer
				time.Sleep(time.Second) // full at first, too
				drainPeer(peer)
			}()
		}
		for range offQueue + 1 {
			if _, err := h.Broadcast(t.Context(), []byte("fill")); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		n, err := h.Broadcast(ctx, []byte("last"))
		if n != others || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("broadcast: queued for %d, %v; expected %d and the deadline", n, err, others)
		}
		synctest.Wait()
		for m := range h.Members() {
			want := hub.MemberStats{Sent: offQueue + 2, Delivered: offQueue + 2}
			if m == slow {
				want = hub.MemberStats{Sent: offQueue + 2, Delivered: 1, Dropped: 1, QueuedMessages: 1, QueuedBytes: 4, Sending: true}
			}
			if diff := cmp.Diff(want, m.Stats()); diff != "" {
				t.Errorf("slow is %v (-expected +got):\n%s", m == slow, diff)
			}
		}
	})
}

func TestABlockedBroadcastEndsWithTheConnectionThatItWaitsFor(t *testing.T) {
	eachMode(t, testABlockedBroadcastEndsWithTheConnectionThatItWaitsFor)
}

func testABlockedBroadcastEndsWithTheConnectionThatItWaitsFor(t *testing.T) {
	for name, end := range map[string]func(*hub.Member, *conn.Conn){
		"its peer ends": func(_ *hub.Member, peer *conn.Conn) { peer.Close() },
		"Close":         func(m *hub.Member, _ *conn.Conn) { m.Close(nil) },
		"Leave":         func(m *hub.Member, _ *conn.Conn) { m.Leave() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := start(t, &hub.Options{QueueMessages: 1, Full: hub.Block})
				m, peer := joinPipe(t, h)
				for range 2 { // the hub has the second in hand when the loop below takes the first
					go peer.Send(t.Context(), []byte("hello")) // ends with the peer
				}
				time.AfterFunc(time.Minute, func() { end(m, peer) })
				// Nobody takes events while a broadcast from within the loop waits.
				broadcasts := 0
				for e := range h.Events() {
					for e.Kind == hub.Message {
						ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
						n, err := h.Broadcast(ctx, []byte("answer"))
						cancel()
						if err != nil {
							t.Errorf("broadcast still waits an hour after the connection ended: %v", err)
						}
						if n == 0 {
							break
						}
						broadcasts++
						synctest.Wait()
					}
					if e.Kind == hub.Left {
						break
					}
				}
				if broadcasts != offQueue+1 {
					t.Errorf("%d broadcasts were queued, expected %d", broadcasts, offQueue+1)
				}
			})
		})
	}
}
