package main

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
)

// counting numbers the messages, and expects the peer's numbers to grow: each
// message is encoded once and decoded once, and in order.
type counting struct {
	w           *world
	busy        atomic.Bool
	out, latest uint32
}

func (c *counting) enter() func() {
	if c.busy.Swap(true) {
		c.w.violate("two methods of one Transform were called at once")
	}
	return func() { c.busy.Store(false) }
}

func (c *counting) Encode(dst, src []byte) ([]byte, error) {
	defer c.enter()()
	c.out++
	return append(binary.BigEndian.AppendUint32(dst, c.out), src...), nil
}

func (c *counting) Decode(dst, src []byte, _ int) ([]byte, error) {
	defer c.enter()()
	if len(src) < 4 {
		return nil, fmt.Errorf("sim: %d bytes to decode, expected at least 4", len(src))
	}
	n := binary.BigEndian.Uint32(src)
	if n <= c.latest { // some may be missing: they were refused
		return nil, fmt.Errorf("sim: message %d to decode after %d", n, c.latest)
	}
	c.latest = n
	return append(dst, src[4:]...), nil
}

// flipping changes every byte, so that what was not decoded shows.
type flipping struct{}

func (flipping) Encode(dst, src []byte) ([]byte, error) { return flip(dst, src), nil }

func (flipping) Decode(dst, src []byte, _ int) ([]byte, error) { return flip(dst, src), nil }

func flip(dst, src []byte) []byte {
	for _, b := range src {
		dst = append(dst, ^b)
	}
	return dst
}
