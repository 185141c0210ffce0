package wire

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/tinyproto-go/tinyproto/internal/ring"
)

// PipelinedRequest asks for pipelined mode: a dialer's first item behind its
// hello (PROTOCOL.md section 8). To a peer in classic mode it is a size above
// MaxSize.
const PipelinedRequest = "\xf1TP\x02"

// Terms are what one end of a connection in pipelined mode grants the other.
type Terms struct {
	// MaxMessage is the largest message that it takes, in bytes. A larger one
	// is skipped, and answered TOO_LARGE.
	MaxMessage uint32
	// WindowMessages is how many messages may be unanswered, at least 1.
	WindowMessages uint32
	// WindowBytes is how many bytes of payload may be unanswered. One larger
	// message may go alone. 0 means one message at a time, whatever its size.
	WindowBytes uint32
}

// TermsLen is the length of Terms on the wire, in bytes.
const TermsLen = 12

// Append appends t to dst as it goes on the wire.
func (t Terms) Append(dst []byte) []byte {
	for _, v := range [...]uint32{t.MaxMessage, t.WindowMessages, t.WindowBytes} {
		dst = binary.BigEndian.AppendUint32(dst, v)
	}
	return dst
}

// ParseTerms reads Terms off p, which has to have TermsLen bytes. Terms that
// nobody may grant are a [*TermsError].
func ParseTerms(p []byte) (Terms, error) {
	t := Terms{
		MaxMessage:     binary.BigEndian.Uint32(p),
		WindowMessages: binary.BigEndian.Uint32(p[4:]),
		WindowBytes:    binary.BigEndian.Uint32(p[8:]),
	}
	if t.MaxMessage > MaxSize || t.WindowMessages == 0 {
		return t, &TermsError{Terms: t}
	}
	return t, nil
}

// TermsError is Terms that no peer may grant. It matches [ErrProtocol].
type TermsError struct{ Terms Terms }

// Error says what was granted, and what may be.
func (e *TermsError) Error() string {
	return fmt.Sprintf("protocol violation: the peer grants messages of up to %d bytes and a window of %d messages, expected up to %d bytes and at least 1 message",
		e.Terms.MaxMessage, e.Terms.WindowMessages, uint32(MaxSize))
}

// Is reports whether target is [ErrProtocol].
func (e *TermsError) Is(target error) bool { return target == ErrProtocol }

// A Pipeline is what a [Ledger] is, in pipelined mode, from the Terms on: it
// parses what arrives, and keeps both windows (PROTOCOL.md section 8). Make one
// with [NewPipeline]. It is not safe for concurrent use.
//
// The caller hands received messages over in their order, and calls
// [Pipeline.Answer] for each before it writes the answer.
type Pipeline struct {
	ours, theirs window // messages of ours, of the peer's

	size    [SizeLen]byte // the beginning of a size
	sizeLen int
	left    uint32 // bytes of the message that is arriving, still to come
	total   uint32 // its size
	inside  bool   // one is arriving
	offset  int64

	pinged, peerPinged bool // a PING, ours or the peer's, is without its PONG
	bye, peerBye       bool
}

// window is what is unanswered of one direction.
type window struct {
	messages uint32 // how many there may be
	bytes    uint64 // how much there may be
	used     uint64
	sizes    ring.Ring[uint32]
}

func (w *window) fits(size uint32) bool {
	n := w.sizes.Len()
	return n == 0 || w.bytes > 0 && uint32(n) < w.messages && w.used+uint64(size) <= w.bytes
}

func (w *window) push(size uint32) {
	w.sizes.Push(size)
	w.used += uint64(size)
}

func (w *window) pop() uint32 {
	size := w.sizes.Pop()
	w.used -= uint64(size)
	return size
}

// NewPipeline returns the Pipeline of a connection whose ends granted these Terms.
func NewPipeline(ours, theirs Terms) *Pipeline {
	return &Pipeline{
		ours:   window{messages: theirs.WindowMessages, bytes: uint64(theirs.WindowBytes)},
		theirs: window{messages: ours.WindowMessages, bytes: uint64(ours.WindowBytes)},
	}
}

// Parse takes the first item off p and returns it with its length in p: Data, a
// Payload, Accepted, Refused, Ping, Pong or Bye. It returns Incomplete when p is
// used up, but for a message of 0 bytes: its Payload comes with an empty p. What
// is behind a Bye is the caller's affair. An error is a [*ProtocolError] and
// final.
func (l *Pipeline) Parse(p []byte) (Item, int, error) {
	if l.inside {
		n := min(uint64(len(p)), uint64(l.left))
		item, _ := l.payload(uint32(n))
		return item, int(n), nil
	}
	if len(p) == 0 {
		return Item{}, 0, nil
	}
	if l.sizeLen == 0 {
		if p[0] > MaxSize>>24 {
			return l.parseSignal(p[0])
		}
		if l.peerBye {
			return Item{}, 0, l.violation(DataAfterBye, p[0])
		}
		if len(p) >= SizeLen {
			copy(l.size[:], p)
			return l.data(SizeLen)
		}
	}
	n := copy(l.size[l.sizeLen:], p)
	l.sizeLen += n
	if l.sizeLen < SizeLen {
		l.offset += int64(n)
		return Item{}, n, nil
	}
	return l.data(n)
}

