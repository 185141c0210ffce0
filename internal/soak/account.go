package main

import (
	"encoding/json"
	"fmt"
	"slices"
)

// account is what one end of a connection counted until its end.
type account struct {
	Session uint64 `json:",omitzero"` // the client's number for the connection; 0 where it did not introduce itself
	Server  int    `json:",omitzero"` // which of the run's server processes it was with
	Role    string `json:",omitzero"` // what the client does
	Service string `json:",omitzero"` // what it asked the server for

	// Of what this end sent: Handed = Written + Failed + Unsent, but for Unlisted.
	Handed   uint64 `json:",omitzero"` // to the library: Sends begun, and messages the Outbox took
	Written  uint64 `json:",omitzero"` // by the library's count
	Failed   uint64 `json:",omitzero"` // their Send says that they were not sent
	Refused  uint64 `json:",omitzero"` // of Failed, because of their size, by the library's count
	Unsent   uint64 `json:",omitzero"` // listed by the library
	Doubtful uint64 `json:",omitzero"` // their Send was cancelled and could not say
	Unlisted uint64 `json:",omitzero"` // of Doubtful: a SendFrom's, which can't be listed as unsent
	InDoubt  bool   `json:",omitzero"` // what the library says of the last one that was written

	// EmptyInDoubt says that the first one that was not written may have
	// arrived: it is empty, so nothing but the answer to its offer is missing.
	EmptyInDoubt bool `json:",omitzero"`

	// Of what it received.
	Arrived     uint64 `json:",omitzero"` // by the library's count
	Taken       uint64 `json:",omitzero"` // by the application
	Gaps        uint64 `json:",omitzero"` // numbers that were left out between those taken
	Room        uint64 `json:",omitzero"` // how many the library holds at most for the application
	PeerRefused uint64 `json:",omitzero"`
	Swallowed   uint64 `json:",omitzero"` // taken, but not answered as this end was ending

	BytesSent, BytesReceived, Conflicts uint64 `json:",omitzero"`

	// Pipelined says that both ends agreed to that. Written are those that were
	// answered then, and any of Failed and Unsent may have arrived.
	Pipelined bool   `json:",omitzero"`
	Window    uint64 `json:",omitzero"` // how many may arrive that the application has not taken yet, besides Room

	// How it ended.
	End string `json:",omitzero"` // the kind of the error: see kindOf
	Err string `json:",omitzero"`

	Complete  bool     `json:",omitzero"` // this end waited for all that was due, and then ended gracefully
	Abandoned bool     `json:",omitzero"` // it stopped taking what arrived
	Broke     bool     `json:",omitzero"` // it ended the connection at once, or the library did so for it
	Vanished  bool     `json:",omitzero"` // its transport was taken from it, so that what it says last may be wrong
	Ending    bool     `json:",omitzero"` // of a server: it was ending
	Expect    []string `json:",omitzero"`

	Member *membership `json:",omitzero"` // of a server's end in a hub

	Violations []string `json:",omitzero"` // what it saw that must not be
}

// membership is what a hub says of a member.
type membership struct {
	Sent, Delivered, Dropped, Undelivered uint64
	Skipped                               uint64 // numbers of its room that were not for it
}

func (a *account) String() string { return fmt.Sprintf("%s, connection %d", a.Role, a.Session) }

// details are all that is not zero.
func (a *account) details() string {
	text, err := json.Marshal(a)
	if err != nil {
		panic(err) // of numbers and strings
	}
	return string(text)
}

// lostAt is how many of the messages that this end wrote did not arrive at the other.
func (a *account) lostAt(to *account) int64 { return int64(a.Written) - int64(to.Arrived) }

// left is how many messages arrived and were not taken.
func (a *account) left() uint64 { return a.Arrived - min(a.Arrived, a.Taken) }

// check says what is wrong with this end's account in itself.
func (a *account) check() []string {
	var wrong []string
	blame := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	wrong = append(wrong, a.Violations...)
	switch m := a.Member; {
	case m == nil:
		if known := a.Written + a.Failed + a.Unsent; known > a.Handed || known+a.Unlisted < a.Handed {
			blame("%d messages were handed over, but %d written + %d failed + %d unsent", a.Handed, a.Written, a.Failed, a.Unsent)
		}
	case m.Sent != m.Delivered+m.Dropped+m.Undelivered:
		blame("the hub sent %d messages, but %d delivered + %d dropped + %d undelivered", m.Sent, m.Delivered, m.Dropped, m.Undelivered)
	case a.Written < m.Delivered || a.Written > m.Delivered+1 || a.Written > m.Delivered && !a.Broke:
		// A Send that is cancelled by an eviction can't say what became of it.
		blame("the hub delivered %d messages, but %d were written", m.Delivered, a.Written)
	}
	if a.Refused > a.Failed+a.Unsent { // a Send that was cancelled may be refused later
		blame("%d messages were refused, but %d Sends failed and %d messages are unsent", a.Refused, a.Failed, a.Unsent)
	}
	if a.Taken > a.Arrived {
		blame("%d messages were taken, but %d arrived", a.Taken, a.Arrived)
	}
	switch left := a.left(); {
	case left == 0 || a.Abandoned || a.Ending:
		// What is accepted while a connection flushes, for the sake of its peer,
		// is dropped when the application is gone.
	case a.Pipelined && left <= a.Window && a.End != clean: // they were not answered
	case !a.Broke && !a.Vanished:
		blame("%d messages arrived, but %d were taken", a.Arrived, a.Taken)
	case left > a.Room+a.Window:
		blame("%d messages arrived, and %d were taken: there is room for %d", a.Arrived, a.Taken, a.Room)
	}
	if !knownKinds[a.End] {
		blame("an error of no known kind: %s", a.Err)
	}
	return wrong
}

