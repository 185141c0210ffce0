package workload

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
)

// members receive what is broadcast.
type members struct {
	run      *run
	received []tally        // until the last burst: each is owned by its link's goroutine until that is over
	arrived  []atomic.Int64 // by burst, those under way: at how many links it is
	bursts   chan struct{}  // cap Ahead: one is over
	failed   chan error     // cap 1
}

// fanOut returns a phase of broadcasts. At most Ahead bursts are under way.
func (r *run) fanOut() (phase, error) {
	if err := r.far.ready(r.ctx, r.Links); err != nil {
		return nil, err
	}
	m := &members{run: r, received: make([]tally, r.Links), arrived: make([]atomic.Int64, r.Ahead),
		bursts: make(chan struct{}, r.Ahead), failed: make(chan error, 1)}
	for i, l := range r.links {
		r.running.Go(func() { m.receive(i, l) }) // ends with the link, which Run closes
	}
	return m.phase, nil
}

func (m *members) receive(n int, l contestant.Link) {
	burst := uint64(m.run.Burst)
	var t tally
	for {
		msg, err := l.Receive()
		if err != nil {
			select {
			case m.failed <- fmt.Errorf("member %d, after %d messages: %w", n+1, t.Messages, err):
			default:
			}
			return
		}
		t.add(msg)
		if t.Messages%burst != 0 {
			continue
		}
		m.received[n] = t
		// The burst that is Ahead before this one is over, so the counter is free.
		counter := &m.arrived[(t.Messages/burst-1)%uint64(len(m.arrived))]
		if counter.Add(1) == int64(m.run.Links) {
			counter.Store(0)
			m.bursts <- struct{}{}
		}
	}
}

func (m *members) phase(d time.Duration) (uint64, time.Duration, error) {
	r := m.run
	stop := after(d)
	began := time.Now()
	var broadcasts uint64
	for underWay := 0; broadcasts == 0 || underWay > 0 || !stop.Load(); {
		if underWay < r.Ahead && (broadcasts == 0 || !stop.Load()) {
			if err := r.far.broadcast(r.Burst); err != nil {
				return 0, 0, err
			}
			broadcasts += uint64(r.Burst)
			underWay++
			continue
		}
		select {
		case <-m.bursts:
			underWay--
		case err := <-m.failed:
			_, cause := r.far.sent()
			return 0, 0, errors.Join(cause, err)
		case <-r.ctx.Done():
			return 0, 0, context.Cause(r.ctx)
		}
	}
	took := time.Since(began)
	sent, err := r.far.sent()
	if err != nil {
		return 0, 0, err
	}
	for i, t := range m.received {
		if err := different(fmt.Sprintf("member %d", i+1), sent, t); err != nil {
			return 0, 0, err
		}
	}
	return broadcasts * uint64(r.Links), took, nil
}
