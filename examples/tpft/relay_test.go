package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// A relay passes on the bytes between clients and a server, and counts them. A
// connection that breaks on one side breaks on the other.
type relay struct {
	address string
	server  string
	up      counted // to the server
	down    counted // to the client

	listener net.Listener
	running  sync.WaitGroup
	releases []func() // of what is held back
	mu       sync.Mutex
	conns    []net.Conn // guarded by mu
	closed   bool       // guarded by mu
}

// counted is one direction, over all connections.
type counted struct {
	mu     sync.Mutex
	passed int64  // guarded by mu
	at     int64  // guarded by mu; where hook is called
	hook   func() // guarded by mu; nil once it was called
}

// direction returns the one that the bytes of a file take.
func (r *relay) direction(upload bool) *counted {
	if upload {
		return &r.up
	}
	return &r.down
}

// when has hook called as soon as exactly n bytes were passed on. Until it
// returns, no more are.
func (c *counted) when(n int64, hook func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.hook = n, hook
}

// count returns how many bytes were passed on.
func (c *counted) count() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.passed
}

// room returns how many of n bytes may be passed on at once.
func (c *counted) room(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hook == nil {
		return n
	}
	return int(min(int64(n), c.at-c.passed))
}

// add notes that n bytes were passed on.
func (c *counted) add(n int) {
	c.mu.Lock()
	c.passed += int64(n)
	hook := c.hook
	if c.passed < c.at {
		hook = nil
	} else {
		c.hook = nil
	}
	c.mu.Unlock()
	if hook != nil {
		hook()
	}
}

func startRelay(t *testing.T, server string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{address: l.Addr().String(), server: server, listener: l}
	r.running.Go(r.accept) // ends with the listener
	t.Cleanup(r.close)
	return r
}

// hold passes on exactly n bytes in the direction of the file, and holds back
// the others until release is called, or the relay is closed.
func (r *relay) hold(upload bool, n int64) (reached <-chan struct{}, release func()) {
	held, released := make(chan struct{}), make(chan struct{})
	release = sync.OnceFunc(func() { close(released) })
	r.releases = append(r.releases, release)
	r.direction(upload).when(n, func() { close(held); <-released })
	return held, release
}

// close ends all connections.
func (r *relay) close() {
	for _, release := range r.releases {
		release()
	}
	r.listener.Close()
	r.mu.Lock()
	r.closed = true
	for _, nc := range r.conns {
		nc.Close()
	}
	r.mu.Unlock()
	r.running.Wait()
}

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", r.server)
		if err != nil {
			client.Close()
			continue
		}
		r.mu.Lock()
		r.conns = append(r.conns, client, server)
		if r.closed {
			client.Close()
			server.Close()
		}
		r.mu.Unlock()
		// These end with their connection.
		r.running.Go(func() { r.up.pass(server.(*net.TCPConn), client.(*net.TCPConn)) })
		r.running.Go(func() { r.down.pass(client.(*net.TCPConn), server.(*net.TCPConn)) })
	}
}

// pass passes bytes on until the end.
func (c *counted) pass(to, from *net.TCPConn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf[:c.room(len(buf))])
		if n > 0 {
			if _, failed := to.Write(buf[:n]); failed != nil {
				reset(from)
				return
			}
			c.add(n)
		}
		switch {
		case errors.Is(err, io.EOF):
			to.CloseWrite()
			return
		case err != nil:
			reset(to)
			return
		}
	}
}

func reset(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}
