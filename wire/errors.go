package wire

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Sentinels for [errors.Is]. The errors that match them know more: see
// [ProtocolError], [HelloError] and [IncompleteError].
var (
	// ErrProtocol matches every violation of the protocol by the peer.
	ErrProtocol = errors.New("protocol violation")
	// ErrConnLimit matches a hello refused because the server is at its connection limit.
	ErrConnLimit = errors.New("server is at its connection limit")
	// ErrRefused matches every refused hello, ErrConnLimit included.
	ErrRefused = errors.New("hello refused")
	// ErrNotTinyproto matches a hello that no tinyproto peer sends.
	ErrNotTinyproto = errors.New("the peer does not speak tinyproto")
)

// Violation says which rule of the protocol a peer broke.
type Violation uint8

// The violations that a [Ledger] recognises.
const (
	// UnaskedAnswer is an answer while no offer of ours waits for one.
	UnaskedAnswer Violation = iota + 1
	// UnknownAnswer is a signal that is no answer while an offer of ours waits for one.
	UnknownAnswer
	// ErrorAnswer is ERROR, alone, as the answer to a legal size.
	ErrorAnswer
	// BaselessConflict is CONFLICT from a peer that owes no accepted payload (R5).
	BaselessConflict
	// SecondOffer is a size while the peer's offer before it is not settled (R1).
	SecondOffer
	// OversizeOffer is a size above MaxSize.
	OversizeOffer
)

// The violations that a [Pipeline] recognises, besides UnaskedAnswer.
const (
	// UnknownItem is a byte that begins no item.
	UnknownItem Violation = iota + 16
	// WindowOverrun is a message that the window had no room for.
	WindowOverrun
	// DataAfterBye is a message behind a BYE.
	DataAfterBye
	// SecondBye is a BYE behind a BYE.
	SecondBye
	// SecondPing is a PING before the one before it was answered.
	SecondPing
	// UnaskedPong is a PONG while no PING of ours waits for one.
	UnaskedPong
	// EarlyItem is anything before our terms were written.
	EarlyItem
)

// String returns what the peer did, as a phrase.
func (v Violation) String() string {
	switch v {
	case UnaskedAnswer:
		return "answer nobody asked for"
	case UnknownAnswer:
		return "unknown answer to an offer"
	case ErrorAnswer:
		return "ERROR as the answer to a legal size"
	case BaselessConflict:
		return "CONFLICT without a payload owed"
	case SecondOffer:
		return "second offer before the first was settled"
	case OversizeOffer:
		return "offer above the largest size"
	case UnknownItem:
		return "byte that begins no item"
	case WindowOverrun:
		return "message that the window had no room for"
	case DataAfterBye:
		return "message behind BYE"
	case SecondBye:
		return "second BYE"
	case SecondPing:
		return "second PING before the first was answered"
	case UnaskedPong:
		return "PONG nobody asked for"
	case EarlyItem:
		return "item before our terms"
	}
	return fmt.Sprintf("violation %d", uint8(v))
}

func (v Violation) expected() string {
	switch v {
	case UnaskedAnswer, OversizeOffer:
		return "the first byte of a size, 0x00 to 0xf0"
	case UnknownAnswer:
		return "OK, CONFLICT or TOO_LARGE, or the first byte of a size"
	case ErrorAnswer:
		return "OK, CONFLICT or TOO_LARGE"
	case BaselessConflict:
		return "OK or TOO_LARGE"
	case UnknownItem:
		return "the first byte of a size, OK, TOO_LARGE, PING, PONG or BYE"
	case WindowOverrun:
		return "no message before an answer of ours"
	case DataAfterBye, SecondBye:
		return "an answer, PING, PONG or the end of the stream"
	case SecondPing, UnaskedPong:
		return "any other item"
	case EarlyItem:
		return "nothing before them"
	default:
		return "an answer to the offer that is open"
	}
}

// ProtocolError is a violation of the protocol by the peer. It ends the
// connection. It matches [ErrProtocol].
type ProtocolError struct {
	Violation Violation
	// Seen is the byte that broke the rule.
	Seen byte
	// Offset is the position of that byte behind the hello, in pipelined mode
	// behind the terms, from 0.
	Offset int64
}

// Error says what was seen, where, and what was expected.
func (e *ProtocolError) Error() string {
	return fmt.Sprintf("protocol violation: %v: saw %v at byte %d, expected %s",
		e.Violation, Signal(e.Seen), e.Offset, e.Violation.expected())
}

