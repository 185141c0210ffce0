package contestant

import (
	"context"
	"fmt"
	"sync"
)

// usualHub is the hub that everybody writes, and that the chat example of
// gorilla/websocket is: a set of members, and for each a goroutine that reads,
// one that writes, and a buffered channel of what it is to write. T is the form
// in which all are sent the same message.
type usualHub[T any] struct {
	queue   int
	prepare func([]byte) (T, error)
	send    func(Link, T) error

	mu      sync.Mutex
	members map[Link]chan T // guarded by mu
	changed chan struct{}   // guarded by mu; closed when a member has joined
}

// startUsualHub starts a hub on what listen starts.
func startUsualHub[T any](s Settings, listen func(Settings, func(Link)) (*Host, error),
	prepare func([]byte) (T, error), send func(Link, T) error) (*Host, Hub, error) {
	h := &usualHub[T]{queue: s.Queue, prepare: prepare, send: send,
		members: map[Link]chan T{}, changed: make(chan struct{})}
	host, err := listen(s, h.handle)
	return host, h, err
}

// plainHub is the usual hub, whose members are sent the message itself.
func plainHub(listen func(Settings, func(Link)) (*Host, error)) func(Settings) (*Host, Hub, error) {
	return func(s Settings) (*Host, Hub, error) {
		return startUsualHub(s, listen,
			func(msg []byte) ([]byte, error) { return msg, nil },
			Link.Send)
	}
}

func (h *usualHub[T]) handle(l Link) {
	queue := make(chan T, h.queue)
	h.mu.Lock()
	h.members[l] = queue
	close(h.changed)
	h.changed = make(chan struct{})
	h.mu.Unlock()

	var writing sync.WaitGroup
	writing.Go(func() { // ends when queue is closed, below
		h.write(l, queue)
	})
	for {
		if _, err := l.Receive(); err != nil {
			break
		}
	}
	h.mu.Lock()
	delete(h.members, l)
	close(queue)
	h.mu.Unlock()
	l.Close()
	writing.Wait()
}

// write sends what is queued, and flushes when no more is.
func (h *usualHub[T]) write(l Link, queue <-chan T) {
	for msg := range queue {
		err := h.send(l, msg)
		if err == nil && len(queue) == 0 {
			err = l.Flush()
		}
		if err != nil {
			l.Close() // which ends handle
		}
	}
}

// Ready is that of Hub.
func (h *usualHub[T]) Ready(ctx context.Context, n int) error {
	for {
		h.mu.Lock()
		members, changed := len(h.members), h.changed
		h.mu.Unlock()
		if members >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d members, %d have come: %w", n, members, context.Cause(ctx))
		}
	}
}

// Broadcast is that of Hub. A member whose queue is full is thrown out, as is
// usual, and is an error, as nothing is to be lost here.
func (h *usualHub[T]) Broadcast(msg []byte) error {
	prepared, err := h.prepare(msg)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for l, queue := range h.members {
		select {
		case queue <- prepared:
		default:
			go l.Close() // ends soon
			return fmt.Errorf("%d messages wait for a member", len(queue))
		}
	}
	return nil
}
