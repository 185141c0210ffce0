// Package contestant has the ways to move messages that are compared, behind
// one interface: this library, raw TCP as the floor, and what a user would pick
// instead. Each has a file of its own.
package contestant

import (
	"context"
	"fmt"
)

// Kind is what a workload asks of a contestant.
type Kind string

// The kinds of workloads.
const (
	PingPong Kind = "ping-pong" // a message and its echo, one at a time
	OneWay   Kind = "one-way"   // messages in one direction, as fast as they go
	Duplex   Kind = "duplex"    // messages in both directions at once
	FanOut   Kind = "fan-out"   // one message to many receivers
	Connects Kind = "connects"  // a connection for each message and its echo
	Idle     Kind = "idle"      // many connections on which nothing happens
)

// Settings are what a contestant may know of its task.
type Settings struct {
	Kind Kind

	// Size is the size of the messages, in bytes.
	Size int

	// Links is how many links there are at once.
	Links int

	// Queue is how many messages wait for one receiver of a FanOut, at most.
	Queue int
}

// Link is one end of a connection. One goroutine may call Send and Flush while
// another one calls Receive.
type Link interface {
	// Send sends a message, or takes it to be sent. It must not be changed
	// any more.
	Send(msg []byte) error

	// Flush sees to it that what was sent goes out without a further Send.
	Flush() error

	// Receive returns the next message. It is valid until the next Receive.
	Receive() ([]byte, error)

	// Close ends the connection at once, and with it all that waits for it. It
	// may be called from anywhere, more than once.
	Close() error
}

// Host is the end that is dialled.
type Host struct {
	Address string

	// Stop ends the host and all its links, and waits until it has ended.
	Stop func() error
}

// Hub sends to all that have dialled its host.
type Hub interface {
	// Ready blocks until n links receive what is broadcast, or until ctx ends.
	Ready(ctx context.Context, n int) error

	// Broadcast sends a message to all links, or takes it to be sent. It must
	// not be changed any more.
	Broadcast(msg []byte) error
}

// Contestant is a way to move messages.
type Contestant struct {
	Name string

	// Role says whether it is this library, a floor or one of the others.
	Role Role

	// Modules are the paths of the modules that do the work; none for the
	// standard library.
	Modules []string

	// How says how it is used here.
	How string

	// More says what it does that this library does not.
	More string

	// Without has the kinds that it takes no part in, and why.
	Without map[Kind]string

	// MaxSize is its limit for the size of a message; zero means none.
	MaxSize int

	// Listen starts a host. Each link is given to handle, in a goroutine of its
	// own, and is closed when that returns.
	Listen func(s Settings, handle func(Link)) (*Host, error)

	// Echo starts a host that sends back what it receives. It is for contestants
	// whose servers know no links; nil means Listen with such a handler.
	Echo func(s Settings) (*Host, error)

	// Hub starts a host that broadcasts. Nil means the usual hub over Listen.
	Hub func(s Settings) (*Host, Hub, error)

	// Dial opens the link number n of several to a host. ctx bounds the dialling.
	Dial func(ctx context.Context, s Settings, address string, n int) (Link, error)
}

// Role is what a contestant is in the comparison.
type Role int

// The roles.
const (
	Other Role = iota
	Ours
	Floor
)

// Refuses returns why a contestant takes no part in a task, and nothing if it
// does.
func (c *Contestant) Refuses(s Settings) string {
	if reason := c.Without[s.Kind]; reason != "" {
		return reason
	}
	if c.MaxSize > 0 && s.Size > c.MaxSize {
		return fmt.Sprintf("messages of more than %d bytes are above its limit", c.MaxSize)
	}
	return ""
}

// StartEcho starts a host that sends back what it receives.
func (c *Contestant) StartEcho(s Settings, echo func(Link)) (*Host, error) {
	if c.Echo != nil {
		return c.Echo(s)
	}
	return c.Listen(s, echo)
}

// StartHub starts a host that broadcasts.
func (c *Contestant) StartHub(s Settings) (*Host, Hub, error) {
	if c.Hub != nil {
		return c.Hub(s)
	}
	return plainHub(c.Listen)(s)
}

// All returns the contestants, the floors first.
func All() []*Contestant {
	all := []*Contestant{
		newStream(false), newStream(true),
		newLockstep(false, false), newLockstep(false, true),
		newLockstep(true, false), newLockstep(true, true),
	}
	for _, m := range modes {
		all = append(all, newTinyproto(m, bySend), newTinyproto(m, bySendRelease),
			newTinyproto(m, byOutbox), newTinyproto(m, byRelease))
	}
	return append(all, newGorilla(), newCoder(), newNATS(), newNATSRequest(), newGRPC(), newYamux(), newZMQ(), newNetRPC())
}

// Named returns the contestant of a name.
func Named(name string) (*Contestant, error) {
	for _, c := range All() {
		if c.Name == name {
			return c, nil
		}
	}
	return nil, fmt.Errorf("no contestant is called %q", name)
}
