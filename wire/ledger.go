package wire

import (
	"encoding/binary"
	"io"
)

// A Ledger keeps both directions of one connection in step: it parses what
// arrives behind the hello, and says what to write next, by the rules R1 to R5
// of PROTOCOL.md section 5. The zero value is a connection just greeted.
//
// Whoever reads the stream feeds [Ledger.Parse]; whoever writes it asks
// [Ledger.Next] and [Ledger.MayOffer] and writes what they say, in that order
// and nothing else. A Ledger is not safe for concurrent use; where reading and
// writing are two goroutines, each call needs the same lock, the I/O between
// the calls none.
type Ledger struct {
	// due is what the peer owes us, oldest first, in the order in which we
	// wrote what asks for it (R3).
	due queue
	// owed is what we owe the peer, oldest first, in the order in which it
	// arrived (R2).
	owed queue

	mine   offer  // our offer
	theirs offer  // the peer's offer
	got    uint32 // payload bytes of theirs that have arrived
	wait   bool   // R5: CONFLICT came, the payload behind it has not

	size    [SizeLen]byte // the beginning of a size
	sizeLen int
	offset  int64
}

// offer is a message on its way in one direction.
type offer struct {
	state offerState
	size  uint32
}

type offerState uint8

const (
	noOffer    offerState = iota
	unanswered            // its size is out
	accepted              // OK was written, the payload is not complete
)

// entry is one thing owed.
type entry uint8

const (
	nothing entry = iota
	answer
	payload
)

// queue holds at most one answer and one payload: R1 allows no more.
type queue [2]entry

func (q *queue) push(e entry) {
	if q[0] == nothing {
		q[0] = e
	} else {
		q[1] = e
	}
}

func (q *queue) settle() { q[0], q[1] = q[1], nothing }

// Kind says what an [Item] is.
type Kind uint8

// The kinds of items.
const (
	// Incomplete: nothing more can be parsed now. The input was consumed up to
	// here; if bytes are left, they must be parsed again when a note was made,
	// that is after a Next that returned anything but Wait, or after Offer.
	Incomplete Kind = iota
	// Offer: the peer offers a message of Size bytes.
	Offer
	// Payload: Size bytes of the message that we accepted are next in the
	// input. Last says that they complete it; it may come with Size 0.
	Payload
	// Accepted, Deferred, Refused: the peer answered our offer OK, CONFLICT, TOO_LARGE.
	// In pipelined mode Accepted and Refused are about the oldest message of ours
	// that was not answered, and Size is its size.
	Accepted
	Deferred
	Refused
	// Data: a message of Size bytes begins, in pipelined mode. Its Payload follows.
	Data
	// PingItem, PongItem, ByeItem: PING, PONG or BYE came, in pipelined mode.
	PingItem
	PongItem
	ByeItem
)

// Item is one item of the stream, or a piece of one.
type Item struct {
	Kind Kind
	Size uint32
	Last bool
}

// Parse takes the first item off p and returns it with its length in p. A
// size may arrive in pieces, which the ledger keeps; of a payload it returns
// what there is, uncopied. Call it until it returns Incomplete, also with an
// empty p: a payload of 0 bytes is complete without one. An error is a
// [*ProtocolError] and final.
func (l *Ledger) Parse(p []byte) (Item, int, error) {
	if l.due[0] == payload {
		item, n := l.payload(uint64(len(p)))
		return item, int(n), nil
	}
	if len(p) == 0 {
		return Item{}, 0, nil
	}
	if l.sizeLen == 0 {
		switch {
		case l.due[0] == answer:
			if p[0] > MaxSize>>24 {
				return l.parseAnswer(p[0])
			}
			if l.theirs.state != noOffer {
				return Item{}, 0, l.violation(SecondOffer, p[0])
			}
		case l.theirs.state == unanswered:
			return Item{}, 0, nil // R3: a legacy client's early payload
		case p[0] >= byte(TooLarge):
			return Item{}, 0, l.violation(UnaskedAnswer, p[0])
		case p[0] > MaxSize>>24:
			return Item{}, 0, l.violation(OversizeOffer, p[0])
		}
	}
	n := copy(l.size[l.sizeLen:], p)
	l.sizeLen += n
	l.offset += int64(n)
	if l.sizeLen < SizeLen {
		return Item{}, n, nil
	}
	l.sizeLen = 0
	l.theirs = offer{unanswered, binary.BigEndian.Uint32(l.size[:])}
	l.owed.push(answer)
	return Item{Kind: Offer, Size: l.theirs.size}, n, nil
}

// Moved records that the next n bytes of the stream, all of them payload, were
// taken off it without passing Parse, as an operating system can. It returns
// the item that they are. It must follow a [Ledger.PayloadNext] that returned
// true, and n must not be above what [Ledger.Receiving] says is to come.
func (l *Ledger) Moved(n uint32) Item {
	item, _ := l.payload(uint64(n))
	return item
}

// payload takes the payload that is due off a stream of available bytes, and
// returns how many those are.
func (l *Ledger) payload(available uint64) (Item, uint32) {
	n := uint32(min(available, uint64(l.theirs.size-l.got)))
	l.got += n
	l.offset += int64(n)
	if l.got < l.theirs.size {
		if n == 0 {
			return Item{}, 0
		}
		return Item{Kind: Payload, Size: n}, n
	}
	l.due.settle()
	l.theirs, l.got, l.wait = offer{}, 0, false
	return Item{Kind: Payload, Size: n, Last: true}, n
}

