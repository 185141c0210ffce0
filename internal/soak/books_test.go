package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/hub"
)

// checkWrong fails t unless the books blame what is wanted, and nothing else.
func checkWrong(t *testing.T, b *books, want ...string) {
	t.Helper()
	_, reasons, wrong := b.snapshot()
	if wrong != len(want) || len(reasons) != wrong {
		t.Errorf("%d reasons, expected %d: %q", wrong, len(want), reasons)
		return
	}
	for i, w := range want {
		if !strings.Contains(reasons[i], w) {
			t.Errorf("reason %q, expected one with %q", reasons[i], w)
		}
	}
}

// counted are the counters of a server whose only connection is a's.
func counted(a *account) counters {
	var c counters
	c.add(a)
	return c
}

func TestTheOrderOfTheAccountsDoesNotMatter(t *testing.T) {
	client, server := echoPair()
	for name, hand := range map[string]func(*books){
		"client first": func(b *books) { b.client(*client); b.guest(*server) },
		"server first": func(b *books) { b.guest(*server); b.client(*client) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks()
			hand(b)
			b.settle(1, counted(server), 0)
			checkWrong(t, b)
			got, _, _ := b.snapshot()
			if got.pairs != 1 {
				t.Errorf("%d pairs, expected 1", got.pairs)
			}
			want := flow{handed: 11, written: 11, arrived: 11, taken: 11}
			if diff := cmp.Diff(want, got.up, cmp.AllowUnexported(flow{})); diff != "" {
				t.Errorf("to the server (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBooksNoticeWhatDoesNotReconcile(t *testing.T) {
	client, server := echoPair()
	for _, test := range []struct {
		name string
		do   func(*books)
		want []string
	}{
		{"a message is lost", func(b *books) {
			c, s := echoPair()
			c.Arrived, c.Taken = 9, 9
			b.client(*c)
			b.guest(*s)
			b.settle(1, counted(s), 0)
		}, []string{"echo, connection 1 with server 1: from server to client: 10 messages were written, 9 arrived"}},
		{"a message is doubled", func(b *books) {
			c, s := echoPair()
			c.Arrived, c.Taken = 11, 11
			b.client(*c)
			b.guest(*s)
			b.settle(1, counted(s), 0)
		}, []string{"10 messages were written, but 11 arrived"}},
		{"a server does not account for a connection", func(b *books) {
			b.client(*client)
			b.settle(1, counters{}, 0)
		}, []string{"server 1 does not know it, but sent it 10 messages", "1 clients that it does not know sent 11 messages, of which 0 arrived"}},
		{"a client does not", func(b *books) {
			b.guest(*server)
			b.settle(1, counted(server), 0)
		}, []string{"server 1 accounts for a connection that no client does: echo, connection 1"}},
		{"a server accounts twice", func(b *books) {
			b.guest(*server)
			b.guest(*server)
			b.client(*client)
			c := counted(server)
			c.add(server)
			b.settle(1, c, 0)
		}, []string{"server 1 accounts twice for connection 1"}},
		{"a server counts other than it accounts", func(b *books) {
			b.client(*client)
			b.guest(*server)
			c := counted(server)
			c.Written++
			b.settle(1, c, 0)
		}, []string{"server 1 counted 1 connections with 11 messages arrived and 11 written, its accounts have 1, 11 and 10"}},
		{"a server has a fault", func(b *books) {
			b.settle(1, counters{Faults: []string{"a handler panicked"}}, 0)
		}, []string{"server 1: a handler panicked"}},
		{"a hub does not add up", func(b *books) {
			b.settle(1, counters{Hubs: map[string]hub.Stats{"block": {Sent: 3, Delivered: 2}}}, 0)
		}, []string{"server 1: hub block does not add up"}},
		{"a member has not left", func(b *books) {
			b.settle(1, counters{Hubs: map[string]hub.Stats{"block": {Joined: 1, Left: 1, Members: 1}}}, 0)
		}, []string{"server 1: hub block does not add up"}},
		{"an honest hello is counted as a wrong one", func(b *books) {
			b.settle(1, counters{NoHello: map[string]uint64{foreign: 1}}, 1)
		}, []string{`server 1 counted 1 hellos of kind "not tinyproto", the clients 0`}},
		{"a wrong hello is not counted", func(b *books) {
			b.greetedWrongly(1, foreign)
			b.settle(1, counters{}, 0)
		}, []string{"server 1 counted 0 connections without a hello, the clients 1"}},
		{"a wrong hello is counted twice", func(b *books) {
			b.greetedWrongly(1, refused)
			b.settle(1, counters{NoHello: map[string]uint64{refused: 2}}, 0)
		}, []string{"server 1 counted 2 connections without a hello, the clients 1"}},
		{"a killed server accounts for a connection that no client does", func(b *books) {
			b.guest(*server)
			b.killed(1)
			b.late(1)
		}, []string{"server 1, which was killed, accounts for a connection that no client does"}},
		{"a client of a killed server has a bad account", func(b *books) {
			c, _ := echoPair()
			c.Handed++
			b.killed(1)
			b.client(*c)
		}, []string{"echo, connection 1 with server 1, which was killed: 12 messages were handed over"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBooks()
			test.do(b)
			checkWrong(t, b, test.want...)
		})
	}
}

func TestClientsOfAKilledServerAccountForThemselves(t *testing.T) {
	for name, order := range map[string][]func(*books, *account){
		"before it is known to be killed": {func(b *books, a *account) { b.client(*a) }, func(b *books, _ *account) { b.killed(1) }},
		"after":                           {func(b *books, _ *account) { b.killed(1) }, func(b *books, a *account) { b.client(*a) }},
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := echoPair()
			client.Complete, client.End, client.Arrived, client.Taken = false, reset, 7, 7
			b := newBooks()
			for _, do := range order {
				do(b, client)
			}
			b.late(1)
			checkWrong(t, b)
			if got, _, _ := b.snapshot(); got.orphans != 1 || got.unheard.written != 11 {
				t.Errorf("%d clients with %d messages, expected 1 with 11", got.orphans, got.unheard.written)
			}
		})
	}
}

// A server may accept the introduction of a client, and end before it takes it.
func TestAConnectionThatEndsBeforeItsIntroductionIsTakenReconciles(t *testing.T) {
	for _, test := range []struct {
		name             string
		written, arrived uint64
		inDoubt          bool
		want             []string
	}{
		{"it is not sent", 0, 0, false, nil},
		{"it arrives", 1, 1, false, nil},
		{"it is in doubt", 1, 0, true, nil},
		{"it is lost", 1, 0, false, []string{"sent 1 messages, of which 0 arrived and 0 may be in doubt"}},
		{"it comes from nowhere", 0, 1, false, []string{"sent 0 messages, of which 1 arrived"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := account{Session: 1, Server: 1, Role: "echo", End: reset, Handed: 1, Written: test.written,
				Failed: 1 - test.written, InDoubt: test.inDoubt}
			stranger := account{Server: 1, End: ending, Ending: true, Arrived: test.arrived}
			b := newBooks()
			b.client(client)
			b.guest(stranger)
			b.settle(1, counted(&stranger), 0)
			checkWrong(t, b, test.want...)
		})
	}
}

func TestWhatAHubDropsIsInTheSums(t *testing.T) {
	client, server := memberPair()
	b := newBooks()
	b.client(*client)
	b.guest(*server)
	checkWrong(t, b)
	got, _, _ := b.snapshot()
	want := flow{handed: 20, written: 16, dropped: 4, arrived: 16, taken: 16}
	if diff := cmp.Diff(want, got.down, cmp.AllowUnexported(flow{})); diff != "" {
		t.Errorf("to the clients (-want +got):\n%s", diff)
	}
}

func TestReasonsBeyondTheFirstAreCounted(t *testing.T) {
	b := newBooks()
	for range maxReasons + 5 {
		b.fault("one of many")
	}
	if _, reasons, wrong := b.snapshot(); len(reasons) != maxReasons || wrong != maxReasons+5 {
		t.Errorf("%d reasons of %d, expected %d of %d", len(reasons), wrong, maxReasons, maxReasons+5)
	}
}
