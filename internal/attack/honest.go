package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tinyproto-go/tinyproto"
)

const (
	regularClients = 4                     // keep their connection
	newcomers      = 4                     // open a new one for each request
	honestConns    = 2 * newcomers         // may be open at once: the server sees an end a little later
	honestSize     = 100                   // bytes of a request, and of the reply
	honestPause    = 5 * time.Millisecond  // between the requests of a regular client
	newcomerPause  = 25 * time.Millisecond // between the visits of a newcomer
	honestPatience = 30 * time.Second      // for a reply
	newcomerTime   = 10 * time.Second      // for a visit
)

// dialer opens an honest connection, whose life is ctx.
type dialer func(ctx context.Context) (*tinyproto.Conn, error)

// honest are the clients that a server is there for. Regular ones keep a
// connection and ask again and again, newcomers come, ask and go.
type honest struct {
	cancel            context.CancelFunc
	ended             sync.WaitGroup
	regular, newcomer group
}

// startHonest connects the clients. They go on until stop.
func startHonest(ctx context.Context, dial dialer) (*honest, error) {
	ctx, cancel := context.WithCancel(ctx)
	h := &honest{cancel: cancel}
	for range regularClients {
		c, err := dial(ctx)
		if err != nil {
			h.stop()
			return nil, err
		}
		h.ended.Go(func() { // ends with ctx, or with its connection
			defer c.Close()
			for h.regular.time(ctx, func() error { return ask(ctx, c) }) == nil {
				pause(ctx, honestPause)
			}
		})
	}
	for range newcomers {
		h.ended.Go(func() { // ends with ctx
			for ctx.Err() == nil {
				h.newcomer.time(ctx, func() error { return visit(ctx, dial) })
				pause(ctx, newcomerPause)
			}
		})
	}
	return h, nil
}

// served reports whether there was a reply, or a failure, of each kind of
// clients since take was last called.
func (h *honest) served() bool {
	for _, g := range []*group{&h.regular, &h.newcomer} {
		g.mu.Lock()
		n := len(g.now.replies) + g.now.failed
		g.mu.Unlock()
		if n == 0 {
			return false
		}
	}
	return true
}

func (h *honest) stop() {
	h.cancel()
	h.ended.Wait()
}

// visit is all that a newcomer does.
func visit(ctx context.Context, dial dialer) error {
	ctx, cancel := context.WithTimeout(ctx, newcomerTime)
	defer cancel()
	c, err := dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return ask(ctx, c)
}

// ask sends a request and receives its reply.
func ask(ctx context.Context, c *tinyproto.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, honestPatience)
	defer cancel()
	request := bytes.Repeat([]byte{askEcho}, honestSize)
	if err := c.Send(ctx, request); err != nil {
		return err
	}
	reply, err := c.Receive(ctx)
	if err == nil && !bytes.Equal(reply, request) {
		err = errors.New("the reply is not the request")
	}
	return err
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// group is how some clients fare.
type group struct {
	mu      sync.Mutex
	now     sample                  // guarded by mu
	waiting map[*time.Time]struct{} // guarded by mu: since when, of each request in progress
}

// sample is how some clients fared for a while.
type sample struct {
	replies []time.Duration // how long each took
	longest time.Duration   // of these, and of the requests that are in progress
	failed  int             // requests that were not replied to
	refused int             // of these, those turned away with CONLIMIT
	err     error           // of the first that failed otherwise
}

// time times a request.
func (g *group) time(ctx context.Context, request func() error) error {
	began := time.Now()
	g.mu.Lock()
	if g.waiting == nil {
		g.waiting = map[*time.Time]struct{}{}
	}
	g.waiting[&began] = struct{}{}
	g.mu.Unlock()
	err := request()
	took := time.Since(began)
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.waiting, &began)
	s := &g.now
	switch {
	case err == nil:
		s.replies = append(s.replies, took)
		s.longest = max(s.longest, took)
	case ctx.Err() != nil: // they were told to stop
	default:
		s.failed++
		if errors.Is(err, tinyproto.ErrConnLimit) {
			s.refused++
		} else if s.err == nil {
			s.err = err
		}
	}
	return err
}

// take returns how the clients have fared since it was last called.
func (g *group) take() sample {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.now
	g.now = sample{}
	for began := range g.waiting {
		s.longest = max(s.longest, time.Since(*began))
	}
	return s
}

// quantile is the latency that a share q of the replies did not exceed, 0 if
// there were none.
func (s sample) quantile(q float64) time.Duration {
	if len(s.replies) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s.replies))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
