package transform_test

import (
	"bytes"
	"compress/zlib"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/transform"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// ends makes the transforms of the two ends of a connection, by name.
var ends = map[string]func() (sending, receiving conn.Transform){
	"zlib":         zlibEnds(0),
	"zlib fast":    zlibEnds(zlib.BestSpeed),
	"zlib small":   zlibEnds(zlib.BestCompression),
	"zlib huffman": zlibEnds(zlib.HuffmanOnly),
	"seal": func() (conn.Transform, conn.Transform) {
		return transform.NewSeal(testKey), transform.NewSeal(testKey)
	},
}

func zlibEnds(level int) func() (sending, receiving conn.Transform) {
	return func() (conn.Transform, conn.Transform) {
		return &transform.Zlib{Level: level}, &transform.Zlib{}
	}
}

var testKey = [32]byte([]byte("0123456789abcdefghijklmnopqrstuv"))

// noLimit is a limit for what is not about limits.
const noLimit = 64 << 20

// contents fill a message in the ways that matter to a compression.
var contents = map[string]func(r *rand.Rand, msg []byte){
	"zeros": func(_ *rand.Rand, msg []byte) { clear(msg) },
	"noise": func(r *rand.Rand, msg []byte) {
		for i := range msg {
			msg[i] = byte(r.Uint32())
		}
	},
	"text": func(r *rand.Rand, msg []byte) {
		words := []string{"the ", "inbox ", "of ", "a ", "connection ", "is ", "closed ", "once. "}
		for len(msg) > 0 {
			msg = msg[copy(msg, words[r.IntN(len(words))]):]
		}
	},
}

// content returns a message that looks compressible.
func content(size int) []byte {
	msg := make([]byte, size)
	contents["text"](rand.New(rand.NewPCG(1, uint64(size))), msg)
	return msg
}

func encode(t testing.TB, tr conn.Transform, msg []byte) []byte {
	t.Helper()
	encoded, err := tr.Encode(nil, msg)
	if err != nil {
		t.Fatalf("Encode of %d bytes: %v", len(msg), err)
	}
	return encoded
}

// expectDecoded fails the test unless encoded was made of msg.
func expectDecoded(t testing.TB, tr conn.Transform, encoded, msg []byte) {
	t.Helper()
	decoded, err := tr.Decode(nil, encoded, noLimit)
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	if !bytes.Equal(decoded, msg) {
		t.Fatalf("decoded to %d bytes %.100x, expected %d bytes %.100x", len(decoded), decoded, len(msg), msg)
	}
}

// expectRefused fails the test unless Decode fails with want and returns dst as
// it was.
func expectRefused(t testing.TB, tr conn.Transform, encoded []byte, limit int, want error) {
	t.Helper()
	dst := []byte("prefix")
	decoded, err := tr.Decode(dst, encoded, limit)
	if !errors.Is(err, want) {
		t.Errorf("Decode of %.100x failed with %v, expected %v", encoded, err, want)
	}
	if string(decoded) != "prefix" || &decoded[0] != &dst[0] {
		t.Errorf("the failed Decode returned %.50q, expected its dst", decoded)
	}
}

// allocated returns how many bytes were allocated while f ran.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