func (l *Ledger) parseAnswer(b byte) (Item, int, error) {
	var item Item
	switch Signal(b) {
	case OK:
		item.Kind = Accepted
		l.mine.state = accepted
		l.owed.push(payload)
	case Conflict:
		if l.due[1] != payload {
			return Item{}, 0, l.violation(BaselessConflict, b)
		}
		item.Kind = Deferred
		l.mine = offer{}
		l.wait = true
	case TooLarge:
		item.Kind = Refused
		l.mine = offer{}
	default:
		return Item{}, 0, l.violation(UnknownAnswer, b)
	}
	l.due.settle()
	l.offset++
	return item, 1, nil
}

func (l *Ledger) violation(v Violation, seen byte) error {
	return &ProtocolError{Violation: v, Seen: seen, Offset: l.offset}
}

// Verdict is what the receiver thinks of the peer's offer.
type Verdict uint8

// The verdicts.
const (
	Hold   Verdict = iota // there is no room now
	Accept                // there is room
	Refuse                // it is over the limit
)

// Step is something to write.
type Step uint8

// The steps. Each but Wait and WritePayload is the one byte of its name.
const (
	Wait          Step = iota // nothing is owed that can be written now
	WriteOK                   // accept the peer's offer
	WriteConflict             // R4: no room, and a payload of ours stands behind the answer
	WriteTooLarge             // refuse the peer's offer
	WritePayload              // the message that the peer accepted
)

// PeerOffer returns the size of the peer's offer while it has no answer.
func (l *Ledger) PeerOffer() (size uint32, ok bool) {
	return l.theirs.size, l.theirs.state == unanswered
}

// Next returns what to write next of all that is owed to the peer, and
// records it as written: the caller must write it before anything that a
// later call of Next or Offer returns. The verdict is about the peer's offer,
// and may be anything while there is none. Call it until it returns Wait.
func (l *Ledger) Next(v Verdict) Step {
	switch l.owed[0] {
	case payload:
		l.owed.settle()
		l.mine = offer{}
		return WritePayload
	case answer:
		switch {
		case v == Refuse:
			l.owed.settle()
			l.theirs = offer{}
			return WriteTooLarge
		case v == Accept:
			l.owed.settle()
			l.theirs.state = accepted
			l.due.push(payload)
			return WriteOK
		case l.owed[1] == payload: // R4
			l.owed.settle()
			l.theirs = offer{}
			return WriteConflict
		}
	}
	return Wait
}

// MayOffer reports whether a new size may be written: R1 allows one at a
// time, and R5 none between a CONFLICT and the payload behind it. Settle what
// is owed first, with Next, to spare legacy peers a collision (R7).
func (l *Ledger) MayOffer() bool { return l.mine.state == noOffer && !l.wait }

// Offer records that our offer of a message of size bytes is written next. It
// must follow a MayOffer that returned true.
func (l *Ledger) Offer(size uint32) {
	l.mine = offer{unanswered, size}
	l.due.push(answer)
}

// Offering returns the size of our offer while it has no answer.
func (l *Ledger) Offering() (size uint32, ok bool) {
	return l.mine.size, l.mine.state == unanswered
}

// Receiving reports whether a message that we accepted is not complete, and
// how many of its bytes are still to come.
func (l *Ledger) Receiving() (left uint32, ok bool) {
	return l.theirs.size - l.got, l.theirs.state == accepted
}

// PayloadNext reports whether the next byte of the stream belongs to the
// message that we accepted.
func (l *Ledger) PayloadNext() bool { return l.due[0] == payload }

// Owing reports whether the peer accepted a message that Next has not returned.
func (l *Ledger) Owing() bool { return l.mine.state == accepted }

// InsideItem reports whether the peer owes bytes that it must not hold back:
// the rest of a size, or a payload that we accepted. Silence of a peer is a
// stall only here: an answer may take as long as the peer lacks room.
func (l *Ledger) InsideItem() bool { return l.sizeLen > 0 || l.theirs.state == accepted }

// Offset returns how many bytes were parsed.
func (l *Ledger) Offset() int64 { return l.offset }

// MayAnswerError reports whether ERROR can be written without the peer taking
// it for something else: only while no offer of ours is open (PROTOCOL.md
// section 1).
func (l *Ledger) MayAnswerError() bool { return l.mine.state == noOffer }

// End says what the end of the stream means here: io.EOF between items with
// nothing owed, a clean end; else an [*IncompleteError], or a
// [*ProtocolError] where the last byte can only have been ERROR.
func (l *Ledger) End() error {
	if l.sizeLen == 1 && Signal(l.size[0]) == Error && l.mine.state == unanswered && l.theirs.state == noOffer {
		return &ProtocolError{Violation: ErrorAnswer, Seen: l.size[0], Offset: l.offset - 1}
	}
	if l.sizeLen == 0 && l.mine.state == noOffer && l.theirs.state == noOffer {
		return io.EOF
	}
	e := &IncompleteError{
		SizeBytes:      l.sizeLen,
		Accepted:       l.theirs.state == accepted,
		Unanswered:     l.mine.state == unanswered,
		Owed:           l.mine.state == accepted,
		Offered:        l.mine.size,
		PeerUnanswered: l.theirs.state == unanswered,
	}
	if e.Accepted {
		e.PayloadBytes, e.Payload = l.got, l.theirs.size
	}
	if e.PeerUnanswered {
		e.PeerOffered = l.theirs.size
	}
	return e
}
