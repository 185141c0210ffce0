package hub

// queue is what waits to be sent to one member: a ring that grows when it has
// to, and is given up when it is empty again.
type queue struct {
	ring  [][]byte
	first int
	count int
	bytes int
}

// minRing is the length of a new ring.
const minRing = 8

func (q *queue) push(msg []byte) {
	if q.count == len(q.ring) {
		grown := make([][]byte, max(minRing, 2*q.count))
		n := copy(grown, q.ring[q.first:])
		copy(grown[n:], q.ring[:q.first])
		q.ring, q.first = grown, 0
	}
	q.ring[(q.first+q.count)%len(q.ring)] = msg
	q.count++
	q.bytes += len(msg)
}

// pop takes the oldest message off. There must be one.
func (q *queue) pop() []byte {
	msg := q.ring[q.first]
	q.ring[q.first] = nil
	q.first = (q.first + 1) % len(q.ring)
	q.count--
	q.bytes -= len(msg)
	if q.count == 0 && len(q.ring) > minRing {
		*q = queue{}
	}
	return msg
}

// fits reports whether size more bytes may wait.
func (q *queue) fits(size int, o *Options) bool {
	return q.count == 0 || q.count < o.QueueMessages && q.bytes+size <= o.QueueBytes
}