// reconcile says what does not agree between the two ends of a connection.
func reconcile(client, server *account) []string {
	var wrong []string
	for _, w := range client.check() {
		wrong = append(wrong, "client: "+w)
	}
	for _, w := range server.check() {
		wrong = append(wrong, "server: "+w)
	}
	wrong = append(wrong, crossing("from client to server", client, server)...)
	wrong = append(wrong, crossing("from server to client", server, client)...)
	if client.Role != server.Role {
		wrong = append(wrong, fmt.Sprintf("the client is %q, the server takes it for %q", client.Role, server.Role))
	}
	if server.Service == serviceEcho && server.Taken > 0 && server.Taken-1 != server.Handed+server.Swallowed {
		wrong = append(wrong, fmt.Sprintf("the server took %d messages but sent %d echoes, and swallowed %d",
			server.Taken-1, server.Handed, server.Swallowed))
	}
	if server.Ending {
		return wrong
	}
	if c := client; c.Complete && (c.Failed > c.Refused || c.Unsent+c.Doubtful > 0) {
		wrong = append(wrong, fmt.Sprintf("client: it ended gracefully, but %d Sends failed, %d of them refused, %d messages are unsent, %d doubtful",
			c.Failed, c.Refused, c.Unsent, c.Doubtful))
	}
	// In pipelined mode a server may have no time for a client that is slow to take,
	// and so to answer, what it sent, or to end; all of it has arrived.
	late := server.Pipelined && server.End == grace && client.Arrived >= server.Handed
	unsent := server.Unsent
	if late {
		unsent = 0
	}
	if client.Complete && (client.End != clean || server.End != clean && !late || server.left()+server.Swallowed+unsent > 0 ||
		server.Failed > server.Refused) {
		wrong = append(wrong, fmt.Sprintf("all was graceful, but the client's end is %q, the server's %q; "+
			"the server left %d messages, swallowed %d, has %d unsent, %d Sends failed",
			client.Err, server.Err, server.left(), server.Swallowed, server.Unsent, server.Failed))
	}
	if len(client.Expect) > 0 && !slices.Contains(client.Expect, server.End) {
		wrong = append(wrong, fmt.Sprintf("the server's end is %q (%s), expected one of %q", server.Err, server.End, client.Expect))
	}
	return wrong
}

// crossing says what is wrong with the messages that went one way.
func crossing(way string, from, to *account) []string {
	var wrong []string
	blame := func(format string, args ...any) {
		wrong = append(wrong, way+": "+fmt.Sprintf(format, args...))
	}
	brokenOff := from.Broke || from.Vanished || to.Broke || to.Vanished
	switch lost := from.lostAt(to); {
	case lost == 0:
	case from.Pipelined && lost > 0:
		blame("%d messages were answered, but only %d arrived", from.Written, to.Arrived)
	case from.Pipelined:
		// All else that arrived is unsent, or its Send has failed.
		if untold := -lost - int64(from.Failed-min(from.Failed, from.Refused)) - int64(from.Unsent+from.Unlisted); from.Member == nil && untold > 0 || from.End == clean {
			blame("%d messages were answered, but %d arrived", from.Written, to.Arrived)
		}
	case lost == -1 && from.EmptyInDoubt && from.InDoubt && brokenOff:
	case lost < 0:
		blame("%d messages were written, but %d arrived", from.Written, to.Arrived)
	case lost > 1:
		blame("%d messages were written, but %d arrived: more than the one that may be in doubt", from.Written, to.Arrived)
	case !brokenOff:
		blame("%d messages were written, %d arrived, and nobody broke it off", from.Written, to.Arrived)
	case !from.InDoubt && !from.Vanished && !to.Vanished:
		blame("%d messages were written, %d arrived, and the sender does not say that one is in doubt", from.Written, to.Arrived)
	}
	if from.Pipelined != to.Pipelined {
		blame("pipelined mode: %t, and at the other end %t", from.Pipelined, to.Pipelined)
	}
	if from.Pipelined && from.InDoubt {
		blame("the last message is in doubt")
	}
	if from.Pipelined && !brokenOff && !to.Abandoned && !to.Ending && from.Written > to.Taken {
		blame("%d messages were answered, but only %d were taken", from.Written, to.Taken)
	}
	allowed := from.Doubtful
	if m := from.Member; m != nil {
		allowed = m.Dropped + m.Undelivered + m.Skipped
	}
	if to.Gaps > allowed {
		blame("%d numbers are missing, but only %d messages were doubtful or dropped", to.Gaps, allowed)
	}
	switch {
	case from.Refused == to.PeerRefused:
	case from.Pipelined && to.PeerRefused <= from.Refused+from.Unsent: // most are never sent, as the limit is known
	case (brokenOff || from.Ending || to.Ending || !from.Complete) && from.Refused+1 == to.PeerRefused:
		// The refusal did not arrive any more.
	default:
		blame("%d messages were refused, but the other end refused %d", from.Refused, to.PeerRefused)
	}
	return wrong
}
