package hub_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/hub"
)

func TestARoomExistsAsLongAsSomebodyIsInIt(t *testing.T) {
	eachMode(t, testARoomExistsAsLongAsSomebodyIsInIt)
}

func testARoomExistsAsLongAsSomebodyIsInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil)
		go drain(h) // ends with the hub
		a, _ := joinPipe(t, h)
		b, _ := joinPipe(t, h)
		rooms := func(want map[string]int) {
			t.Helper()
			if diff := cmp.Diff(want, maps.Collect(h.Rooms())); diff != "" {
				t.Errorf("rooms (-expected +got):\n%s", diff)
			}
		}
		rooms(map[string]int{})
		for range 2 { // entering again changes nothing
			for _, m := range []*hub.Member{a, b} {
				if !m.Enter("hall") || !m.In("hall") || m.In("garden") {
					t.Errorf("in the hall: %v, in the garden: %v", m.In("hall"), m.In("garden"))
				}
			}
		}
		a.Enter("garden")
		a.Enter("") // a name like any other
		rooms(map[string]int{"hall": 2, "garden": 1, "": 1})
		b.Exit("garden") // where it isn't
		b.Exit("nowhere")
		a.Exit("hall")
		a.Exit("hall")
		rooms(map[string]int{"hall": 1, "garden": 1, "": 1})
		if a.In("hall") || !a.In("garden") || !b.In("hall") {
			t.Error("somebody is in the wrong room")
		}
		b.Exit("hall")
		rooms(map[string]int{"garden": 1, "": 1})
		b.Enter("garden")
		a.Close(nil) // who leaves the hub leaves its rooms
		<-a.Done()
		rooms(map[string]int{"garden": 1})
		if a.Enter("garden") || a.In("garden") {
			t.Error("somebody who has left is in a room")
		}
		a.Exit("garden")
		rooms(map[string]int{"garden": 1})
		b.Leave()
		<-b.Done()
		rooms(map[string]int{})
	})
}

func TestWhatIsIteratedOverMayChangeMeanwhile(t *testing.T) {
	eachMode(t, testWhatIsIteratedOverMayChangeMeanwhile)
}

func testWhatIsIteratedOverMayChangeMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const members = 20
		h := start(t, nil)
		go drain(h) // ends with the hub
		for range members {
			m, _ := joinPipe(t, h)
			m.Enter("one")
			m.Enter("two")
		}
		seen := map[*hub.Member]bool{}
		for m := range h.Members() {
			seen[m] = true
			joinPipe(t, h) // is not seen
			m.Close(nil)
			<-m.Done()
			for range h.Rooms() {
				m.Enter("gone")
			}
		}
		if len(seen) != members || h.Len() != members {
			t.Errorf("%d seen, %d are left, expected %d and as many", len(seen), h.Len(), members)
		}
		n := 0
		for m := range h.Members() {
			if seen[m] {
				t.Errorf("%s was seen to leave", m.ID())
			}
			if n++; n == 5 {
				break
			}
		}
		if n != 5 {
			t.Errorf("%d seen before the break, expected 5", n)
		}
		for m := range h.Members() {
			m.Enter("a")
			m.Enter("b")
		}
		sizes := map[string]int{}
		for name, size := range h.Rooms() {
			sizes[name] = size
			for m := range h.Members() {
				m.Exit("a")
				m.Exit("b")
			}
		}
		if diff := cmp.Diff(map[string]int{"a": members, "b": members}, sizes); diff != "" {
			t.Errorf("rooms (-expected +got):\n%s", diff)
		}
		for name := range h.Rooms() {
			t.Errorf("room %q still exists", name)
		}
	})
}

func TestBroadcastsOfManyAreInTheSameOrderForAll(t *testing.T) {
	eachMode(t, testBroadcastsOfManyAreInTheSameOrderForAll)
}

func testBroadcastsOfManyAreInTheSameOrderForAll(t *testing.T) {
	for _, policy := range []hub.Policy{hub.Evict, hub.Block} {
		t.Run(policy.String(), func(t *testing.T) {
			const members, senders, messages = 10, 8, 50
			opts := &hub.Options{Full: policy, QueueMessages: senders * messages}
			if policy == hub.Block {
				opts.QueueMessages = 2 // most have to wait in line
			}
			h := start(t, opts)
			go drain(h) // ends with the hub
			received := make(chan []string, members)
			for range members {
				_, peer := join(t, h)
				go func() { received <- receive(t, peer, senders*messages) }() // ends with the last message
			}
			var sends sync.WaitGroup
			var want []string
			for s := range senders {
				for i := range messages {
					want = append(want, fmt.Sprintf("%d of %d", i, s))
				}
				sends.Go(func() { // ends with its messages
					for i := range messages {
						msg := fmt.Appendf(nil, "%d of %d", i, s)
						n, err := h.Broadcast(t.Context(), msg)
						if n != members || err != nil {
							t.Errorf("%s: queued for %d, %v", msg, n, err)
						}
					}
				})
			}
			sends.Wait()
			first := <-received
			for range members - 1 {
				if diff := cmp.Diff(first, <-received); diff != "" {
					t.Fatalf("the order of two members differs:\n%s", diff)
				}
			}
			last := map[string]int{}
			for _, msg := range first { // and it is that of each sender
				var i int
				var s string
				fmt.Sscanf(msg, "%d of %s", &i, &s)
				if i != last[s] {
					t.Errorf("%q comes after %d of the same sender", msg, last[s]-1)
				}
				last[s] = i + 1
			}
			slices.Sort(first)
			slices.Sort(want)
			if diff := cmp.Diff(want, first); diff != "" {
				t.Errorf("received (-expected +got):\n%s", diff)
			}
		})
	}
}

func TestAPickThatPanicsLeavesTheHubUsable(t *testing.T) {
	eachMode(t, testAPickThatPanicsLeavesTheHubUsable)
}

func testAPickThatPanicsLeavesTheHubUsable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil)
		go drain(h) // ends with the hub
		joinPipe(t, h)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic did not arrive")
				}
			}()
			h.BroadcastWhere(t.Context(), nil, func(*hub.Member) bool { panic("pick") })
		}()
		if n := h.Len(); n != 1 {
			t.Errorf("%d members, expected 1", n)
		}
	})
}