// Is reports whether target is [ErrProtocol].
func (e *ProtocolError) Is(target error) bool { return target == ErrProtocol }

// HelloError is a hello byte other than OK (PROTOCOL.md section 2). It matches
// [ErrConnLimit] and [ErrRefused], only [ErrRefused], or [ErrNotTinyproto],
// by what was seen.
type HelloError struct {
	Seen byte
}

// Error says what was seen and what it means.
func (e *HelloError) Error() string {
	switch Signal(e.Seen) {
	case ConnLimit:
		return "hello refused: the server is at its connection limit (CONLIMIT)"
	case Error:
		return "hello refused with 0x00: the server turned us away, probably at its connection limit"
	}
	hint := ""
	switch e.Seen { // the types of TLS records: only a server begins with an alert
	case 0x15:
		hint = ": that looks like TLS: the server expects TLS"
	case 0x16:
		hint = ": that looks like a TLS handshake, and this end speaks plain tinyproto"
	}
	return fmt.Sprintf("the peer does not speak tinyproto: its first byte is %v, expected %v%s", Signal(e.Seen), OK, hint)
}

// Is reports whether the byte means what target says.
func (e *HelloError) Is(target error) bool {
	switch target {
	case ErrConnLimit:
		return Signal(e.Seen) == ConnLimit
	case ErrRefused:
		return Signal(e.Seen) == ConnLimit || Signal(e.Seen) == Error
	case ErrNotTinyproto:
		return Signal(e.Seen) != ConnLimit && Signal(e.Seen) != Error
	}
	return false
}

// CheckHello returns nil for the one byte that greets, else a [*HelloError].
func CheckHello(b byte) error {
	if Signal(b) == OK {
		return nil
	}
	return &HelloError{Seen: b}
}

// IncompleteError says what was unfinished when the stream ended, or when the
// peer fell silent: any of its fields may be set. It matches
// [io.ErrUnexpectedEOF].
type IncompleteError struct {
	// SizeBytes is how many of the 4 bytes of a size had arrived.
	SizeBytes int
	// PayloadBytes of Payload had arrived of a message that we accepted, if Accepted.
	Accepted              bool
	PayloadBytes, Payload uint32
	// Unanswered: our offer of Offered bytes had no answer.
	Unanswered bool
	// Owed: the peer had accepted our offer of Offered bytes and lacks (part of) the payload.
	Owed    bool
	Offered uint32
	// PeerUnanswered: the peer's offer of PeerOffered bytes had no answer of ours.
	PeerUnanswered bool
	PeerOffered    uint32

	// In pipelined mode: Pending messages of ours had no answer, Owing messages of
	// the peer's had arrived and had none, and we or the peer had not said BYE.
	Pending, Owing   int
	NoBye, NoPeerBye bool
}

// Collided reports whether both ends had offered at once. Peers that follow
// PROTOCOL.md section 5 live with that; two legacy peers, or a legacy peer and
// we, do not.
func (e *IncompleteError) Collided() bool {
	return e.Unanswered && (e.Accepted || e.PeerUnanswered)
}

// Error lists what was unfinished.
func (e *IncompleteError) Error() string {
	var open []string
	add := func(format string, args ...any) { open = append(open, fmt.Sprintf(format, args...)) }
	if e.Accepted {
		add("%d of %d payload bytes had arrived", e.PayloadBytes, e.Payload)
	}
	if e.SizeBytes > 0 {
		add("%d of %d bytes of a size had arrived", e.SizeBytes, SizeLen)
	}
	if e.Unanswered {
		add("our offer of %d bytes was not answered", e.Offered)
	}
	if e.Owed {
		add("the %d bytes that the peer had accepted were not wholly written", e.Offered)
	}
	if e.PeerUnanswered {
		add("the peer's offer of %d bytes was not answered", e.PeerOffered)
	}
	if e.Pending > 0 {
		add("%d of our messages were not answered", e.Pending)
	}
	if e.Owing > 0 {
		add("%d of the peer's messages were not answered", e.Owing)
	}
	switch {
	case e.NoBye && e.NoPeerBye:
		add("neither end had said BYE")
	case e.NoPeerBye:
		add("the peer had not said BYE")
	case e.NoBye:
		add("we had not said BYE")
	}
	s := "unfinished: " + strings.Join(open, ", ")
	if e.Collided() {
		s += " (both ends offered at once, which a legacy peer can't handle)"
	}
	return s
}

// Is reports whether target is [io.ErrUnexpectedEOF].
func (e *IncompleteError) Is(target error) bool { return target == io.ErrUnexpectedEOF }
