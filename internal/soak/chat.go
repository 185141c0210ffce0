package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tinyproto-go/tinyproto/hub"
)

// policies are the server's hubs: one for each thing that can be done about a
// member that does not keep up.
var policies = map[string]hub.Policy{
	"evict":       hub.Evict,
	"block":       hub.Block,
	"drop-newest": hub.DropNewest,
	"drop-oldest": hub.DropOldest,
}

// blockTime is how long the hub that blocks waits for a member: then the
// message counts as dropped for that member.
const blockTime = 100 * time.Millisecond

// chat is a hub with its rooms. What a member sends goes to its room, numbered
// in the order of the room, and now and then to all rooms or to itself alone.
type chat struct {
	hub    *hub.Hub
	policy hub.Policy
	guests sync.Map          // of *guest by *conn.Conn, until they have left
	rooms  map[string]uint64 // the next number; owned by the loop over the events
}

func newChat(name string, policy hub.Policy) *chat {
	return &chat{
		hub: hub.New(&hub.Options{Full: policy, QueueMessages: 64, QueueBytes: 256 << 10,
			EventBuffer: 16, Grace: graceTime}),
		policy: policy,
		rooms:  map[string]uint64{},
	}
}

// run lives as long as ctx and the members.
func (c *chat) run(ctx context.Context) error {
	var g errgroup.Group
	g.Go(func() error { return c.hub.Run(ctx) }) // ends with ctx, when the members are gone
	for e := range c.hub.Events() {
		c.event(e)
	}
	return g.Wait()
}

// event does what a chat does: it never waits for a member, but where the
// policy is to block.
func (c *chat) event(e hub.Event) {
	value, ok := c.guests.Load(e.Member.Conn())
	if !ok {
		panic("a member that nobody let in")
	}
	g := value.(*guest)
	switch e.Kind {
	case hub.Joined:
		e.Member.Enter(g.room)
	case hub.Message:
		g.take(len(e.Body), g.in.take(e.Body))
		c.pass(g, e.Member, len(e.Body))
	case hub.Left:
		c.guests.Delete(e.Member.Conn())
		close(g.left)
	}
}

// pass sends a message of size bytes on to whom it is for, which depends on
// its number. It becomes one of the room's, with the room's number.
func (c *chat) pass(g *guest, m *hub.Member, size int) {
	ctx := context.Background()
	if c.policy == hub.Block {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, blockTime)
		defer cancel()
	}
	n := g.in.next
	switch {
	case n%50 == 0:
		if c.hub.Send(ctx, m.ID(), compose(g.in.from|fromServer, g.out, size)) == nil {
			g.out++
		}
	case n%200 == 1:
		c.hub.Broadcast(ctx, c.numbered(everywhere, size))
	case n%50 == 2:
		c.hub.BroadcastWhere(ctx, c.numbered(g.room, size), func(m *hub.Member) bool { return m.In(g.room) })
	case n%4 == 3:
		g.note(func(a *account) { a.Member.Skipped++ })
		c.hub.BroadcastRoom(ctx, g.room, c.numbered(g.room, size), m)
	default:
		c.hub.BroadcastRoom(ctx, g.room, c.numbered(g.room, size))
	}
}

// everywhere is the room that all are in.
const everywhere = "0"

// numbered composes the next message of a room.
func (c *chat) numbered(room string, size int) []byte {
	msg := compose(roomSender(room), c.rooms[room], size)
	c.rooms[room]++
	return msg
}

// roomSender is whose a room's messages are.
func roomSender(room string) uint64 {
	n, err := strconv.ParseUint(room, 10, 32)
	if err != nil {
		panic(err) // they are numbers
	}
	return fromRoom | n
}

// join makes the guest a member, until it leaves.
func (g *guest) join() error {
	c := g.server.hubs[g.intro.Hub]
	if c == nil {
		err := fmt.Errorf("there is no hub called %q", g.intro.Hub)
		g.violated(err)
		return err
	}
	g.room, g.left = strconv.Itoa(g.intro.Room), make(chan struct{})
	g.note(func(a *account) { a.Member = &membership{} })
	c.guests.Store(g.Conn, g)
	member, err := c.hub.Join(g.Conn)
	if err != nil { // the hub is ending
		c.guests.Delete(g.Conn)
		return err
	}
	<-g.left
	<-member.Done()
	m := member.Stats()
	g.note(func(a *account) {
		a.Handed = m.Sent
		a.Member.Sent, a.Member.Delivered, a.Member.Dropped, a.Member.Undelivered = m.Sent, m.Delivered, m.Dropped, m.Undelivered
		if errors.Is(member.Err(), hub.ErrEvicted) {
			a.Broke, a.End = true, evicted
		}
	})
	return nil
}

func (s *server) hubStats() map[string]hub.Stats {
	stats := map[string]hub.Stats{}
	for name, c := range s.hubs {
		stats[name] = c.hub.Stats()
	}
	return stats
}
