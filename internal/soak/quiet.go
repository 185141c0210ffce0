package main

import (
	"fmt"
	"time"
)

// boundPerConnection is how much memory a connection of the server may take, by
// README.md: what the peer sends, and what is sent to it, both with the
// largest messages.
const boundPerConnection = (inboxBuffer+2)*maxMessage + (outboxBuffer+2)*maxMessage

// startServer starts the next server and tells the clients where it is.
func (s *soaking) startServer() error {
	s.started++
	c, err := startServer(&s.cfg, s.started, s.dir, s.stderr, s.books.guest)
	if err != nil {
		return err
	}
	s.server = c
	s.fleet.at.Store(c)
	return nil
}

// collect returns what both processes use after a collection, and what the
// server counted.
func (s *soaking) collect() (pair, counters, error) {
	u, err := s.server.ask(orderCollect)
	if err != nil {
		return pair{}, counters{}, err
	}
	return pair{u.usage, collectedUsage(s.fleet.open.Load())}, u.Counters, nil
}

// settleTime is how long what is left of the connections may take to go when
// the last client has: a server waits for the ends of its clients for 1 s, and
// for silent ones longer.
var settleTime = 20 * time.Second

// quiet is a quiet point: all clients have left. The first one is after the
// warm-up; at the others, what is used must be what was used then.
func (s *soaking) quiet() error {
	if s.quiets == 0 {
		return s.settleDown()
	}
	deadline := time.Now().Add(settleTime)
	for {
		u, counted, err := s.collect()
		if err != nil {
			return err
		}
		inServer := u.server.leaks(s.before.server, s.cfg.connections)
		inClients := u.clients.leaks(s.before.clients, s.cfg.connections)
		if len(inServer)+len(inClients) > 0 && time.Now().Before(deadline) {
			time.Sleep(quietInterval)
			continue
		}
		for _, l := range inServer {
			s.books.fault("quiet point %d: server %d: %s", s.quiets, s.server.number, l)
		}
		for _, l := range inClients {
			s.books.fault("quiet point %d: clients: %s", s.quiets, l)
		}
		s.passed(u, counted)
		return nil
	}
}

// quietInterval is between two looks at what is left.
const quietInterval = 100 * time.Millisecond

// settleDown waits until what is used does not change any more, which is what
// the other quiet points are compared with.
func (s *soaking) settleDown() error {
	deadline := time.Now().Add(settleTime)
	steady := 0
	var last pair
	for {
		u, counted, err := s.collect()
		if err != nil {
			return err
		}
		if steady++; u.server.Goroutines != last.server.Goroutines || u.server.Descriptors != last.server.Descriptors ||
			u.clients.Goroutines != last.clients.Goroutines || u.clients.Descriptors != last.clients.Descriptors || u.server.Open > 0 {
			steady = 0
		}
		last = u
		if steady < 3 && time.Now().Before(deadline) {
			time.Sleep(quietInterval)
			continue
		}
		if u.server.Open > 0 {
			s.books.fault("warm-up: %d connections are open after %v, or their ends not accounted for", u.server.Open, settleTime)
		}
		s.before = u
		s.passed(u, counted)
		return nil
	}
}

// passed is the end of a quiet point.
func (s *soaking) passed(u pair, counted counters) {
	s.quiets++
	s.after = u
	s.books.settle(s.server.number, counted, s.server.failedDials.Load())
	s.show.event("quiet point %d: server: heap %s, %d goroutines, %d descriptors; clients: heap %s, %d goroutines, %d descriptors",
		s.quiets, bytesText(u.server.Heap), u.server.Goroutines, u.server.Descriptors,
		bytesText(u.clients.Heap), u.clients.Goroutines, u.clients.Descriptors)
}

// restart ends the server, in turn gracefully and not, and starts another one,
// which the clients have to find.
func (s *soaking) restart() error {
	old := s.server
	graceful := s.graceful.Load() <= s.kills.Load()
	var counted counters
	if graceful {
		var err error
		if counted, err = old.end(); err != nil {
			return err
		}
		s.graceful.Add(1)
	} else {
		old.kill()
		s.kills.Add(1)
		s.books.killed(old.number)
	}
	s.used += old.cpu()
	if err := s.startServer(); err != nil {
		return err
	}
	how := map[bool]string{true: "ended gracefully", false: "was killed"}[graceful]
	s.show.event("server %d %s; here is server %d", old.number, how, s.server.number)
	if err := s.awaitVisits(old); err != nil {
		return err
	}
	if graceful {
		s.books.settle(old.number, counted, old.failedDials.Load())
	} else {
		s.books.late(old.number)
	}
	return nil
}

// awaitVisits waits until all clients of a server that has ended have noticed.
func (s *soaking) awaitVisits(old *child) error {
	for deadline := time.Now().Add(2 * patience); old.visits.Load() > 0; time.Sleep(quietInterval) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d clients have not noticed that server %d has ended, in %v", old.visits.Load(), old.number, 2*patience)
		}
	}
	return nil
}

// finish ends the last server, which has no connections any more.
func (s *soaking) finish() error {
	counted, err := s.server.end()
	if err != nil {
		return err
	}
	s.used += s.server.cpu()
	s.books.settle(s.server.number, counted, s.server.failedDials.Load())
	return nil
}
