package hub

import (
	"runtime"
	"sync"
)

// senders are the goroutines that have the members' connections send what is
// queued: as many as can run at once, and none while there is nothing to do. The
// run queue is of the members that have something for a connection that found
// nothing before, each once: what is queued for one meanwhile goes with it, in one
// write.
type senders struct {
	most int // immutable: how many there may be

	mu          sync.Mutex
	idle        sync.Cond // signals that none is running
	first, last *Member   // guarded by mu: the run queue
	running     int       // guarded by mu
}

func (s *senders) init() {
	s.most = runtime.GOMAXPROCS(0)
	s.idle.L = &s.mu
}

// list reports whether m is to be added to the run queue, by the caller. mu is held.
func (m *Member) list() bool {
	if m.listed {
		return false
	}
	m.listed = true
	return true
}

// add adds members to the run queue, n of them from first to last. It may be called
// with any lock held.
func (s *senders) add(first, last *Member, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.first = first
	} else {
		s.last.next = first
	}
	s.last = last
	for range min(n, s.most-s.running) { // those that run may be busy for long
		s.running++
		go s.run() // ends when nothing is left to do, which the hub's Run waits for
	}
}

// run serves members until none is waiting.
func (s *senders) run() {
	for {
		m := s.take()
		if m == nil {
			return
		}
		m.serve()
	}
}

// take takes a member off the run queue. If there is none, the caller's end is
// noted, and nil returned.
func (s *senders) take() *Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.first
	if m == nil {
		if s.running--; s.running == 0 {
			s.idle.Broadcast()
		}
		return nil
	}
	s.first, m.next = m.next, nil
	if s.first == nil {
		s.last = nil
	}
	return m
}

// wait waits until none is running.
func (s *senders) wait() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.running > 0 {
		s.idle.Wait()
	}
}

// serve has the connection send what it can without waiting, and tells the Observer.
func (m *Member) serve() {
	m.mu.Lock()
	m.listed, m.served = false, true
	m.mu.Unlock()
	m.conn.Notify()
	m.tellObserver()
}
