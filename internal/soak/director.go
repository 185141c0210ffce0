package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// soaking is a run of the soak, and what it has found so far.
type soaking struct {
	cfg    config
	dir    string // for sockets and files
	stderr io.Writer
	show   *progress
	fleet  *fleet
	books  *books
	began  time.Time

	started  int           // servers
	server   *child        // the last of them
	start    pair          // before the first connection
	before   pair          // after the warm-up
	after    pair          // at the last quiet point
	loaded   pair          // the most under load, after a collection
	quiets   int           // quiet points
	used     time.Duration // CPU time of servers that have ended
	graceful atomic.Int32  // restarts
	kills    atomic.Int32
}

// pair is the usage of both processes.
type pair struct{ server, clients usage }

func (p pair) most(q pair) pair { return pair{p.server.most(q.server), p.clients.most(q.clients)} }

// soak runs it all.
func soak(ctx context.Context, cfg config, stdout, stderr io.Writer) error {
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &soaking{cfg: cfg, dir: dir, stderr: stderr, books: newBooks(), began: time.Now()}
	s.fleet = &fleet{
		connections: cfg.connections,
		stay:        min(max(cfg.duration/30, 300*time.Millisecond), time.Minute),
		patience:    cfg.patience,
		seed:        cfg.seed,
		turns:       newLimiter(cfg.rate),
		dials:       newLimiter(dialsPerSecond),
		books:       s.books,
		dir:         dir,
	}
	s.show = newProgress(s, stdout)
	s.show.event("seed %d, %d connections for %v", cfg.seed, cfg.connections, cfg.duration)
	if err := s.startServer(); err != nil {
		return err
	}
	defer func() { s.server.kill() }() // which does nothing after its end
	if s.start, _, err = s.collect(); err != nil {
		return err
	}
	err = s.direct(ctx)
	s.show.stop()
	_, reasons, wrong := s.books.snapshot()
	s.summarize(stdout)
	if err == nil && wrong == 0 {
		return nil
	}
	fmt.Fprintln(stdout)
	for _, r := range reasons {
		fmt.Fprintln(stdout, "WRONG:", r)
	}
	if wrong > 0 {
		err = errors.Join(err, fmt.Errorf("%d things do not reconcile", wrong))
	}
	return err
}

// direct is the order of events: a warm-up, and then load, with restarts and
// quiet points in turn. An error means that it can't go on.
func (s *soaking) direct(ctx context.Context) error {
	s.show.start()
	left := s.cfg.duration
	// load lets the clients do as they like for a while, if there is time left.
	load := func(d time.Duration) error {
		d = min(d, left)
		left -= d
		return s.load(ctx, d)
	}
	warmUp := min(s.cfg.duration/6, time.Minute)
	for half := warmUp; ; half = s.cfg.restart / 2 {
		s.fleet.start()
		err := load(half)
		if err == nil && s.quiets > 0 && left > 0 && ctx.Err() == nil {
			if err = s.restart(); err == nil {
				err = load(half)
			}
		}
		if err = errors.Join(err, s.fleet.stop()); err == nil {
			err = s.quiet()
		}
		if err != nil {
			return err
		}
		if left <= 0 || ctx.Err() != nil {
			return s.finish()
		}
	}
}

// load waits, and then looks at what is used under load.
func (s *soaking) load(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		s.show.event("interrupted: all clients leave")
		return nil
	case <-s.server.died:
		return fmt.Errorf("server %d died: %v", s.server.number, s.server.exit)
	}
	u, _, err := s.collect()
	if err != nil {
		return err
	}
	s.loaded = s.loaded.most(u)
	if n := u.server.Open; n > 0 && (u.server.Heap-s.before.server.Heap)/n > boundPerConnection {
		s.books.fault("the server's heap has %d bytes for each of %d connections, at most %d expected",
			(u.server.Heap-s.before.server.Heap)/n, n, boundPerConnection)
	}
	return nil
}
