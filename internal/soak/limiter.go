package main

import (
	"math/rand/v2"
	"sync"
	"time"
)

// limiter spreads what all clients do together evenly over time. Its methods
// may be called concurrently.
type limiter struct {
	each time.Duration // for a cost of 1

	mu   sync.Mutex
	next time.Time // when the next one may begin
}

func newLimiter(perSecond float64) *limiter {
	return &limiter{each: time.Duration(float64(time.Second) / perSecond)}
}

// wait waits for its turn, and reports false if over is closed before.
func (l *limiter) wait(cost int, over ...<-chan struct{}) bool {
	l.mu.Lock()
	now := time.Now()
	if l.next.Before(now) {
		l.next = now
	}
	turn := l.next
	l.next = turn.Add(l.each * time.Duration(cost))
	l.mu.Unlock()
	return pause(turn.Sub(now), over...)
}

// reset forgets the turns that are still to come.
func (l *limiter) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = time.Time{}
}

// pause waits, and reports false if one of the first three of over is closed before.
func pause(d time.Duration, over ...<-chan struct{}) bool {
	var o [3]<-chan struct{}
	copy(o[:], over)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-o[0]:
	case <-o[1]:
	case <-o[2]:
	}
	return false
}

// costOf is how many messages one of this size counts for.
func costOf(size int) int { return 1 + size>>16 }

// upTo draws a time below d.
func upTo(rng *rand.Rand, d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }
