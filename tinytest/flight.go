package tinytest

import (
	"math/rand/v2"
	"slices"
	"time"
)

// flight is what is on its way in one direction of a connection, in its order.
// It is guarded by Network.mu.
type flight struct {
	segments []segment
	freeAt   time.Time // when the bandwidth is free again
	random   *rand.Rand

	timer   *time.Timer // for the first segment
	timerAt time.Time
}

// segment is what travels together.
type segment struct {
	kind kind
	data []byte
	at   time.Time // when it arrives, if nothing is before it and nothing holds it
}

type kind uint8

const (
	payload kind = iota
	end
	reset
)

// limitedSegment is how much travels together where it takes its time.
const limitedSegment = 1460

// send cuts p into segments, and decides when they arrive.
func (f *flight) send(p []byte, c Conditions) {
	data := slices.Clone(p)
	for len(data) > 0 {
		n := len(data)
		switch {
		case c.MaxSegment > 0:
			n = min(n, 1+f.random.IntN(c.MaxSegment))
		case c.Bandwidth > 0:
			n = min(n, limitedSegment)
		}
		if c.Bandwidth > 0 {
			if now := time.Now(); f.freeAt.Before(now) {
				f.freeAt = now
			}
			f.freeAt = f.freeAt.Add(time.Duration(float64(n) / float64(c.Bandwidth) * float64(time.Second)))
		}
		f.append(segment{kind: payload, data: data[:n]}, c)
		data = data[n:]
	}
}

// signal sends something that takes no room.
func (f *flight) signal(k kind, c Conditions) { f.append(segment{kind: k}, c) }

func (f *flight) append(seg segment, c Conditions) {
	at := time.Now()
	if f.freeAt.After(at) {
		at = f.freeAt
	}
	at = at.Add(c.Latency)
	if c.Jitter > 0 {
		at = at.Add(time.Duration(f.random.Int64N(int64(c.Jitter) + 1)))
	}
	seg.at = at // or later: the order is kept
	f.segments = append(f.segments, seg)
}

// next returns the first segment, if it is due.
func (f *flight) next(now time.Time) (segment, bool) {
	if len(f.segments) == 0 || f.segments[0].at.After(now) {
		return segment{}, false
	}
	seg := f.segments[0]
	f.segments = f.segments[1:]
	return seg, true
}

// wake sees to it that s advances when its first segment is due.
func (f *flight) wake(s *stream) {
	if len(f.segments) == 0 || f.segments[0].at.Equal(f.timerAt) {
		return
	}
	f.timerAt = f.segments[0].at
	d := time.Until(f.timerAt)
	if f.timer != nil {
		f.timer.Reset(d)
		return
	}
	f.timer = time.AfterFunc(d, func() {
		mu := &s.link.net.mu
		mu.Lock()
		defer mu.Unlock()
		f.timerAt = time.Time{}
		s.advance()
	})
}

// takeBack removes up to n bytes that were sent last, and returns how many.
func (f *flight) takeBack(n int) int {
	left := n
	for i := len(f.segments) - 1; i >= 0 && left > 0; i-- {
		seg := &f.segments[i]
		cut := min(left, len(seg.data))
		seg.data = seg.data[:len(seg.data)-cut]
		left -= cut
		if seg.kind == payload && len(seg.data) == 0 {
			f.segments = slices.Delete(f.segments, i, i+1)
		}
	}
	return n - left
}

func (f *flight) discard() {
	f.segments = nil
	if f.timer != nil {
		f.timer.Stop()
	}
	f.timerAt = time.Time{}
}
