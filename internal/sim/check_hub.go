package main

import (
	"fmt"

	"github.com/tinyproto-go/tinyproto/hub"
)

// candidates returns what may have been sent to a member, in order.
func (ch *chat) candidates(m *hub.Member) (all []*message) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for _, p := range ch.posts {
		if p.only == m || p.only == nil && p.from != m {
			all = append(all, &message{body: p.body, producer: p.producer, way: bySend, outcome: possible})
		}
	}
	return all
}

// checkEnd checks the hub's own counts, when it has ended.
func (ch *chat) checkEnd() {
	s := ch.hub.Stats()
	ch.mu.Lock()
	defer ch.mu.Unlock()
	wrong := func(ok bool, format string, args ...any) {
		if !ok {
			ch.w.violate("hub: %s; %+v", fmt.Sprintf(format, args...), s)
		}
	}
	wrong(s.Members == 0 && s.QueuedMessages == 0 && s.QueuedBytes == 0, "it has ended, but not everybody has left")
	wrong(s.Joined == s.Left && int(s.Joined) == len(ch.members), "%d connections joined", len(ch.members))
	wrong(s.Sent == s.Delivered+s.Dropped+s.Undelivered, "its counts do not add up")
	events := ch.heard + ch.joined + ch.left + int(s.Unheard)
	wrong(events == int(s.Joined+s.Left+s.Received), "%d messages, %d Joined and %d Left were heard", ch.heard, ch.joined, ch.left)
	var members hub.MemberStats
	for _, m := range ch.order {
		ch.checkMember(m, s)
		ms := m.Stats()
		members.Sent += ms.Sent
		members.Delivered += ms.Delivered
		members.Dropped += ms.Dropped
		members.Undelivered += ms.Undelivered
	}
	wrong(members.Sent == s.Sent && members.Delivered == s.Delivered && members.Dropped == s.Dropped &&
		members.Undelivered == s.Undelivered, "its members' counts do not add up to its own: %+v", members)
	ch.checkOrder()
	if ch.w.plan.gentle {
		wrong(s.Dropped == 0 && s.Undelivered == 0 && s.Unheard == 0, "nothing went wrong, but not all was delivered")
	}
}

// checkMember compares what the hub counts with what its connection counts.
func (ch *chat) checkMember(m *hub.Member, s hub.Stats) {
	e := ch.members[m]
	ms, cs := m.Stats(), m.Conn().Stats()
	if written := cs.MessagesSent; written < ms.Delivered || written > ms.Delivered+1 {
		ch.w.violate("hub: %s was delivered %d messages, but %d were written to it", e.name, ms.Delivered, written)
	}
	if ms.Sent != ms.Delivered+ms.Dropped+ms.Undelivered {
		ch.w.violate("hub: the counts of %s do not add up: %+v", e.name, ms)
	}
	held := 1
	if cs.Pipelined {
		held = e.plan.options.window()
	}
	if dropped := int(cs.MessagesReceived) - len(e.took); dropped > int(s.Unheard)+held {
		ch.w.violate("hub: %s sent %d messages, of which %d were heard, and only %d events were not", e.name, cs.MessagesReceived, len(e.took), s.Unheard)
	}
	client := e.link.dialer
	policy := ch.w.plan.hub.policy
	if client == nil || policy == hub.DropNewest || policy == hub.DropOldest || ms.Dropped > 0 {
		return
	}
	// Whoever is dropped nothing gets all that is sent to all between its first
	// and its last. In which order two goroutines sent is not known.
	first, last, n := -1, -1, 0
	got := map[string]bool{}
	for _, b := range append(client.took, client.streamed...) {
		got[string(b)] = true
	}
	for i, p := range ch.posts {
		if p.producer == 0 && got[string(p.body)] && p.from != m {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	for i := first; i >= 0 && i <= last; i++ {
		p := ch.posts[i]
		if p.producer == 0 && p.from != m && p.only == nil && !got[string(p.body)] {
			n++
		}
	}
	if held := int(client.conn.Stats().MessagesReceived) - len(client.took) - len(client.streamed); n > held {
		ch.w.violate("hub: %d messages are missing among those that %s received", n, client.name)
	}
}

// checkOrder expects that what is sent to all comes to all in the same order.
func (ch *chat) checkOrder() {
	toAll := map[string]bool{}
	for _, p := range ch.posts {
		toAll[string(p.body)] = p.only == nil
	}
	for i, a := range ch.order {
		for _, b := range ch.order[:i] {
			x, y := ch.members[a].link.dialer, ch.members[b].link.dialer
			if x == nil || y == nil {
				continue
			}
			place := map[string]int{}
			for n, body := range x.took {
				if toAll[string(body)] {
					place[string(body)] = n
				}
			}
			last := -1
			for _, body := range y.took {
				n, both := place[string(body)]
				if both && n < last {
					ch.w.violate("hub: %s got %s in another order than %s", y.name, describe(body), x.name)
				}
				if both {
					last = n
				}
			}
		}
	}
}
