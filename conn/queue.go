package conn

// queue is the Sends that wait for their turn, oldest first. It is guarded by
// Conn.mu.
type queue struct {
	head, tail *sending
	// fresh is the first of those that came while the writer might have held
	// a message of the Outbox, so that their turn is not known yet.
	fresh *sending
}

func (q *queue) push(s *sending) {
	s.queued, s.prev, s.next = true, q.tail, nil
	if q.tail == nil {
		q.head = s
	} else {
		q.tail.next = s
	}
	q.tail = s
	if q.fresh == nil {
		q.fresh = s
	}
}

// admit lets the fresh ones go once n messages were taken from the Outbox.
func (q *queue) admit(n uint64) {
	for ; q.fresh != nil; q.fresh = q.fresh.next {
		q.fresh.after = n
	}
}

// ready reports whether it is the oldest Send's turn.
func (q *queue) ready(taken uint64) bool { return q.head != nil && taken >= q.head.after }

// pop takes the oldest Send off as a message to offer.
func (q *queue) pop() outgoing {
	s := q.head
	q.remove(s)
	return outgoing{active: true, body: s.msg, send: s}
}

func (q *queue) remove(s *sending) {
	if q.fresh == s {
		q.fresh = s.next
	}
	if s.prev == nil {
		q.head = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		q.tail = s.prev
	} else {
		s.next.prev = s.prev
	}
	s.queued, s.prev, s.next = false, nil, nil
}
