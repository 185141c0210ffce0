package workload

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
)

// pingPong is a phase of messages and their echoes, one at a time on each link.
func (r *run) pingPong(d time.Duration) (uint64, time.Duration, error) {
	var total atomic.Uint64
	messages := newRing(r.Size)
	stop := after(d)
	began := time.Now()
	err := r.each(func(_ int, l contestant.Link) error {
		var sent, received tally
		for i := 0; i == 0 || !stop.Load(); i++ {
			msg := messages.at(i)
			if err := exchange(l, msg, &received); err != nil {
				return fmt.Errorf("echo %d: %w", i+1, err)
			}
			sent.add(msg)
		}
		total.Add(sent.Messages)
		return different("echo", sent, received)
	})
	return total.Load(), time.Since(began), err
}

// exchange sends a message and receives its echo.
func exchange(l contestant.Link, msg []byte, received *tally) error {
	if err := l.Send(msg); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	if err := l.Flush(); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	reply, err := l.Receive()
	if err != nil {
		return fmt.Errorf("receiving: %w", err)
	}
	if len(reply) < markSize {
		return fmt.Errorf("a reply of %d bytes to a message of %d", len(reply), len(msg))
	}
	received.add(reply)
	return nil
}

// mostConnects bounds the connections of one phase: each takes one of the ports
// of this machine for a while.
const mostConnects = 20_000

// connects is a phase of connections one after the other, each for a message
// and its echo.
func (r *run) connects(d time.Duration) (uint64, time.Duration, error) {
	var sent, received tally
	messages := newRing(r.Size)
	stop := after(d)
	began := time.Now()
	for i := 0; i == 0 || !stop.Load() && i < mostConnects; i++ {
		msg := messages.at(i)
		if err := r.connect(msg, &received); err != nil {
			return 0, 0, fmt.Errorf("connection %d: %w", i+1, err)
		}
		sent.add(msg)
	}
	return sent.Messages, time.Since(began), different("echo", sent, received)
}

func (r *run) connect(msg []byte, received *tally) error {
	l, err := r.dial(0)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := r.keep(l, false); err != nil {
		return err
	}
	return exchange(l, msg, received)
}
