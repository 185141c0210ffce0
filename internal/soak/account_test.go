package main

import (
	"strings"
	"testing"
)

// echoPair returns the accounts of an echo of ten messages that ended well.
func echoPair() (client, server *account) {
	client = &account{Session: 1, Server: 1, Role: "echo", Service: serviceEcho, Room: 1,
		Handed: 11, Written: 11, Arrived: 10, Taken: 10, End: clean, Complete: true}
	server = &account{Session: 1, Server: 1, Role: "echo", Service: serviceEcho, Room: 5,
		Handed: 10, Written: 10, Arrived: 11, Taken: 11, End: clean}
	return client, server
}

// pipelinedPair returns those of an echo in pipelined mode.
func pipelinedPair() (client, server *account) {
	client, server = echoPair()
	client.Pipelined, server.Pipelined = true, true
	client.Window, server.Window = 3, 3
	return client, server
}

// brokenPair returns those of one that the client broke off.
func brokenPair() (client, server *account) {
	client, server = pipelinedPair()
	client.Complete, client.Broke, client.Abandoned, client.End, server.End = false, true, true, closed, incomplete
	return client, server
}

// memberPair returns those of a member that sent ten messages and was sent
// twenty, four of which were dropped.
func memberPair() (client, server *account) {
	client = &account{Session: 1, Server: 1, Role: "member", Service: serviceMember, Room: 1,
		Handed: 11, Written: 11, Arrived: 16, Taken: 16, Gaps: 4, End: clean}
	server = &account{Session: 1, Server: 1, Role: "member", Service: serviceMember, Room: 5,
		Handed: 20, Written: 16, Arrived: 11, Taken: 11, End: clean,
		Member: &membership{Sent: 20, Delivered: 16, Dropped: 4}}
	return client, server
}

