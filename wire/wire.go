// Package wire is the tinyproto protocol without I/O: signals, sizes, the
// hello, and the ledger that keeps who owes what to whom. It starts no
// goroutine, opens no connection, reads no clock and allocates nothing but the
// errors it returns, and what a [Pipeline] has to remember. PROTOCOL.md beside
// this file is the specification, and the rules named here (R1 to R7) are those
// of its section 5.
//
// Most programs use package tinyproto; wire serves those who carry the
// protocol over something else than a [net.Conn], and tests.
package wire

import (
	"encoding/binary"
	"fmt"
)

// Signal is a protocol byte that is not part of a size or a payload
// (PROTOCOL.md section 1).
type Signal byte

// The signals. Every one but Error is above the first byte of any legal size.
const (
	OK        Signal = 0xff // hello, and "send the payload"
	ConnLimit Signal = 0xfe // hello refused: the server is at its connection limit
	Conflict  Signal = 0xfd // not now, offer again: R4 and R5
	TooLarge  Signal = 0xfc // the offered message is over the receiver's limit
	Error     Signal = 0x00 // the offered size is above MaxSize; the connection is over

	// In pipelined mode alone (PROTOCOL.md section 8), where OK says "handed over":
	Ping Signal = 0xf2 // asks for a sign of life
	Pong Signal = 0xf3 // answers Ping
	Bye  Signal = 0xf4 // I send no more messages; I still answer yours
)

// String returns the byte and, where it has one, its name: "0xff (OK)".
func (s Signal) String() string {
	name := ""
	switch s {
	case OK:
		name = " (OK)"
	case ConnLimit:
		name = " (CONLIMIT)"
	case Conflict:
		name = " (CONFLICT)"
	case TooLarge:
		name = " (TOO_LARGE)"
	case Error:
		name = " (ERROR)"
	case Ping:
		name = " (PING)"
	case Pong:
		name = " (PONG)"
	case Bye:
		name = " (BYE)"
	}
	return fmt.Sprintf("0x%02x%s", byte(s), name)
}

// MaxSize is the largest message that the protocol can carry, in bytes:
// 0xf0ffffff, so that no size begins with a byte above 0xf0.
const MaxSize = 0xf0ffffff

// SizeLen is the length of an offer, in bytes: one big-endian 32 bit size.
const SizeLen = 4

// AppendSize appends the offer of a message of size bytes to dst. The size
// must not be above MaxSize.
func AppendSize(dst []byte, size uint32) []byte {
	return binary.BigEndian.AppendUint32(dst, size)
}
