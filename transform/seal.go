package transform

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sync"
)

// The parts of a sealed message, in bytes.
const (
	checkSize   = 4
	idSize      = 16
	counterSize = 8
	headerSize  = checkSize + idSize + counterSize
	tagSize     = 16
)

// Overhead is how many bytes a sealed message is longer than what was sealed.
const Overhead = headerSize + tagSize

// maxPlain is the longest message that AES-GCM takes, a bit less than 64 GiB.
const maxPlain = (1<<32 - 2) * 16

// Seal encrypts and authenticates messages under a key that both ends share.
// Each end of a connection has a Seal of its own, made by [NewSeal] and used for
// no other connection; the zero value has no key, and its methods fail.
//
// # Format
//
// All numbers are big-endian. A message of n bytes becomes n + 44:
//
//	 0   4 bytes  key check: HKDF(key, salt: none, info: "tinyproto seal 1 key check")
//	 4  16 bytes  sender: random, the same for all messages of one Seal
//	20   8 bytes  counter: 1 for the first message of the sender, then 2, 3 and so on
//	28   n bytes  the message, encrypted
//	28+n 16 bytes tag
//
// Encrypted with AES-256-GCM. The key is 32 bytes of HKDF(key, salt: sender,
// info: "tinyproto seal 1 sender key"), the nonce is 4 zero bytes and the
// counter, and the first 28 bytes are the additional data, so they are
// authenticated, too. HKDF is that of RFC 5869 with SHA-256, and key the 32
// bytes that both ends share. The 1 in both infos is the version of the format.
//
// The receiver keeps to the first sender that it has seen, which must not be
// itself, and wants each counter to be higher than the one before. Gaps are
// normal: a message that the peer refused as too large was numbered, too.
//
// # What it protects from
//
// Whoever does not have the key can't read messages, and can't make, change,
// reorder or repeat them within a connection or send them back where they came
// from. Decode detects each, and releases nothing of such a message.
//
// It does not hide when messages are sent, how many and of what size, nor which
// connections use the same key. It does not notice that messages are missing,
// at the end or between others. A receiver without messages so far takes any
// sender that has the key, so an attacker can replay an earlier connection to
// it, from its beginning or later, and join the ends of connections that use the
// same key as he likes: all who have the key are one, so give each pair of peers
// its own. Who learns the key can read all that was recorded before (there is
// no forward secrecy). Where any of this matters, use TLS.
//
// The key has to be 32 random bytes. A password is not: whoever has recorded a
// message can try passwords on it as fast as he can compute.
//
// The methods may be called concurrently, though messages have to arrive in the
// order in which they were encoded.
type Seal struct {
	key   [32]byte        // immutable
	check [checkSize]byte // immutable
	err   error           // immutable; why there is no key

	mu    sync.Mutex // a nonce that is used twice would give everything away
	own   sender     // guarded by mu
	peer  sender     // guarded by mu; known after its first genuine message
	nonce [12]byte   // guarded by mu; scratch
}

// NewSeal returns a Seal for one end of one connection. The key is 32 random
// bytes, as crypto/rand makes them. Where the cryptography that it needs is not
// available (GODEBUG=fips140=only does not allow it), the methods fail.
func NewSeal(key [32]byte) *Seal {
	var id [idSize]byte
	rand.Read(id[:]) // never fails
	s := &Seal{key: key}
	if s.check, s.err = keyCheck(&key); s.err == nil {
		s.own, s.err = newSender(&key, id)
	}
	return s
}

// Encode appends src, sealed, to dst: [Overhead] bytes more than src has. It
// fails with [ErrExhausted] after 2^64-1 messages, with [ErrTooLong] if src is
// longer than 64 GiB - 32, and with [ErrKey] without a key.
func (s *Seal) Encode(dst, src []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.own.aead == nil:
		return dst, s.noKey()
	case uint64(len(src)) > maxPlain:
		return dst, fmt.Errorf("seal: %w: %d bytes, expected at most %d", ErrTooLong, len(src), uint64(maxPlain))
	case s.own.last == math.MaxUint64:
		return dst, fmt.Errorf("seal: %w after message %d", ErrExhausted, s.own.last)
	}
	s.own.last++
	start := len(dst)
	out := slices.Grow(dst, Overhead+len(src))
	out = append(out, s.check[:]...)
	out = append(out, s.own.id[:]...)
	out = binary.BigEndian.AppendUint64(out, s.own.last)
	return s.own.aead.Seal(out, s.nonceOf(s.own.last), src, out[start:]), nil
}

// Decode appends to dst the message that was sealed in src, once it is known to
// be genuine and next. Before it decrypts, it fails with [ErrKey] or with
// [ErrTooLong], if the message is longer than limit bytes. Then, with
// [ErrDamaged] if the peer did not seal this, and, if it did, with
// [ErrReflected], [ErrSender] or [ErrReplay]. An error does not change what
// the next message has to be.
func (s *Seal) Decode(dst, src []byte, limit int) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.own.aead == nil:
		return dst, s.noKey()
	case len(src) < Overhead:
		return dst, fmt.Errorf("seal: %w: %d bytes, expected at least %d", ErrDamaged, len(src), Overhead)
	case !bytes.Equal(src[:checkSize], s.check[:]):
		return dst, fmt.Errorf("seal: %w: its check is %x, expected %x", ErrKey, src[:checkSize], s.check)
	case len(src)-Overhead > limit:
		return dst, fmt.Errorf("seal: %w: %d bytes, expected at most %d", ErrTooLong, len(src)-Overhead, limit)
	}
	from, err := s.from(src[checkSize : checkSize+idSize])
	if err != nil {
		return dst, fmt.Errorf("seal: %w", err)
	}
	counter := binary.BigEndian.Uint64(src[checkSize+idSize:])
	out, err := from.aead.Open(dst, s.nonceOf(counter), src[headerSize:], src[:headerSize])
	if err != nil {
		return dst, fmt.Errorf("seal: %w: %d bytes, numbered %d, are not what a sender %x has sealed", ErrDamaged, len(src), counter, from.id)
	}
	if err := s.expected(from, counter); err != nil {
		clear(out[len(dst):])
		return dst, fmt.Errorf("seal: %w", err)
	}
	s.peer = from
	s.peer.last = counter
	return out, nil
}

// from returns the sender with this ID. It need not be one to receive from.
func (s *Seal) from(id []byte) (sender, error) {
	for _, known := range [...]*sender{&s.peer, &s.own} {
		if known.aead != nil && bytes.Equal(known.id[:], id) {
			return *known, nil
		}
	}
	return newSender(&s.key, [idSize]byte(id))
}

// expected returns what is wrong with a genuine message, if it is not the next.
func (s *Seal) expected(from sender, counter uint64) error {
	switch {
	case from.id == s.own.id:
		return fmt.Errorf("%w: number %d of %d", ErrReflected, counter, s.own.last)
	case s.peer.aead != nil && from.id != s.peer.id:
		return fmt.Errorf("%w: %x, expected %x", ErrSender, from.id, s.peer.id)
	case counter <= s.peer.last:
		return fmt.Errorf("%w: number %d, expected one above %d", ErrReplay, counter, s.peer.last)
	}
	return nil
}

func (s *Seal) nonceOf(counter uint64) []byte {
	binary.BigEndian.PutUint64(s.nonce[4:], counter)
	return s.nonce[:]
}

func (s *Seal) noKey() error {
	if s.err != nil {
		return fmt.Errorf("seal: %w: %w", ErrKey, s.err)
	}
	return fmt.Errorf("seal: %w: none was given, expected one from NewSeal", ErrKey)
}
