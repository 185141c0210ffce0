package faultproxy

import (
	"math"
	"math/rand/v2"
	"time"
)

// plan is what happens to one direction of one connection, by the number of the
// byte at which it happens.
type plan struct {
	faults    Faults
	random    *rand.Rand // for places, which must not depend on how the bytes come
	timing    *rand.Rand // for the rest
	corrupt   int64      // the next byte that is changed
	reset     int64      // the byte before which the connection is reset
	blackHole int64      // the byte from which nothing is forwarded
	halfClose int64      // the byte before which this direction ends
}

// never is behind the last byte of any connection.
const never = math.MaxInt64

func newPlan(f Faults, seed, number uint64) *plan {
	p := &plan{faults: f, random: rand.New(rand.NewPCG(seed, number)), timing: rand.New(rand.NewPCG(^seed, number))}
	p.reset = p.place(f.Reset)
	p.blackHole = p.place(f.BlackHole)
	p.corrupt = p.place(f.Corrupt)
	p.halfClose = p.place(f.HalfClose)
	return p
}

// place draws a place, average bytes from here on average.
func (p *plan) place(average int64) int64 {
	if average <= 0 {
		return never
	}
	return int64(p.random.ExpFloat64() * float64(average))
}

// corruption changes bits of piece, which begins at byte offset, and returns how many.
func (p *plan) corruption(piece []byte, offset int64) (changed int64) {
	for p.corrupt < offset+int64(len(piece)) {
		piece[p.corrupt-offset] ^= 1 << p.random.IntN(8)
		p.corrupt += 1 + p.place(p.faults.Corrupt)
		changed++
	}
	return changed
}

// piece is how many of n bytes are forwarded next.
func (p *plan) piece(n int) int {
	if p.faults.Split <= 0 {
		return n
	}
	return min(n, 1+p.timing.IntN(p.faults.Split))
}

// delay is how long the next piece waits.
func (p *plan) delay() time.Duration {
	if p.faults.Delay <= 0 {
		return 0
	}
	return time.Duration(p.timing.Int64N(int64(p.faults.Delay) + 1))
}
