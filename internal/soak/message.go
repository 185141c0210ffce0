package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"sync"
)

// A message says whose it is, which of its sender's it is, how long, and has a
// checksum of all of it: from (8 bytes), number (8), size (4), CRC-32C (4), body.
// One that is too short for that is the beginning of what hash64 makes of the
// first two. The rest of a message is a function of them too, so that a
// receiver needs nothing but the message to see that it is whole, and that it
// stands where it belongs.
const (
	headerSize = 24
	maxMessage = 4 << 20 // the server's limit; clients have others
)

// What a message can be that it should not be.
var (
	errDamaged  = errors.New("damaged")
	errForeign  = errors.New("of another sender")
	errRepeated = errors.New("doubled, or out of order")
	errMissing  = errors.New("messages are missing")
	errUnasked  = errors.New("echo of nothing that is due")
)

// pattern is what bodies are cut from: one for all, as filling megabytes with
// noise would be most of what the program does.
var pattern = sync.OnceValue(func() []byte {
	p := make([]byte, maxMessage+patternOffsets)
	rand.NewChaCha8([32]byte{1}).Read(p)
	return p
})

const patternOffsets = 64 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func body(from, number uint64, size int) []byte {
	offset := int(hash64(from, number) % patternOffsets)
	return pattern()[offset : offset+size]
}

// header returns that of a message of size bytes, and the first bytes of a
// shorter one.
func header(from, number uint64, size int, body []byte) []byte {
	h := make([]byte, headerSize)
	if size < headerSize {
		for i := 0; i < headerSize; i += 8 {
			binary.BigEndian.PutUint64(h[i:], hash64(from, number+uint64(i)<<32))
		}
		return h[:size]
	}
	binary.BigEndian.PutUint64(h, from)
	binary.BigEndian.PutUint64(h[8:], number)
	binary.BigEndian.PutUint32(h[16:], uint32(size))
	crc := crc32.Update(crc32.Update(0, castagnoli, h[:20]), castagnoli, body)
	binary.BigEndian.PutUint32(h[20:], crc)
	return h
}

// compose returns a message with the body that it has by default.
func compose(from, number uint64, size int) []byte {
	return composeBody(from, number, body(from, number, max(size-headerSize, 0)), size)
}

// composeBody returns a message of size bytes with this body, if it has one.
func composeBody(from, number uint64, body []byte, size int) []byte {
	msg := make([]byte, size)
	copy(msg, header(from, number, size, body))
	copy(msg[min(size, headerSize):], body)
	return msg
}

// reading returns the message that compose would, piece by piece.
func reading(from, number uint64, size int) io.Reader {
	b := body(from, number, max(size-headerSize, 0))
	return io.MultiReader(bytes.NewReader(header(from, number, size, b)), bytes.NewReader(b))
}

// hash64 is splitmix64 of the two.
func hash64(a, b uint64) uint64 {
	x := a*0x9e3779b97f4a7c15 + b + 0x632be59bd9b4e019
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// checker reads a message, in one piece or many, and keeps what it says of
// itself: the zero value is ready. It is no longer than its header.
type checker struct {
	head [headerSize]byte
	size int
	crc  uint32
}

// Write never fails.
func (c *checker) Write(p []byte) (int, error) {
	n := 0
	if c.size < headerSize {
		n = copy(c.head[c.size:], p)
		if c.size+n >= 20 {
			c.crc = crc32.Update(0, castagnoli, c.head[:20])
		}
	}
	c.crc = crc32.Update(c.crc, castagnoli, p[n:])
	c.size += len(p)
	return len(p), nil
}

// sequence is one sender's messages, as a receiver expects them.
type sequence struct {
	from, next uint64
	gaps       uint64 // numbers that were left out, which only some senders may
}

// take checks the next message. An error matches one of the above.
func (s *sequence) take(msg []byte) error {
	var c checker
	c.Write(msg)
	return s.takeChecked(&c)
}

func (s *sequence) takeChecked(c *checker) error {
	if c.size < headerSize {
		if want := header(s.from, s.next, c.size, nil); !bytes.Equal(c.head[:c.size], want) {
			return fmt.Errorf("message of %d bytes is not number %d: % x, expected % x: %w",
				c.size, s.next, c.head[:c.size], want, errDamaged)
		}
		s.next++
		return nil
	}
	from, number := binary.BigEndian.Uint64(c.head[:]), binary.BigEndian.Uint64(c.head[8:])
	size, crc := binary.BigEndian.Uint32(c.head[16:]), binary.BigEndian.Uint32(c.head[20:])
	switch {
	case int(size) != c.size || crc != c.crc:
		return fmt.Errorf("message of %d bytes says size %d and checksum %#x, its checksum is %#x: %w",
			c.size, size, crc, c.crc, errDamaged)
	case from != s.from:
		return fmt.Errorf("message of %#x, expected one of %#x: %w", from, s.from, errForeign)
	case number < s.next:
		return fmt.Errorf("message %d, expected %d: %w", number, s.next, errRepeated)
	}
	s.gaps += number - s.next
	s.next = number + 1
	return nil
}

// sizes draws the size of a message: mostly small, from nothing to limit.
func sizes(rng *rand.Rand, limit int) int {
	var most int
	switch p := rng.IntN(1000); {
	case p < 50:
		return 0
	case p < 650:
		most = 256
	case p < 900:
		most = 4 << 10
	case p < 990:
		most = 64 << 10
	case p < 999:
		most = 512 << 10
	default:
		most = maxMessage
	}
	return rng.IntN(min(most, limit) + 1)
}

// senderOf returns who a message with a header says it is from.
func senderOf(msg []byte) uint64 {
	if len(msg) < headerSize {
		return 0
	}
	return binary.BigEndian.Uint64(msg)
}

// numberOf returns which of its sender's a message with a header says it is.
func numberOf(msg []byte) uint64 {
	if len(msg) < headerSize {
		return 0
	}
	return binary.BigEndian.Uint64(msg[8:])
}

// asking returns a message of a client that asks for one of size bytes.
func asking(from, number uint64, size int) []byte {
	return composeBody(from, number, binary.BigEndian.AppendUint32(nil, uint32(size)), headerSize+4)
}

// asked returns the size that a message asks for.
func asked(msg []byte) (int, error) {
	if len(msg) != headerSize+4 {
		return 0, fmt.Errorf("a message of %d bytes asks for nothing", len(msg))
	}
	return int(binary.BigEndian.Uint32(msg[headerSize:])), nil
}
