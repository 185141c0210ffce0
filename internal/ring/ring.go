// Package ring is a queue that keeps its memory while it is in use.
package ring

// Ring is a first-in, first-out queue. The zero value is empty. It is not safe
// for concurrent use.
type Ring[T any] struct {
	items []T // its length is a power of two
	first int
	count int
}

// least is how many items a Ring has room for once it was more than one.
const least = 16

// Len returns how many items there are.
func (r *Ring[T]) Len() int { return r.count }

// Push adds an item at the end. It allocates when the Ring is full.
func (r *Ring[T]) Push(item T) {
	if r.count == len(r.items) {
		room := 1 // which is all that many ever need
		if r.count > 0 {
			room = max(least, 2*r.count)
		}
		grown := make([]T, room)
		n := copy(grown, r.items[r.first:])
		copy(grown[n:], r.items[:r.first])
		r.items, r.first = grown, 0
	}
	r.items[(r.first+r.count)&(len(r.items)-1)] = item
	r.count++
}

// Front returns the oldest item, to be looked at or changed until the next Push
// or Pop. It panics if there is none.
func (r *Ring[T]) Front() *T {
	if r.count == 0 {
		panic("ring: empty")
	}
	return &r.items[r.first]
}

// Pop removes the oldest item and returns it. It panics if there is none.
func (r *Ring[T]) Pop() T {
	front := r.Front()
	item := *front
	*front = *new(T)
	r.first = (r.first + 1) & (len(r.items) - 1)
	r.count--
	return item
}

// Trim gives up the memory of a Ring that is empty.
func (r *Ring[T]) Trim() {
	if r.count == 0 {
		*r = Ring[T]{}
	}
}