// data begins the message whose size is complete with n more bytes.
func (l *Pipeline) data(n int) (Item, int, error) {
	size := binary.BigEndian.Uint32(l.size[:])
	if !l.theirs.fits(size) {
		l.sizeLen = SizeLen - n
		return Item{}, 0, &ProtocolError{Violation: WindowOverrun, Seen: l.size[0], Offset: l.offset - int64(l.sizeLen)}
	}
	l.offset += int64(n)
	l.sizeLen = 0
	l.theirs.push(size)
	l.inside, l.left, l.total = true, size, size
	return Item{Kind: Data, Size: size}, n, nil
}

func (l *Pipeline) payload(n uint32) (Item, bool) {
	l.left -= n
	l.offset += int64(n)
	if l.left > 0 {
		if n == 0 {
			return Item{}, false
		}
		return Item{Kind: Payload, Size: n}, true
	}
	l.inside = false
	return Item{Kind: Payload, Size: n, Last: true}, true
}

// Moved records that the next n bytes of the stream, all of them payload, were
// taken off it without passing Parse: see [Ledger.Moved].
func (l *Pipeline) Moved(n uint32) Item {
	item, _ := l.payload(n)
	return item
}

func (l *Pipeline) parseSignal(b byte) (Item, int, error) {
	var item Item
	switch Signal(b) {
	case OK, TooLarge:
		if l.ours.sizes.Len() == 0 {
			return Item{}, 0, l.violation(UnaskedAnswer, b)
		}
		if item.Kind = Accepted; Signal(b) == TooLarge {
			item.Kind = Refused
		}
		item.Size = l.ours.pop()
	case Ping:
		if l.peerPinged {
			return Item{}, 0, l.violation(SecondPing, b)
		}
		l.peerPinged, item.Kind = true, PingItem
	case Pong:
		if !l.pinged {
			return Item{}, 0, l.violation(UnaskedPong, b)
		}
		l.pinged, item.Kind = false, PongItem
	case Bye:
		if l.peerBye {
			return Item{}, 0, l.violation(SecondBye, b)
		}
		l.peerBye, item.Kind = true, ByeItem
	default:
		return Item{}, 0, l.violation(UnknownItem, b)
	}
	l.offset++
	return item, 1, nil
}

func (l *Pipeline) violation(v Violation, seen byte) error {
	return &ProtocolError{Violation: v, Seen: seen, Offset: l.offset}
}

// MaySend reports whether the peer's window has room for a message of size
// bytes, and BYE is not said.
func (l *Pipeline) MaySend(size uint32) bool { return !l.bye && l.ours.fits(size) }

// Send records that a message of size bytes is written next: its size, and at
// once its bytes. It must follow a MaySend of that size that returned true.
func (l *Pipeline) Send(size uint32) { l.ours.push(size) }

// Unanswered returns how many messages of ours the peer has not answered.
func (l *Pipeline) Unanswered() int { return l.ours.sizes.Len() }

// Owed returns how many messages of the peer's were not answered, the one that is
// arriving included.
func (l *Pipeline) Owed() int { return l.theirs.sizes.Len() }

// Answer records that the oldest message of the peer's that is complete is
// answered. It comes before the answer is written: the peer may use the room as
// soon as it reads it.
func (l *Pipeline) Answer() { l.theirs.pop() }

// Trim gives up memory that is not needed while nothing is sent.
func (l *Pipeline) Trim() {
	l.ours.sizes.Trim()
	l.theirs.sizes.Trim()
}

// MayPing reports whether no PING of ours waits for its PONG.
func (l *Pipeline) MayPing() bool { return !l.pinged }

// Ping records that PING is written next. It must follow a MayPing that
// returned true.
func (l *Pipeline) Ping() { l.pinged = true }

// Pong records that PONG is written next, the answer to a Ping that was parsed.
func (l *Pipeline) Pong() { l.peerPinged = false }

// Bye records that BYE is written next: nothing may be sent after it.
func (l *Pipeline) Bye() { l.bye = true }

// Byes reports whether we have said BYE, and whether the peer has.
func (l *Pipeline) Byes() (ours, theirs bool) { return l.bye, l.peerBye }

// Receiving reports whether a message is arriving, and how many of its bytes
// are still to come.
func (l *Pipeline) Receiving() (left uint32, ok bool) { return l.left, l.inside }

// InsideItem reports whether the peer owes bytes that it must not hold back: the
// rest of a size or of a message.
func (l *Pipeline) InsideItem() bool { return l.sizeLen > 0 || l.inside }

// Offset returns how many bytes were parsed.
func (l *Pipeline) Offset() int64 { return l.offset }

// End says what the end of the stream means here: io.EOF, a clean end, if the peer
// has said BYE and all is answered, whether or not we have said it; else an
// [*IncompleteError].
func (l *Pipeline) End() error {
	e := IncompleteError{
		SizeBytes: l.sizeLen,
		Accepted:  l.inside,
		Pending:   l.ours.sizes.Len(),
		Owing:     l.theirs.sizes.Len(),
		NoBye:     !l.bye,
		NoPeerBye: !l.peerBye,
	}
	if l.inside {
		e.PayloadBytes, e.Payload = l.total-l.left, l.total
		e.Owing--
	}
	if nothing := (IncompleteError{}); e == nothing || e == (IncompleteError{NoBye: true}) {
		return io.EOF
	}
	incomplete := e
	return &incomplete
}
