package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
)

// A message tells where it comes from: the sender, its sequence number, its
// length and a checksum, as far as there is room for them.
const headerLen = 10

// uniqueLen is from which length on no two messages of a run are alike. Those of
// one sender are, but for the empty ones.
const uniqueLen = 2

// body returns the message number seq of a sender.
func body(sender, seq, size int) []byte {
	if sender > 255 || seq > 255 {
		panic(fmt.Sprintf("message %d of sender %d has no number of one byte", seq, sender))
	}
	p := make([]byte, max(size, headerLen))
	random := rand.New(rand.NewPCG(uint64(sender), uint64(seq)))
	for i := headerLen; i < len(p); i += 8 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], random.Uint64())
		copy(p[i:], word[:])
	}
	p[0], p[1] = byte(seq), byte(sender)
	binary.BigEndian.PutUint32(p[2:], uint32(size))
	binary.BigEndian.PutUint32(p[6:], crc32.ChecksumIEEE(p[headerLen:]))
	return p[:size:size]
}

// describe names a message in a report.
func describe(p []byte) string {
	switch {
	case len(p) < uniqueLen:
		return fmt.Sprintf("[%x] of %d bytes", p, len(p))
	case len(p) < headerLen:
		return fmt.Sprintf("%d/%d of %d bytes", p[1], p[0], len(p))
	case !intact(p):
		return fmt.Sprintf("a damaged message of %d bytes, %x...", len(p), p[:headerLen])
	}
	return fmt.Sprintf("%d/%d of %d bytes", p[1], p[0], len(p))
}

// intact reports whether p is what its sender made.
func intact(p []byte) bool {
	if len(p) < uniqueLen {
		return true
	}
	return bytes.Equal(p, body(int(p[1]), int(p[0]), len(p)))
}
