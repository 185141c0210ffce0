package contestant_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// patience is how long anything may take.
const patience = 10 * time.Second

// kinds are those whose links carry messages.
var kinds = []contestant.Kind{contestant.PingPong, contestant.OneWay, contestant.Duplex}

func TestNamesOfContestantsAreUniqueAndFindThem(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range contestant.All() {
		if seen[c.Name] {
			t.Errorf("two contestants are called %s", c.Name)
		}
		seen[c.Name] = true
		found, err := contestant.Named(c.Name)
		if err != nil || found.Name != c.Name {
			t.Errorf("%s is found as %v (error %v)", c.Name, found, err)
		}
	}
	if c, err := contestant.Named("nobody"); err == nil {
		t.Errorf("nobody is %s", c.Name)
	}
}

func TestEveryContestantSaysWhatItDoesAndTheOthersWhatTheyDoMore(t *testing.T) {
	for _, c := range contestant.All() {
		if c.How == "" || c.Role == contestant.Other && c.More == "" {
			t.Errorf("%s: how %q, more %q", c.Name, c.How, c.More)
		}
	}
}

func TestAMessageAboveALimitIsRefusedWithAReason(t *testing.T) {
	c := contestant.Contestant{MaxSize: 100, Without: map[contestant.Kind]string{contestant.Idle: "it never rests"}}
	for _, test := range []struct {
		settings contestant.Settings
		want     string
	}{
		{contestant.Settings{Kind: contestant.OneWay, Size: 100}, ""},
		{contestant.Settings{Kind: contestant.OneWay, Size: 101}, "messages of more than 100 bytes are above its limit"},
		{contestant.Settings{Kind: contestant.Idle, Size: 16}, "it never rests"},
	} {
		if got := c.Refuses(test.settings); got != test.want {
			t.Errorf("%+v: refused because %q, expected %q", test.settings, got, test.want)
		}
	}
}

// pair starts a host of c and opens one link to it.
func pair(t *testing.T, c *contestant.Contestant, s contestant.Settings, handle func(contestant.Link)) contestant.Link {
	t.Helper()
	host, err := c.Listen(s, handle)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Stop(); err != nil {
			t.Errorf("stopping the host: %v", err)
		}
	})
	return dial(t, c, s, host.Address)
}

func dial(t *testing.T, c *contestant.Contestant, s contestant.Settings, address string) contestant.Link {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	l, err := c.Dial(ctx, s, address, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// linked calls f for each contestant that has links, in each kind that it does.
func linked(t *testing.T, f func(t *testing.T, c *contestant.Contestant, s contestant.Settings)) {
	for _, c := range contestant.All() {
		for _, k := range kinds {
			s := contestant.Settings{Kind: k, Size: 1 << 10, Links: 1}
			if c.Listen == nil || c.Refuses(s) != "" {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", c.Name, k), func(t *testing.T) { f(t, c, s) })
		}
	}
}

func TestMessagesArriveUnchangedAndInOrderWhateverTheirSizes(t *testing.T) {
	linked(t, func(t *testing.T, c *contestant.Contestant, s contestant.Settings) {
		var want [][]byte
		for _, size := range []int{16, 17, 255, 256, 1 << 10, 5000, 16 << 10, 70 << 10, 8} {
			msg := make([]byte, size)
			for i := range msg {
				msg[i] = byte(i + size)
			}
			want = append(want, msg)
		}
		s.Size = 70 << 10
		var got [][]byte
		received := make(chan error, 1)
		l := pair(t, c, s, func(l contestant.Link) {
			received <- func() error {
				for range want {
					msg, err := l.Receive()
					if err != nil {
						return err
					}
					got = append(got, append([]byte{}, msg...))
				}
				return nil
			}()
			l.Receive() // the end, and not before the peer's
		})
		for _, msg := range want {
			if err := l.Send(msg); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := wait(t, received); err != nil {
			t.Fatal(err)
		}
		for i, msg := range got { // cmp.Diff would take seconds
			if !bytes.Equal(msg, want[i]) {
				t.Errorf("message %d: %d bytes arrived, of %d, and they are not the same", i+1, len(msg), len(want[i]))
			}
		}
	})
}

func TestCloseEndsAReceiveThatWaitsAndMayBeCalledTwice(t *testing.T) {
	linked(t, func(t *testing.T, c *contestant.Contestant, s contestant.Settings) {
		l := pair(t, c, s, func(l contestant.Link) { l.Receive() })
		ended := make(chan error, 1)
		var begun sync.WaitGroup
		begun.Add(1)
		go func() { // ends with the link
			begun.Done()
			_, err := l.Receive()
			ended <- err
		}()
		begun.Wait()
		l.Close()
		l.Close()
		if err := wait(t, ended); err == nil {
			t.Error("a message was received over a closed link")
		}
	})
}

func TestAHostThatStopsEndsTheLinksOfItsHandlers(t *testing.T) {
	linked(t, func(t *testing.T, c *contestant.Contestant, s contestant.Settings) {
		serving, ended := make(chan struct{}), make(chan error, 1)
		host, err := c.Listen(s, func(l contestant.Link) {
			msg, err := l.Receive()
			if err != nil || len(msg) == 0 {
				t.Errorf("the first message: %d bytes, error %v", len(msg), err)
			}
			close(serving)
			_, err = l.Receive()
			ended <- err
		})
		if err != nil {
			t.Fatal(err)
		}
		l := dial(t, c, s, host.Address)
		go func() { // ends with the message
			l.Send(make([]byte, 16)) // an error is one of the handler, too
			l.Flush()
		}()
		<-serving
		if err := host.Stop(); err != nil {
			t.Error(err)
		}
		select {
		case err := <-ended:
			if err == nil {
				t.Error("the handler received a message that nobody sent")
			}
		default:
			t.Error("the host has stopped, and its handler has not")
		}
	})
}

func wait(t *testing.T, c <-chan error) error {
	t.Helper()
	select {
	case err := <-c:
		return err
	case <-time.After(patience):
		t.Fatalf("nothing came of it in %v", patience)
		return nil
	}
}
