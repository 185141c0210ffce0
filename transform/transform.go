// Package transform has transforms of messages for the option Transforms of
// package conn: [Zlib] compresses, [Seal] encrypts and authenticates. Package
// zstd below compresses faster, and is a module of its own.
//
// Encode and Decode append to dst and return the result, which shares no
// memory with src; src is not changed. With an error they return dst as it was;
// what its spare capacity held may be lost. None of them blocks.
//
// Compress first and then seal: what is sealed looks like noise. But the size
// of what was compressed tells about its content, also when it is sealed. Where
// an attacker can choose a part of a message whose other part is secret, and see
// the sizes, seal without compressing.
package transform

import "errors"

// Sentinels for [errors.Is]. The errors themselves say more.
var (
	// ErrDamaged matches input of Decode that no Encode has made: changed on
	// its way, cut short, followed by something else, or of another format.
	ErrDamaged = errors.New("damaged message")
	// ErrTooLong matches a message that is longer, decoded, than the limit of
	// Decode allows, and one that is longer than Encode can take.
	ErrTooLong = errors.New("message too long")
	// ErrLevel matches a compression level that does not exist.
	ErrLevel = errors.New("no such compression level")

	// ErrKey matches a message that was sealed with another key or by another
	// version of the format, and the use of a Seal without a key.
	ErrKey = errors.New("wrong key")
	// ErrReplay matches a genuine message that came again or too late.
	ErrReplay = errors.New("message repeated or out of order")
	// ErrReflected matches a message of our own that came back.
	ErrReflected = errors.New("message of our own came back")
	// ErrSender matches a genuine message of another sender than the first, as
	// one of another connection.
	ErrSender = errors.New("message of another sender")
	// ErrExhausted matches the message after the last that a Seal can number.
	ErrExhausted = errors.New("no message number left")
)
