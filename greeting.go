package tinyproto

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// DefaultMaxHellos is how many connections may be greeting at once.
const DefaultMaxHellos = 1024

// tlsHellos is how many of them there may be for each processor with TLS, whose
// handshakes take their time: a queue of these delays all connections.
const tlsHellos = 128

// fewHellos is what MaxHellos is at the least if it follows from MaxConns.
const fewHellos = 16

// maxHellos resolves MaxHellos. 0 means no limit.
func (s *Server) maxHellos() int {
	switch {
	case s.MaxHellos < 0:
		return 0
	case s.MaxHellos > 0:
		return s.MaxHellos
	}
	most := DefaultMaxHellos
	if s.TLS != nil {
		most = min(most, tlsHellos*runtime.GOMAXPROCS(0))
	}
	if s.MaxConns > 0 {
		most = min(most, max(s.MaxConns/2, fewHellos))
	}
	return most
}

// errCrowded is why a connection that had not greeted was ended.
var errCrowded = errors.New("ended before it had greeted, to make room for others")

// How long a connection may take to greet when others wait for its place. Its
// hello is there when it is accepted, or a round trip or two later with TLS; the
// rest is time for a server that is busy.
const (
	crowdedPatience = 100 * time.Millisecond // there are MaxHellos of them
	noFilesPatience = time.Second            // there are no descriptors
)

// greeting are the connections of one Serve that have not greeted.
type greeting struct {
	most int           // 0 means no limit
	room chan struct{} // cap 1: there is one fewer

	mu     sync.Mutex
	oldest list.List // of *greeter; guarded by mu
}

// greeter is a connection that has not greeted.
type greeter struct {
	nc      net.Conn
	since   time.Time
	place   *list.Element // in greeting.oldest; guarded by its mu
	evicted bool          // guarded by greeting.mu
}

func newGreeting(most int) *greeting {
	return &greeting{most: most, room: make(chan struct{}, 1)}
}

// begin adds a connection. If that makes them too many, the one
// that has been at it for longest has to go. It blocks until that one has had
// its time, until another is done, or until ctx ends: so a flood is accepted
// only as fast as it can be dealt with.
func (g *greeting) begin(ctx context.Context, nc net.Conn) *greeter {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.most > 0 && g.oldest.Len() >= g.most && ctx.Err() == nil {
		if left, ok := g.evict(crowdedPatience); !ok {
			g.mu.Unlock()
			select {
			case <-g.room:
			case <-time.After(left):
			case <-ctx.Done():
			}
			g.mu.Lock()
		}
	}
	c := &greeter{nc: nc, since: time.Now()}
	c.place = g.oldest.PushBack(c)
	return c
}

// done takes a connection off, if it is not off already, and reports whether it was
// evicted.
func (g *greeting) done(c *greeter) (evicted bool) {
	g.mu.Lock()
	g.oldest.Remove(c.place)
	evicted = c.evicted
	g.mu.Unlock()
	select {
	case g.room <- struct{}{}:
	default:
	}
	return evicted
}

// evictAll ends all connections that have been greeting for patience.
func (g *greeting) evictAll(patience time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.oldest.Len() > 0 {
		if _, ok := g.evict(patience); !ok {
			return
		}
	}
}

// evict ends the connection that has been greeting for longest, if that is
// patience. Otherwise it returns how much is left of it. mu is held, and there is
// a connection.
func (g *greeting) evict(patience time.Duration) (left time.Duration, ok bool) {
	e := g.oldest.Front()
	oldest := e.Value.(*greeter)
	if left := patience - time.Since(oldest.since); left > 0 {
		return left, false
	}
	g.oldest.Remove(e)
	oldest.evicted = true
	if oldest.nc.SetDeadline(longAgo) != nil {
		oldest.nc.Close()
	}
	return 0, true
}

// longAgo, as a deadline, ends the Reads and Writes in progress and those to come.
var longAgo = time.Unix(1, 0)

// isEvicted reports whether a connection has to go.
func (g *greeting) isEvicted(c *greeter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return c.evicted
}

// greet makes a connection, unless it had to make room before its turn came:
// then not even a handshake that has arrived is worth its time.
func (s *serving) greet(ctx context.Context, hello *greeter) (*Conn, error) {
	var c *Conn
	var err error
	if ctx.Err() == nil && !s.greeting.isEvicted(hello) {
		c, err = conn.New(ctx, hello.nc, s.opts)
	} else {
		hello.nc.Close()
		err = fmt.Errorf("tinyproto: hello with %v: %w", hello.nc.RemoteAddr(), context.Cause(ctx))
	}
	if s.greeting.done(hello) {
		if c != nil {
			c.Close()
		}
		return nil, fmt.Errorf("tinyproto: hello with %v: %w", hello.nc.RemoteAddr(), errCrowded)
	}
	return c, err
}
