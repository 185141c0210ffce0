package tinytest

import (
	"net"
	"sync"
)

// listener is guarded by Network.mu.
type listener struct {
	net     *Network
	name    string
	arrived sync.Cond // there is something to accept, or the listener is closed
	backlog []*Conn
	closed  bool
}

// Accept blocks until a connection has come or the listener is closed.
func (l *listener) Accept() (net.Conn, error) {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	for !l.closed && len(l.backlog) == 0 {
		l.arrived.Wait()
	}
	if l.closed {
		return nil, l.err("accept", net.ErrClosed)
	}
	c := l.backlog[0]
	l.backlog = l.backlog[1:]
	c.trace(Event{Op: OpAccept}, nil)
	l.net.change()
	return c, nil
}

// Close makes the name free, and wakes whoever waits in Accept.
func (l *listener) Close() error {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	if l.closed {
		return l.err("close", net.ErrClosed)
	}
	l.closed = true
	delete(l.net.listeners, l.name)
	for _, c := range l.backlog {
		c.abort()
	}
	l.backlog = nil
	l.arrived.Broadcast()
	l.net.change()
	return nil
}

// Addr returns the name that it listens on, an [Addr].
func (l *listener) Addr() net.Addr { return Addr(l.name) }

func (l *listener) err(op string, err error) error {
	return &net.OpError{Op: op, Net: networkName, Addr: Addr(l.name), Err: err}
}
