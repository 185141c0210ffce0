package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// progress shows how it goes, in one line after the other, and looks for peaks.
type progress struct {
	soaking *soaking
	ended   chan struct{}
	running sync.WaitGroup

	mu  sync.Mutex
	out io.Writer // guarded by mu

	// Owned by the goroutine that ticks, and by others when it has ended.
	peak            pair
	last            time.Time
	messages, bytes int64         // at last
	cpu             time.Duration // at last, of the clients and of the server of then
	server          *child        // at last
}

func newProgress(s *soaking, out io.Writer) *progress {
	return &progress{soaking: s, out: out, ended: make(chan struct{})}
}

// sampleInterval is between two looks at what is used.
const sampleInterval = time.Second

// start begins to show.
func (p *progress) start() {
	p.last = time.Now()
	p.running.Go(func() { // ends with stop
		ticks := time.NewTicker(sampleInterval)
		defer ticks.Stop()
		for {
			select {
			case <-ticks.C:
				p.tick()
			case <-p.ended:
				return
			}
		}
	})
}

func (p *progress) stop() {
	close(p.ended)
	p.running.Wait()
}

// event prints a line of its own.
func (p *progress) event(format string, args ...any) {
	elapsed := time.Since(p.soaking.began).Round(time.Second)
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "%v  %s\n", elapsed, fmt.Sprintf(format, args...))
}

// tick looks at what is used, and prints how it goes when it is time to.
func (p *progress) tick() {
	s := p.soaking
	c := s.fleet.at.Load()
	now := currentUsage(s.fleet.open.Load())
	p.peak.clients = p.peak.clients.most(now)
	inServer := "is down"
	cpu := now.CPU
	if u, err := c.ask(orderUsage); err == nil {
		p.peak.server = p.peak.server.most(u.usage)
		cpu += u.CPU
		inServer = fmt.Sprintf("heap %s, %d goroutines, %d descriptors", bytesText(u.Heap), u.Goroutines, u.Descriptors)
	}
	passed := time.Since(p.last)
	if passed < s.cfg.progress {
		return
	}
	t, _, wrong := s.books.snapshot()
	messages, bytes := s.fleet.traffic.messages.Load(), s.fleet.traffic.bytes.Load()
	cores := "?" // of another server, or of none
	if c == p.server && cpu > p.cpu {
		cores = fmt.Sprintf("%.2f", (cpu-p.cpu).Seconds()/passed.Seconds())
	}
	p.event("%d connections, %.0f messages/s, %s/s, %s cores; ends: %s; dials failed: %s; server: %s; %d restarts, %d kills; %d wrong",
		now.Open, float64(messages-p.messages)/passed.Seconds(), bytesText(int64(float64(bytes-p.bytes)/passed.Seconds())), cores,
		kindsText(t.clients), kindsText(s.fleet.failures.snapshot()), inServer, s.graceful.Load(), s.kills.Load(), wrong)
	p.last, p.messages, p.bytes, p.cpu, p.server = time.Now(), messages, bytes, cpu, c
}

// kindsText lists the kinds but clean, by name.
func kindsText(counts map[string]uint64) string {
	var list []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		if kind != clean {
			list = append(list, fmt.Sprintf("%s %d", kind, counts[kind]))
		}
	}
	if list == nil {
		return "none"
	}
	return strings.Join(list, ", ")
}

// bytesText is a number of bytes in a unit that suits it.
func bytesText(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
