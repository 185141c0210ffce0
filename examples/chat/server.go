package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/hub"
)

// serve passes messages on until ctx ends.
func serve(ctx context.Context, address string, stdout, stderr io.Writer) error {
	l, err := tinyproto.Listen(ctx, address)
	if err != nil {
		return err
	}
	fmt.Fprintln(stderr, "listening on", display(l.Addr()))

	// The hub ends first, and lets the members receive what is queued for them:
	// the server keeps their connections until then.
	hubCtx, endHub := context.WithCancel(ctx)
	serverCtx, endServer := context.WithCancel(context.WithoutCancel(ctx))
	h := hub.New(&hub.Options{Grace: grace})
	server := tinyproto.Server{Handler: hub.Handler(h), Grace: grace}
	c := chat{hub: h, log: log.New(stdout, "[INFO] ", 0), names: map[string]*member{}}

	var g errgroup.Group
	g.Go(func() error { // ends with ctx, or with the server
		defer endServer()
		return h.Run(hubCtx)
	})
	g.Go(func() error { // ends with the hub, or when the listener fails
		defer endHub()
		return server.Serve(serverCtx, l)
	})
	g.Go(func() error { // ends with the hub
		c.attend()
		return nil
	})
	return g.Wait()
}

// chat is what the server knows. One goroutine uses it.
type chat struct {
	hub     *hub.Hub
	log     *log.Logger
	members []*member          // in the order in which they joined
	names   map[string]*member // by ID, and by nick as well
}

// member is one who chats.
type member struct {
	*hub.Member
	nick string // "" until it has one
	room string
}

// name is what others see.
func (m *member) name() string {
	if m.nick != "" {
		return m.nick
	}
	return string(m.ID())
}

// The rooms of the hub that are not made by /join.
const (
	everyone = ""      // no name of a room to join: all whose joining was announced
	lobby    = "lobby" // where everyone starts
)

// attend carries out what happens in the hub, in turn, until it has ended.
// Nothing here waits for a member: one that does not keep up is evicted.
func (c *chat) attend() {
	for e := range c.hub.Events() {
		switch e.Kind {
		case hub.Joined:
			c.join(e.Member)
		case hub.Message:
			c.hear(c.names[string(e.Member.ID())], e.Body)
		case hub.Left:
			c.leave(c.names[string(e.Member.ID())])
		}
	}
}

func (c *chat) join(joined *hub.Member) {
	c.log.Print("New connection opened from ", display(joined.Conn().RemoteAddr()))
	m := &member{Member: joined, room: lobby}
	c.members = append(c.members, m)
	c.names[string(m.ID())] = m
	m.Enter(everyone)
	m.Enter(lobby)
	c.broadcast(everyone, m, "**joined the chat")
}

func (c *chat) leave(m *member) {
	c.log.Print("Connection closed from ", display(m.Conn().RemoteAddr()))
	i := slices.Index(c.members, m)
	c.members = slices.Delete(c.members, i, i+1)
	delete(c.names, string(m.ID()))
	delete(c.names, m.nick)
	c.broadcast(everyone, m, "**left the chat")
}

// hear is what a member's message does.
func (c *chat) hear(m *member, body []byte) {
	text, isCommand := parse(string(body))
	if !isCommand {
		c.broadcast(m.room, m, text)
		return
	}
	if reply := c.carryOut(m, text); reply != "" {
		c.hub.Send(context.Background(), m.ID(), []byte("** "+reply)) // fails only if m is leaving
	}
}

// broadcast sends a text to all others in a room. Its context is never used,
// because the hub waits for nobody.
func (c *chat) broadcast(room string, from *member, text string) {
	c.hub.BroadcastRoom(context.Background(), room, []byte("["+from.name()+"] "+text), from.Member)
}

// display writes an address so that -connect understands it.
func display(a net.Addr) string {
	if a.Network() == "unix" {
		return "unix://" + a.String()
	}
	return a.String()
}
