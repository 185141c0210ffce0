package wire_test

import (
	"io"

	"github.com/tinyproto-go/tinyproto/wire"
)

// view is what a ledger shows of its state.
type view struct {
	MayOffer, Offering, Owing          bool
	PeerOffers, Receiving, PayloadNext bool
	EmptyNext                          bool      // the payload that is next has 0 bytes
	FullNext                           wire.Step // what to write next without room
	SizeBytes                          int       // of a size that has begun
}

func viewOf(l wire.Ledger) view {
	var v view
	_, v.Offering = l.Offering()
	_, v.PeerOffers = l.PeerOffer()
	left, receiving := l.Receiving()
	v.MayOffer, v.Owing, v.Receiving, v.PayloadNext = l.MayOffer(), l.Owing(), receiving, l.PayloadNext()
	v.EmptyNext = v.PayloadNext && left == 0
	switch end := l.End().(type) {
	case *wire.IncompleteError:
		v.SizeBytes = end.SizeBytes
	case *wire.ProtocolError:
		v.SizeBytes = 1
	}
	v.FullNext = l.Next(wire.Hold)
	return v
}

// byteRange is what comes of each of the bytes from first to last.
type byteRange struct {
	first, last byte
	outcome     string
}

var (
	beginsSize  = byteRange{0x00, 0xf0, "size"}
	second      = byteRange{0x00, 0xf0, wire.SecondOffer.String()}
	noSignal    = byteRange{0xf1, 0xfb, wire.UnknownAnswer.String()}
	tooLarge    = byteRange{0xfc, 0xfc, "refused"}
	conflict    = byteRange{0xfd, 0xfd, "deferred"}
	baseless    = byteRange{0xfd, 0xfd, wire.BaselessConflict.String()}
	connLimit   = byteRange{0xfe, 0xfe, wire.UnknownAnswer.String()}
	ok          = byteRange{0xff, 0xff, "accepted"}
	oversize    = byteRange{0xf1, 0xfb, wire.OversizeOffer.String()}
	unasked     = byteRange{0xfc, 0xff, wire.UnaskedAnswer.String()}
	newSizeOnly = []byteRange{beginsSize, oversize, unasked}
	goesOn      = all("size")
	completes   = all("offer")
	early       = all("unparsed")
	payload     = all("payload 1 last")
	empty       = all("payload 0 last")
)

func all(outcome string) []byteRange { return []byteRange{{0x00, 0xff, outcome}} }

