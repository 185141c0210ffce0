package conn_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

func TestASourceSharesAConnectionWithSendsAndTheOutbox(t *testing.T) {
	eachMode(t, testASourceSharesAConnectionWithSendsAndTheOutbox)
}

func testASourceSharesAConnectionWithSendsAndTheOutbox(t *testing.T) {
	const each = 400
	for name, pair := range transports {
		for _, buffer := range []int{0, 5} {
			t.Run(fmt.Sprintf("%s, buffers of %d", name, buffer), func(t *testing.T) {
				leaktest.Check(t)
				x, y := pair(t)
				opts := &conn.Options{InboxBuffer: buffer, OutboxBuffer: buffer}
				a, b := joinBounded(t, x, y, opts, opts)
				var sources [2]*shelf
				var work sync.WaitGroup
				for i, c := range []*conn.Conn{a, b} {
					s := newShelf(t)
					sources[i] = s
					attend(t, c, s)
					work.Go(func() { // ends with its messages
						for k, msg := range series("source", each) {
							s.put(c, msg)
							if k%10 == 0 {
								s.put(c) // for nothing
							}
						}
						for range each {
							<-s.told
						}
					})
					work.Go(func() { // ends with its messages
						for _, msg := range series("outbox", each) {
							if err := put(c, []byte(msg)); err != nil {
								t.Error(err)
							}
						}
					})
					work.Go(func() { // ends with its messages
						for _, msg := range series("send", each) {
							if err := c.Send(t.Context(), []byte(msg)); err != nil {
								t.Error(err)
							}
						}
					})
					work.Go(func() { // ends when all have arrived
						got := map[string][]string{}
						for range 3 * each {
							msg, err := c.Receive(t.Context())
							if err != nil {
								t.Error(err)
								return
							}
							kind, _, _ := strings.Cut(string(msg), " ")
							got[kind] = append(got[kind], string(msg))
						}
						for _, kind := range []string{"source", "outbox", "send"} {
							if diff := cmp.Diff(series(kind, each), got[kind]); diff != "" {
								t.Errorf("received (-sent +received):\n%s", diff)
							}
						}
					})
				}
				work.Wait()
				shutDown(t, a, b)
				for i, c := range []*conn.Conn{a, b} {
					sources[i].check(series("source", each)...)
					if n := c.Stats().MessagesSent; n != 3*each || len(c.Unsent()) > 0 {
						t.Errorf("MessagesSent is %d, %d are unsent; expected %d and none", n, len(c.Unsent()), 3*each)
					}
				}
			})
		}
	}
}

func TestASourceComesAfterTheOutboxAndSends(t *testing.T) {
	eachMode(t, testASourceComesAfterTheOutboxAndSends)
}

func testASourceComesAfterTheOutboxAndSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := memPair(t, 1<<10)
		a, b := join(t, x, y, &conn.Options{OutboxBuffer: 2}, &conn.Options{WindowMessages: 1})
		s := newShelf(t)
		attend(t, a, s)
		for _, msg := range []string{"in the peer's hands", "and the next"} { // more it does not take
			go a.Send(t.Context(), []byte(msg)) // ends below
			synctest.Wait()
		}
		s.put(a, "source 1", "source 2")
		a.Outbox() <- []byte("outbox 1")
		a.Outbox() <- []byte("outbox 2")
		go a.Send(t.Context(), []byte("send")) // ends below
		synctest.Wait()
		if waiting, open := s.state(); waiting != 2 || open != 0 {
			t.Errorf("%d messages wait, %d were fetched; expected that all wait", waiting, open)
		}
		var got []string
		for range 7 {
			msg, err := b.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(msg))
			synctest.Wait()
		}
		want := []string{"in the peer's hands", "and the next", "outbox 1", "outbox 2", "send", "source 1", "source 2"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("received (-expected +received):\n%s", diff)
		}
		// And it does not wait for an Outbox in which there is nothing.
		s.put(a, "source 3")
		if msg, err := b.Receive(t.Context()); err != nil || string(msg) != "source 3" {
			t.Errorf("received %q, %v", msg, err)
		}
		synctest.Wait()
		s.check("source 1", "source 2", "source 3")
	})
}

