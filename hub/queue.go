package hub

import (
	"math/bits"
	"sync"
)

// queue is what waits to be sent to one member: a ring that grows when it has to.
// While it is empty it keeps no more than leastSlots.
type queue struct {
	*slots     // nil at first
	first  int // the oldest message
	length int // of the queue
	bytes  int // of all messages
}

// slots is room for messages. Their number is a power of two.
type slots struct {
	ring [][]byte
}

// leastSlots is the smallest number of slots, which are not shared.
const leastSlots = 8

// spareSlots are empty, for the next queue that grows: queues that fill and empty
// all the time would leave a lot of garbage. The index is the logarithm of their
// number.
var spareSlots [bits.UintSize]sync.Pool

func newSlots(n int) *slots {
	if s, ok := spareSlots[bits.Len(uint(n))].Get().(*slots); ok {
		return s
	}
	return &slots{make([][]byte, n)}
}

// giveBack makes slots, which are empty, available to other queues.
func (s *slots) giveBack() {
	if s != nil && len(s.ring) > leastSlots {
		spareSlots[bits.Len(uint(len(s.ring)))].Put(s)
	}
}

func (q *queue) count() int { return q.length }

func (q *queue) push(msg []byte) {
	switch {
	case q.slots == nil:
		q.slots = newSlots(leastSlots)
	case q.length == len(q.ring):
		q.grow()
	}
	q.ring[(q.first+q.length)&(len(q.ring)-1)] = msg
	q.length++
	q.bytes += len(msg)
}

func (q *queue) grow() {
	old := q.slots
	q.slots = newSlots(2 * len(old.ring))
	n := copy(q.ring, old.ring[q.first:])
	copy(q.ring[n:], old.ring[:q.first])
	clear(old.ring)
	old.giveBack()
	q.first = 0
}

// pop takes the oldest message off. There must be one.
func (q *queue) pop() []byte {
	msg := q.ring[q.first]
	q.ring[q.first] = nil
	q.first = (q.first + 1) & (len(q.ring) - 1)
	q.length--
	q.bytes -= len(msg)
	if q.length == 0 && len(q.ring) > leastSlots {
		q.slots.giveBack()
		*q = queue{}
	}
	return msg
}

func (q *queue) clear() { *q = queue{} }

// fits reports whether size more bytes may wait.
func (q *queue) fits(size int, o *Options) bool {
	return q.length == 0 || q.length < o.QueueMessages && q.bytes+size <= o.QueueBytes
}