// states are all states that a ledger can be in: TestStatesAreAll. Every
// message in them has 1 byte, unless it is said to be empty. Notes and debts
// are listed oldest first.
var states = []struct {
	name  string
	acts  []act
	bytes []byteRange
	end   error
}{
	{
		"idle", nil,
		newSizeOnly, io.EOF,
	},
	{
		"1 byte of a size", []act{arrives("00")},
		goesOn, &wire.IncompleteError{SizeBytes: 1},
	},
	{
		"2 bytes of a size", []act{arrives("0000")},
		goesOn, &wire.IncompleteError{SizeBytes: 2},
	},
	{
		"3 bytes of a size", []act{arrives("000000")},
		completes, &wire.IncompleteError{SizeBytes: 3},
	},
	{
		"debts: answer", []act{arrives("00000001")},
		early, &wire.IncompleteError{PeerUnanswered: true, PeerOffered: 1},
	},
	{
		"notes: payload", []act{arrives("00000001"), writes(wire.Accept)},
		payload, &wire.IncompleteError{Accepted: true, Payload: 1},
	},
	{
		"notes: empty payload", []act{arrives("00000000"), writes(wire.Accept)},
		empty, &wire.IncompleteError{Accepted: true},
	},
	{
		"notes: payload, behind a CONFLICT",
		[]act{offers(1), arrives("00000001"), writes(wire.Accept), parses("fd")},
		payload, &wire.IncompleteError{Accepted: true, Payload: 1},
	},
	{
		"notes: empty payload, behind a CONFLICT",
		[]act{offers(1), arrives("00000000"), writes(wire.Accept), parses("fd")},
		empty, &wire.IncompleteError{Accepted: true},
	},
	{
		"notes: answer", []act{offers(1)},
		[]byteRange{beginsSize, noSignal, tooLarge, baseless, connLimit, ok},
		&wire.IncompleteError{Unanswered: true, Offered: 1},
	},
	{
		"notes: answer; 00, which may be ERROR", []act{offers(1), arrives("00")},
		goesOn, &wire.ProtocolError{Violation: wire.ErrorAnswer, Seen: 0x00, Offset: 0},
	},
	{
		"notes: answer; 01, which is not ERROR", []act{offers(1), arrives("01")},
		goesOn, &wire.IncompleteError{SizeBytes: 1, Unanswered: true, Offered: 1},
	},
	{
		"notes: answer; 2 bytes of a size", []act{offers(1), arrives("0000")},
		goesOn, &wire.IncompleteError{SizeBytes: 2, Unanswered: true, Offered: 1},
	},
	{
		"notes: answer; 3 bytes of a size", []act{offers(1), arrives("000000")},
		completes, &wire.IncompleteError{SizeBytes: 3, Unanswered: true, Offered: 1},
	},
	{
		"notes: answer; debts: answer", []act{offers(1), arrives("00000001")},
		[]byteRange{second, noSignal, tooLarge, baseless, connLimit, ok},
		&wire.IncompleteError{Unanswered: true, Offered: 1, PeerUnanswered: true, PeerOffered: 1},
	},
	{
		"notes: answer, payload", []act{offers(1), arrives("00000001"), writes(wire.Accept)},
		[]byteRange{second, noSignal, tooLarge, conflict, connLimit, ok},
		&wire.IncompleteError{Unanswered: true, Offered: 1, Accepted: true, Payload: 1},
	},
	{
		"notes: payload, answer", []act{arrives("00000001"), writes(wire.Accept), offers(1)},
		payload, &wire.IncompleteError{Unanswered: true, Offered: 1, Accepted: true, Payload: 1},
	},
	{
		"notes: empty payload, answer", []act{arrives("00000000"), writes(wire.Accept), offers(1)},
		empty, &wire.IncompleteError{Unanswered: true, Offered: 1, Accepted: true},
	},
	{
		"debts: payload", []act{offers(1), arrives("ff")},
		newSizeOnly, &wire.IncompleteError{Owed: true, Offered: 1},
	},
	{
		"debts: payload; 1 byte of a size", []act{offers(1), arrives("ff00")},
		goesOn, &wire.IncompleteError{SizeBytes: 1, Owed: true, Offered: 1},
	},
	{
		"debts: payload; 2 bytes of a size", []act{offers(1), arrives("ff0000")},
		goesOn, &wire.IncompleteError{SizeBytes: 2, Owed: true, Offered: 1},
	},
	{
		"debts: payload; 3 bytes of a size", []act{offers(1), arrives("ff000000")},
		completes, &wire.IncompleteError{SizeBytes: 3, Owed: true, Offered: 1},
	},
	{
		"debts: answer, payload", []act{offers(1), arrives("00000001 ff")},
		early, &wire.IncompleteError{Owed: true, Offered: 1, PeerUnanswered: true, PeerOffered: 1},
	},
	{
		"debts: payload, answer", []act{offers(1), arrives("ff 00000001")},
		early, &wire.IncompleteError{Owed: true, Offered: 1, PeerUnanswered: true, PeerOffered: 1},
	},
	{
		"notes: payload; debts: payload", []act{offers(1), arrives("00000001"), writes(wire.Accept), parses("ff")},
		payload, &wire.IncompleteError{Owed: true, Offered: 1, Accepted: true, Payload: 1},
	},
	{
		"notes: empty payload; debts: payload", []act{offers(1), arrives("00000000"), writes(wire.Accept), parses("ff")},
		empty, &wire.IncompleteError{Owed: true, Offered: 1, Accepted: true},
	},
}
