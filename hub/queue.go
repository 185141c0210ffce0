package hub

import "github.com/tinyproto-go/tinyproto/internal/ring"

// queue is what waits to be sent to one member.
type queue struct {
	messages ring.Ring[[]byte]
	bytes    int
}

func (q *queue) count() int { return q.messages.Len() }

func (q *queue) push(msg []byte) {
	q.messages.Push(msg)
	q.bytes += len(msg)
}

// pop takes the oldest message off. There must be one.
func (q *queue) pop() []byte {
	msg := q.messages.Pop()
	q.bytes -= len(msg)
	return msg
}

func (q *queue) clear() { *q = queue{} }

// fits reports whether size more bytes may wait.
func (q *queue) fits(size int, o *Options) bool {
	return q.count() == 0 || q.count() < o.QueueMessages && q.bytes+size <= o.QueueBytes
}
