package hub

import "iter"

// Rooms are names for sets of members. A room exists as long as somebody is in
// it; a member that leaves the hub leaves its rooms.

// Enter puts the member into a room. It reports false if it has left the hub.
func (m *Member) Enter(room string) bool {
	h := m.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.place < 0 {
		return false
	}
	if h.rooms[room] == nil {
		h.rooms[room] = map[*Member]struct{}{}
	}
	h.rooms[room][m] = struct{}{}
	if m.rooms == nil {
		m.rooms = map[string]struct{}{}
	}
	m.rooms[room] = struct{}{}
	return true
}

// Exit takes the member out of a room, if it is in it.
func (m *Member) Exit(room string) {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	m.exit(room)
}

// exit is Exit with hub.mu held.
func (m *Member) exit(room string) {
	delete(m.rooms, room)
	members := m.hub.rooms[room]
	delete(members, m)
	if len(members) == 0 {
		delete(m.hub.rooms, room)
	}
}

// In reports whether the member is in a room.
func (m *Member) In(room string) bool {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	_, ok := m.rooms[room]
	return ok
}

// Rooms iterates over the names of the rooms that exist when the range begins,
// with the number of their members, in no particular order.
func (h *Hub) Rooms() iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		h.mu.Lock()
		sizes := make(map[string]int, len(h.rooms))
		for name, members := range h.rooms {
			sizes[name] = len(members)
		}
		h.mu.Unlock()
		for name, n := range sizes {
			if !yield(name, n) {
				return
			}
		}
	}
}
