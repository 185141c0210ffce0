package transcript

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// tpft sent its big file, gen(tpftSize), in messages of tpftChunk bytes and a
// shorter last one.
const (
	tpftSize  = 10 << 20
	tpftChunk = 4 << 20
)

var tpftFile = sync.OnceValue(func() []byte { return Gen(tpftSize) })

// Gen returns the n deterministic bytes that the files call gen(n). Different n
// give unrelated bytes: Gen(2) does not begin with Gen(1).
func Gen(n int) []byte {
	b := make([]byte, 0, n+sha256.Size)
	var in [16]byte
	binary.BigEndian.PutUint64(in[:8], uint64(n))
	for k := uint64(0); len(b) < n; k++ {
		binary.BigEndian.PutUint64(in[8:], k)
		sum := sha256.Sum256(in[:])
		b = append(b, sum[:]...)
	}
	return b[:n]
}

// decode returns the bytes of a line's tokens, at least one.
func decode(tokens string) ([]byte, error) {
	var data []byte
	for token := range strings.FieldsSeq(tokens) {
		if ref, ok := strings.CutPrefix(token, "@"); ok {
			b, err := payload(ref)
			if err != nil {
				return nil, err
			}
			data = append(data, b...)
			continue
		}
		b, err := hex.DecodeString(token)
		if err != nil || strings.ToLower(token) != token {
			return nil, unexpected("lower case hex or @LEN:sha256:HEX", token)
		}
		data = append(data, b...)
	}
	if len(data) == 0 {
		return nil, unexpected("tokens behind the direction", tokens)
	}
	return data, nil
}

// payload finds the bytes that LEN:sha256:HEX stands for. A hash can't be turned
// back, but nothing so long was sent that wasn't generated.
func payload(ref string) ([]byte, error) {
	length, sum, ok := strings.Cut(ref, ":sha256:")
	n, err := strconv.Atoi(length)
	// Without an upper bound a typing error could allocate all memory.
	if !ok || err != nil || n < 1 || n > tpftSize {
		return nil, unexpected(fmt.Sprintf("@LEN:sha256:HEX with LEN from 1 to %d", tpftSize), "@"+ref)
	}
	for off := 0; off < tpftSize; off += tpftChunk {
		// The length first: it spares most files the 10 MiB.
		if end := min(off+tpftChunk, tpftSize); n == end-off {
			if b := tpftFile()[off:end]; hexSum(b) == sum {
				return b, nil
			}
		}
	}
	if b := Gen(n); hexSum(b) == sum {
		return b, nil
	}
	return nil, unexpected(fmt.Sprintf("the SHA-256 of gen(%d) or of a tpft message", n), sum)
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// eagerRule is all that n-eager-sink-200x50 says about its bytes: its payloads
// are too short to be abbreviated and too many to be written down.
const eagerRule = "C->S ff, then size+gen(50+i) for i in 0..199 in one write; S->C ff then 200 times ff"

// eagerEvents are the bytes of eagerRule in the order in which the other
// n-eager-sink files have theirs.
func eagerEvents() []Event {
	const messages = 200
	var sent []byte
	for i := range messages {
		sent = binary.BigEndian.AppendUint32(sent, uint32(50+i))
		sent = append(sent, Gen(50+i)...)
	}
	return []Event{
		{From: ClientToServer, Data: []byte{0xff}},
		{From: ServerToClient, Data: []byte{0xff}},
		{From: ClientToServer, Data: sent},
		{From: ServerToClient, Data: bytes.Repeat([]byte{0xff}, messages)},
	}
}