func TestWhatThePeerRefusesIsToldAndDoesNoHarm(t *testing.T) {
	eachMode(t, testWhatThePeerRefusesIsToldAndDoesNoHarm)
}

func testWhatThePeerRefusesIsToldAndDoesNoHarm(t *testing.T) {
	large := strings.Repeat("x", 11)
	refused := large + ": too large"
	synctest.Test(t, func(t *testing.T) {
		x, y := memPair(t, 1<<10)
		a, b := join(t, x, y, nil, &conn.Options{MaxMessage: 10, WindowMessages: 2})
		s := newShelf(t)
		attend(t, a, s)
		s.put(a, large, "1", large, large, large, large, "", large, "3", large)
		for _, want := range []string{"1", "", "3"} {
			synctest.Wait()
			if _, open := s.state(); open > 2 {
				t.Errorf("%d were fetched, expected no more than the peer's window", open)
			}
			if msg, err := b.Receive(t.Context()); err != nil || string(msg) != want {
				t.Errorf("received %q, %v; expected %q", msg, err, want)
			}
		}
		synctest.Wait()
		s.check(refused, "1", refused, refused, refused, refused, "", refused, "3", refused)
		if n := a.Stats().Refused; n != 7 {
			t.Errorf("%d were refused, expected 7", n)
		}
		shutDown(t, a, b)
		if n := len(a.Unsent()); n > 0 {
			t.Errorf("%d are unsent, although the Source was told of all", n)
		}
	})
}

func TestAMessageThatCannotBeEncodedIsToldInItsTurn(t *testing.T) {
	eachMode(t, testAMessageThatCannotBeEncodedIsToldInItsTurn)
}

func testAMessageThatCannotBeEncodedIsToldInItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := memPair(t, 1<<10)
		a, b := join(t, x, y, &conn.Options{Transforms: only(squeamish())}, nil)
		s := newShelf(t)
		attend(t, a, s)
		s.put(a, "poison", "good", "poison", "poison", "fine", "poison")
		for _, want := range []string{"good", "fine"} {
			synctest.Wait()
			if msg, err := b.Receive(t.Context()); err != nil || string(msg) != strings.Repeat(want, 10) {
				t.Errorf("received %q, %v; expected %q ten times", msg, err, want)
			}
		}
		synctest.Wait()
		s.check("poison: transform", "good", "poison: transform", "poison: transform", "fine", "poison: transform")
	})
}

// only returns Options.Transforms for one Transform.
func only(transform conn.Transform) func() []conn.Transform {
	return func() []conn.Transform { return []conn.Transform{transform} }
}

func TestNotifyDoesNotWaitForThePeer(t *testing.T) {
	eachMode(t, testNotifyDoesNotWaitForThePeer)
}

func testNotifyDoesNotWaitForThePeer(t *testing.T) {
	for name, pair := range transports {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			x, y := pair(t)
			a, b := joinBounded(t, x, y, nil, &conn.Options{Mode: conn.Either})
			large := strings.Repeat("more than any socket holds", 1<<19)
			s := newShelf(t)
			attend(t, a, s)
			s.put(a, large, "small") // this would be the end of the test
			for _, want := range []string{large, "small"} {
				if msg, err := b.Receive(t.Context()); err != nil || string(msg) != want {
					t.Errorf("received %d bytes, %v; expected %d", len(msg), err, len(want))
				}
			}
			<-s.told
			<-s.told
		})
	}
}

func TestAConnectionHasOneSource(t *testing.T) {
	x, y := pipePair(t)
	a, _ := join(t, x, y, nil, nil)
	a.Notify() // without any, it does nothing
	attend(t, a, newShelf(t))
	if err := a.Attend(newShelf(t)); err == nil {
		t.Error("a second Source was taken")
	}
}