func TestAccountsReconcile(t *testing.T) {
	for _, test := range []struct {
		name   string
		pair   func() (client, server *account)
		change func(client, server *account)
		want   string // "" means that they reconcile
	}{
		{"all is well", echoPair, func(_, _ *account) {}, ""},
		{"a message to the server is lost", echoPair, func(_, s *account) {
			s.Arrived, s.Taken, s.Handed, s.Written = 10, 10, 9, 9
		}, "from client to server: 11 messages were written, 10 arrived, and nobody broke it off"},
		{"a message to the server is doubled", echoPair, func(_, s *account) {
			s.Arrived, s.Taken, s.Handed, s.Written = 12, 12, 11, 11
		}, "from client to server: 11 messages were written, but 12 arrived"},
		{"an echo is lost", echoPair, func(c, _ *account) { c.Arrived, c.Taken = 9, 9 },
			"from server to client: 10 messages were written, 9 arrived, and nobody broke it off"},
		{"an echo is doubled", echoPair, func(c, _ *account) { c.Arrived, c.Taken = 11, 11 },
			"from server to client: 10 messages were written, but 11 arrived"},
		{"an echo is never sent", echoPair, func(c, s *account) { c.Arrived, c.Taken, s.Handed, s.Written = 9, 9, 9, 9 },
			"the server took 10 messages but sent 9 echoes, and swallowed 0"},
		{"an ending server swallows one", echoPair, func(c, s *account) {
			c.Complete, c.Arrived, c.Taken = false, 9, 9
			s.Handed, s.Written, s.Swallowed, s.Ending, s.End = 9, 9, 1, true, ending
		}, ""},
		{"a server swallows one before its end", echoPair, func(c, s *account) {
			c.Arrived, c.Taken, s.Handed, s.Written, s.Swallowed = 9, 9, 9, 9, 1
		}, "all was graceful, but"},
		{"one is in doubt, and arrived", echoPair, func(c, s *account) { c.Complete, c.Broke, c.InDoubt, c.End = false, true, true, closed }, ""},
		{"one is in doubt, and lost", echoPair, func(c, s *account) {
			c.Complete, c.Broke, c.InDoubt, c.End = false, true, true, closed
			s.Arrived, s.Taken, s.Handed, s.Written, c.Arrived, c.Taken = 10, 10, 9, 9, 9, 9
		}, ""},
		{"one is in doubt, and two are lost", echoPair, func(c, s *account) {
			c.Complete, c.Broke, c.InDoubt, c.End = false, true, true, closed
			s.Arrived, s.Taken, s.Handed, s.Written, c.Arrived, c.Taken = 9, 9, 8, 8, 8, 8
		}, "from client to server: 11 messages were written, but 9 arrived: more than the one that may be in doubt"},
		{"one is in doubt, and nobody broke it off", echoPair, func(c, s *account) {
			c.InDoubt = true
			s.Arrived, s.Taken, s.Handed, s.Written, c.Arrived, c.Taken = 10, 10, 9, 9, 9, 9
		}, "nobody broke it off"},
		{"one is lost where the other end broke off, and its sender says nothing", echoPair, func(c, s *account) {
			c.Complete, c.Broke, c.End, c.Arrived, c.Taken = false, true, closed, 9, 9
		}, "from server to client: 10 messages were written, 9 arrived, and the sender does not say that one is in doubt"},
		{"one is lost where the other end vanished, which nobody can tell", echoPair, func(c, s *account) {
			c.Complete, c.Vanished, c.End, c.Arrived, c.Taken = false, true, vanished, 9, 9
		}, ""},
		{"all is well in pipelined mode", pipelinedPair, func(_, _ *account) {}, ""},
		{"only one end is in pipelined mode", pipelinedPair, func(c, _ *account) { c.Pipelined = false },
			"pipelined mode: false, and at the other end true"},
		{"an answered one is lost", brokenPair, func(c, _ *account) { c.Arrived, c.Taken = 9, 9 },
			"from server to client: 10 messages were answered, but only 9 arrived"},
		{"an answered one was not taken", pipelinedPair, func(_, s *account) {
			s.Taken, s.Handed, s.Written, s.Swallowed, s.End = 10, 9, 9, 0, incomplete
		}, "from client to server: 11 messages were answered, but only 10 were taken"},
		{"unsent ones arrived", brokenPair, func(_, s *account) { s.Written, s.Unsent = 8, 2 }, ""},
		{"those of failed Sends arrived", brokenPair, func(_, s *account) { s.Written, s.Failed = 8, 2 }, ""},
		{"one that was not answered is neither unsent nor failed", brokenPair, func(_, s *account) { s.Written, s.Unsent = 8, 1 },
			"10 messages were handed over, but 8 written + 0 failed + 1 unsent"},
		{"a refused one arrived", brokenPair, func(c, s *account) { s.Written, s.Failed, s.Refused = 9, 1, 1 },
			"from server to client: 9 messages were answered, but 10 arrived"},
		{"some arrived and were not answered, nor taken", brokenPair, func(c, s *account) {
			c.Unsent, c.Written, s.Taken, s.Handed, s.Written, c.Arrived, c.Taken = 3, 8, 8, 7, 7, 7, 7
		}, ""},
		{"more than the window was not taken", brokenPair, func(c, s *account) {
			c.Unsent, c.Written, s.Taken, s.Handed, s.Written, c.Arrived, c.Taken = 4, 7, 7, 6, 6, 6, 6
		}, "server: 11 messages arrived, but 7 were taken"},
		{"a streamed one that was cancelled was answered", brokenPair, func(_, s *account) { s.Doubtful, s.Unlisted = 1, 1 }, ""},
		{"a streamed one that was cancelled arrived", brokenPair, func(_, s *account) { s.Written, s.Doubtful, s.Unlisted = 9, 1, 1 }, ""},
		{"more arrived than the streamed one that was cancelled", brokenPair, func(_, s *account) { s.Written, s.Doubtful, s.Unlisted = 8, 1, 1 },
			"10 messages were handed over, but 8 written + 0 failed + 0 unsent"},
		{"a server has no time for a client that is slow to take", pipelinedPair, func(_, s *account) {
			s.End, s.Broke, s.Written, s.Unsent = grace, true, 8, 2
		}, ""},
		{"a server has no time, and what it sent did not arrive", pipelinedPair, func(c, s *account) {
			s.End, s.Broke, s.Written, s.Unsent, c.Arrived, c.Taken = grace, true, 8, 2, 9, 9
		}, "all was graceful, but"},
		{"what is known to be too large is not sent", pipelinedPair, func(c, _ *account) { c.Handed, c.Failed, c.Refused = 12, 1, 1 }, ""},
		{"a pipelined message is in doubt", brokenPair, func(c, _ *account) { c.InDoubt = true }, "the last message is in doubt"},
		{"an empty one that was not sent arrived", echoPair, func(c, s *account) {
			c.Complete, c.Broke, c.InDoubt, c.EmptyInDoubt, c.End = false, true, true, true, closed
			c.Written, c.Failed = 10, 1
		}, ""},
		{"one that was not sent arrived, and is not empty", echoPair, func(c, s *account) {
			c.Complete, c.Broke, c.InDoubt, c.End = false, true, true, closed
			c.Written, c.Failed = 10, 1
		}, "from client to server: 10 messages were written, but 11 arrived"},
		{"one is in the books of nobody", echoPair, func(c, _ *account) { c.Handed = 12 },
			"client: 12 messages were handed over, but 11 written + 0 failed + 0 unsent"},
		{"one is unsent after a graceful end", echoPair, func(c, _ *account) { c.Handed, c.Unsent = 12, 1 },
			"client: it ended gracefully, but 0 Sends failed, 0 of them refused, 1 messages are unsent"},
		{"one is unsent as the server ended", echoPair, func(c, s *account) { c.Handed, c.Unsent, s.Ending = 12, 1, true }, ""},
		{"one is refused at both ends", echoPair, func(c, s *account) { c.Handed, c.Failed, c.Refused, s.PeerRefused = 12, 1, 1, 1 }, ""},
		{"one is refused at one end", echoPair, func(c, _ *account) { c.Handed, c.Failed, c.Refused = 12, 1, 1 },
			"from client to server: 1 messages were refused, but the other end refused 0"},
		{"a refusal does not arrive", echoPair, func(c, s *account) {
			c.Complete, c.Broke, c.End = false, true, closed
			c.Handed, c.Failed, s.PeerRefused = 12, 1, 1
		}, ""},
		{"one arrived and was not taken", echoPair, func(c, s *account) { s.Taken, s.Handed, s.Written, c.Arrived, c.Taken = 10, 9, 9, 9, 9 },
			"server: 11 messages arrived, but 10 were taken"},
		{"more are taken than arrived", echoPair, func(c, _ *account) { c.Taken = 11 }, "client: 11 messages were taken, but 10 arrived"},
		{"more are held than there is room for", echoPair, func(c, s *account) {
			c.Complete, c.Broke, c.End, c.Taken = false, true, closed, 8
		}, "client: 10 messages arrived, and 8 were taken: there is room for 1"},
		{"a number is missing", echoPair, func(_, s *account) { s.Gaps = 1 },
			"from client to server: 1 numbers are missing, but only 0 messages were doubtful or dropped"},
		{"a number is missing that a cancelled Send had", echoPair, func(c, s *account) {
			c.Complete, c.Doubtful, c.Handed, c.Unsent, s.Gaps = false, 1, 12, 1, 1
		}, ""},
		{"an end has no known kind", echoPair, func(c, _ *account) { c.Complete, c.End, c.Err = false, other, "on fire" },
			"client: an error of no known kind: on fire"},
		{"a graceful end is none for the server", echoPair, func(_, s *account) { s.End = reset }, "all was graceful, but"},
		{"a broken offer is not what the server says", echoPair, func(c, s *account) {
			c.Complete, c.Expect = false, []string{incomplete, stalled}
		}, `the server's end is "" (clean), expected one of ["incomplete" "stalled"]`},
		{"the ends are of different kinds", echoPair, func(_, s *account) { s.Role = "pump" }, `the client is "echo", the server takes it for "pump"`},
		{"an end saw what must not be", echoPair, func(c, _ *account) { c.Violations = []string{"a ghost"} }, "client: a ghost"},

		{"a member misses what was dropped", memberPair, func(_, _ *account) {}, ""},
		{"a member misses more than was dropped", memberPair, func(c, _ *account) { c.Gaps = 5 },
			"from server to client: 5 numbers are missing, but only 4 messages were doubtful or dropped"},
		{"a hub forgets a message", memberPair, func(_, s *account) { s.Member.Dropped = 3 },
			"server: the hub sent 20 messages, but 16 delivered + 3 dropped + 0 undelivered"},
		{"a hub delivers what is not written", memberPair, func(c, s *account) { s.Written, c.Arrived, c.Taken = 15, 15, 15 },
			"server: the hub delivered 16 messages, but 15 were written"},
		{"an evicted member gets one more than the hub can say", memberPair, func(c, s *account) {
			s.Broke, s.End, s.Member.Delivered, s.Member.Undelivered = true, evicted, 15, 1
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, server := test.pair()
			test.change(client, server)
			got := strings.Join(reconcile(client, server), "; ")
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("it says %q, expected %q", got, test.want)
			}
		})
	}
}
