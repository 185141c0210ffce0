package hub

// Kind says what an [Event] is.
type Kind uint8

// The kinds of events.
const (
	Joined  Kind = iota + 1 // the member joined
	Message                 // the member sent Body
	Left                    // the member left, and Err says why; nothing more comes from it
)

// String returns the name of the kind.
func (k Kind) String() string {
	switch k {
	case Joined:
		return "joined"
	case Message:
		return "message"
	case Left:
		return "left"
	}
	return "unknown event"
}

// Event is what happens in a hub. All events come in one stream, so that the
// order among them is plain: a member's messages stand between its Joined and
// its Left. One struct for all kinds, because a sealed interface would cost an
// allocation for each message.
type Event struct {
	Kind   Kind
	Member *Member
	Body   []byte // of a Message; the receiver's to keep and to change
	Err    error  // of a Left: nil if the connection ended cleanly
}
