package contestant_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
)

// The floor of classic mode is worth something only if it speaks it.
func TestTheLockstepFloorsSpeakClassicModeWithThisLibrary(t *testing.T) {
	s := contestant.Settings{Kind: contestant.OneWay, Size: 40 << 10, Links: 1}
	ours := named(t, "tinyproto-classic-send")
	for _, name := range []string{"lockstep", "lockstep-fresh", "lockstep-joined", "lockstep-joined-fresh"} {
		t.Run(name, func(t *testing.T) {
			floor := named(t, name)
			want := []int{16, 40 << 10, 0, 1, 40 << 10, 100}
			var got []int
			host, err := ours.Listen(s, func(l contestant.Link) {
				for range want {
					msg, err := l.Receive()
					if err != nil {
						t.Error(err)
						return
					}
					got = append(got, len(msg))
				}
				if err := l.Send([]byte("that is all")); err != nil {
					t.Error(err)
				}
				l.Receive() // the end, and not before the peer's
			})
			if err != nil {
				t.Fatal(err)
			}
			l := dial(t, floor, s, host.Address)
			for _, size := range want {
				if err := l.Send(make([]byte, size)); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.Flush(); err != nil {
				t.Fatal(err)
			}
			reply, err := l.Receive()
			if err != nil || string(reply) != "that is all" {
				t.Errorf("reply %q, error %v", reply, err)
			}
			l.Close()
			if err := host.Stop(); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("sizes (-sent +received):\n%s", diff)
			}
		})
	}
}

func TestAFloorWithoutFreshSlicesReusesItsBufferAndOneWithThemDoesNot(t *testing.T) {
	s := contestant.Settings{Kind: contestant.OneWay, Size: 1 << 10, Links: 1}
	for name, want := range map[string]bool{
		"stream": true, "stream-fresh": false,
		"lockstep": true, "lockstep-fresh": false,
		"lockstep-joined": true, "lockstep-joined-fresh": false,
	} {
		t.Run(name, func(t *testing.T) {
			same := make(chan bool, 1)
			l := pair(t, named(t, name), s, func(l contestant.Link) {
				first, err1 := l.Receive()
				second, err2 := l.Receive()
				same <- err1 == nil && err2 == nil && &first[0] == &second[0]
				l.Receive()
			})
			for range 2 {
				if err := l.Send(make([]byte, 1<<10)); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.Flush(); err != nil {
				t.Fatal(err)
			}
			if got := <-same; got != want {
				t.Errorf("the second message is where the first one was: %v, expected %v", got, want)
			}
		})
	}
}

func named(t *testing.T, name string) *contestant.Contestant {
	t.Helper()
	c, err := contestant.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
