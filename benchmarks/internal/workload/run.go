package workload

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
)

// Plan is how workloads are run.
type Plan struct {
	// Duration is how long one run takes, or a little longer: what is under
	// way is waited for. There is a warm-up of a tenth of it before.
	Duration time.Duration

	// Processes is 2 for the two ends of links to be in two processes.
	Processes int
}

// patience is how much longer than its duration a run may take.
const patience = time.Minute

// Run has a contestant do the task once, and returns the result in the
// workload's unit. It fails if a message is lost, changed or out of order.
func (w *Workload) Run(ctx context.Context, c *contestant.Contestant, p Plan) (result float64, err error) {
	limit := p.Duration + patience
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it was not over after %v", limit))
	defer cancel()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = errors.Join(context.Cause(ctx), err)
		}
	}()
	far, err := startFar(ctx, w, c, p)
	if err != nil {
		return 0, fmt.Errorf("starting the end that is dialled: %w", err)
	}
	r := &run{Workload: w, contestant: c, far: far, ctx: ctx}
	stop := context.AfterFunc(ctx, r.close)
	defer func() {
		stop()
		r.close()
		r.running.Wait()
		if ended := far.stop(); err == nil && ended != nil {
			err = fmt.Errorf("stopping the end that is dialled: %w", ended)
		}
	}()
	if w.Kind == contestant.Idle {
		return r.idle()
	}
	phase, err := r.prepare()
	if err != nil {
		return 0, err
	}
	runtime.GC() // what was there before is nobody's fault
	if _, _, err := phase(p.Duration / 10); err != nil {
		return 0, fmt.Errorf("warm-up: %w", err)
	}
	n, took, err := phase(p.Duration)
	return float64(n) / took.Seconds(), err
}

// run is a workload on its way.
type run struct {
	*Workload
	contestant *contestant.Contestant
	far        far
	ctx        context.Context
	running    sync.WaitGroup // of what ends with the links

	mu     sync.Mutex
	closed bool              // guarded by mu
	links  []contestant.Link // guarded by mu until all are dialled
}

// phase does the task for some time, and returns how much was done and how long
// it took until all of that had arrived.
type phase func(time.Duration) (n uint64, took time.Duration, err error)

// prepare makes what the task needs.
func (r *run) prepare() (phase, error) {
	if r.Kind == contestant.Connects {
		return r.connects, nil
	}
	if err := r.dialAll(); err != nil {
		return nil, err
	}
	switch r.Kind {
	case contestant.PingPong:
		return r.pingPong, nil
	case contestant.OneWay:
		return r.oneWay(), nil
	case contestant.Duplex:
		return r.duplex(), nil
	case contestant.FanOut:
		return r.fanOut()
	}
	return nil, fmt.Errorf("no kind of workload is called %q", r.Kind)
}

func (r *run) dialAll() error {
	for i := range r.Links {
		l, err := r.dial(i)
		if err != nil {
			return fmt.Errorf("link %d of %d: %w", i+1, r.Links, err)
		}
		if err := r.keep(l, true); err != nil {
			return err
		}
	}
	return nil
}

// keep sees to it that close closes l, beside the links before or instead of them.
func (r *run) keep(l contestant.Link, beside bool) error {
	r.mu.Lock()
	if !beside {
		r.links = r.links[:0]
	}
	r.links = append(r.links, l)
	closed := r.closed
	r.mu.Unlock()
	if closed {
		l.Close()
		return context.Cause(r.ctx)
	}
	return nil
}

func (r *run) dial(n int) (contestant.Link, error) {
	l, err := r.contestant.Dial(r.ctx, r.Settings, r.far.address(), n)
	if err != nil {
		return nil, fmt.Errorf("dialling: %w", err)
	}
	return l, nil
}

// close ends all links, which ends all that waits for them.
func (r *run) close() {
	r.mu.Lock()
	r.closed = true
	links := slices.Clone(r.links)
	r.mu.Unlock()
	for _, l := range links {
		l.Close()
	}
}

// each calls f for every link, each in a goroutine of its own. When one fails it
// closes all links, so that the others end as well, and returns that error.
func (r *run) each(f func(n int, l contestant.Link) error) error {
	var running sync.WaitGroup
	var first error
	var once sync.Once
	for i, l := range r.links {
		running.Go(func() { // ends with f, which ends with the link
			if err := f(i, l); err != nil {
				once.Do(func() { // before the others fail because of it
					first = err
					r.close()
				})
			}
		})
	}
	running.Wait()
	return first
}

// after returns what becomes true after d.
func after(d time.Duration) *atomic.Bool {
	var over atomic.Bool
	time.AfterFunc(d, func() { over.Store(true) })
	return &over
}
