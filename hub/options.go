package hub

import (
	"log/slog"
	"time"
)

// Policy is what happens to a message for a member whose queue is full.
type Policy uint8

// The policies. Each but Block is carried out at once.
const (
	// Evict ends the member's connection with an [*EvictedError].
	Evict Policy = iota
	// Block waits for room, as long as the caller's context allows.
	Block
	// DropNewest drops the new message.
	DropNewest
	// DropOldest drops the oldest queued messages until the new one fits.
	DropOldest
)

// String returns the name of the policy.
func (p Policy) String() string {
	switch p {
	case Evict:
		return "evict"
	case Block:
		return "block"
	case DropNewest:
		return "drop newest"
	case DropOldest:
		return "drop oldest"
	}
	return "unknown policy"
}

// Defaults of [Options].
const (
	DefaultQueueMessages = 256
	DefaultQueueBytes    = 1 << 20
	DefaultGrace         = 5 * time.Second
)

// Options are the limits of a hub. A nil *Options and the zero value both
// stand for the defaults.
type Options struct {
	// QueueMessages and QueueBytes bound what waits to be sent to one member.
	// A message larger than QueueBytes may wait alone. Zero means 256 messages
	// and 1 MiB. What its connection is sending is not in the queue any more: in
	// classic mode a message or two, in pipelined mode as many as its peer's window
	// admits (see WindowMessages and WindowBytes of [conn.Options]).
	QueueMessages, QueueBytes int

	// Full is what happens to a message that does not fit. Zero is Evict.
	Full Policy

	// EventBuffer is how many events wait for the program. Zero means none.
	EventBuffer int

	// Grace is how long a member may take to receive what is queued for it
	// when it or the hub ends; what is left then counts as undelivered. Zero
	// means 5 s; negative means no time at all.
	Grace time.Duration

	// Observer is told of what happens. Nil means nobody is.
	Observer *Observer

	// Logger receives, at level Debug, each end of a member. Nil means silence.
	Logger *slog.Logger
}

// Observer is told what happens in a hub, so that a metrics library can count
// it. Each field may be nil. The functions are called without any lock of the
// hub or of a connection, by whoever caused the event or by a goroutine of the
// hub soon after it, possibly concurrently, and so in no certain order: a
// message's Dropped may come after its member's Left. The sums are exact. The
// functions must not block.
type Observer struct {
	Joined  func(*Member)
	Left    func(*Member, error)                 // the error is the member's
	Dropped func(m *Member, messages, bytes int) // by the policy, by a caller's context, or refused by its peer
	Evicted func(*Member)
	Queued  func(m *Member, messages, bytes int) // by how much what waits for it grew; negative if it shrank
}

func (o *Observer) joined(m *Member) {
	if o != nil && o.Joined != nil {
		o.Joined(m)
	}
}

func (o *Observer) left(m *Member, err error) {
	if o != nil && o.Left != nil {
		o.Left(m, err)
	}
}

func (o *Observer) dropped(m *Member, messages, bytes int) {
	if o != nil && o.Dropped != nil {
		o.Dropped(m, messages, bytes)
	}
}

func (o *Observer) evicted(m *Member) {
	if o != nil && o.Evicted != nil {
		o.Evicted(m)
	}
}

func (o *Observer) queued(m *Member, messages, bytes int) {
	if o != nil && o.Queued != nil && (messages != 0 || bytes != 0) {
		o.Queued(m, messages, bytes)
	}
}

func (o *Options) resolved() Options {
	var r Options
	if o != nil {
		r = *o
	}
	if r.QueueMessages <= 0 {
		r.QueueMessages = DefaultQueueMessages
	}
	if r.QueueBytes <= 0 {
		r.QueueBytes = DefaultQueueBytes
	}
	if r.Grace == 0 {
		r.Grace = DefaultGrace
	}
	r.Grace = max(r.Grace, 0)
	if r.Full > DropOldest {
		r.Full = Evict
	}
	r.EventBuffer = max(r.EventBuffer, 0)
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	return r
}
