package contestant_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
)

func TestABroadcastReachesEveryMemberInOrder(t *testing.T) {
	s := contestant.Settings{Kind: contestant.FanOut, Size: 64, Links: 3, Queue: 8}
	for _, c := range contestant.All() {
		if c.Refuses(s) != "" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			host, hub, err := c.StartHub(s)
			if err != nil {
				t.Fatal(err)
			}
			var members []contestant.Link
			for range s.Links {
				members = append(members, dial(t, c, s, host.Address))
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := hub.Ready(ctx, s.Links); err != nil {
				t.Fatal(err)
			}
			want := []string{"the first one", "another one", "the last one"}
			for _, msg := range want {
				if err := hub.Broadcast([]byte(msg)); err != nil {
					t.Fatal(err)
				}
			}
			for i, l := range members {
				var got []string
				for range want {
					msg, err := l.Receive()
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, string(msg))
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("member %d (-sent +received):\n%s", i+1, diff)
				}
				l.Close()
			}
			if err := host.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAHubThatWaitsInVainForMembersSaysSo(t *testing.T) {
	s := contestant.Settings{Kind: contestant.FanOut, Size: 64, Links: 1, Queue: 8}
	for _, name := range []string{"stream", "tinyproto-classic-outbox"} {
		t.Run(name, func(t *testing.T) {
			host, hub, err := named(t, name).StartHub(s)
			if err != nil {
				t.Fatal(err)
			}
			defer host.Stop()
			why := errors.New("nobody came")
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(why)
			if err := hub.Ready(ctx, 1); !errors.Is(err, why) {
				t.Errorf("error %v, expected %v", err, why)
			}
		})
	}
}

func TestTheUsualHubThrowsOutAMemberThatDoesNotKeepUp(t *testing.T) {
	s := contestant.Settings{Kind: contestant.FanOut, Size: 1 << 20, Links: 1, Queue: 2}
	c := named(t, "stream")
	host, hub, err := c.StartHub(s)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Stop()
	l := dial(t, c, s, host.Address)
	if err := hub.Ready(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	msg := make([]byte, s.Size)
	for range 1000 { // more than the socket takes while nobody reads
		if err = hub.Broadcast(msg); err != nil {
			break
		}
	}
	if err == nil {
		t.Fatal("1000 messages of 1 MiB wait, and the hub says nothing")
	}
	for err = nil; err == nil; {
		_, err = l.Receive()
	}
}
