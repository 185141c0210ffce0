package zstd_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/transform/zstd"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var _ conn.Transform = (*zstd.Transform)(nil)

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

func encode(t testing.TB, msg []byte) []byte {
	t.Helper()
	encoded, err := new(zstd.Transform).Encode(nil, msg)
	if err != nil {
		t.Fatalf("Encode of %d bytes: %v", len(msg), err)
	}
	return encoded
}

// expectDecoded fails the test unless encoded was made of msg.
func expectDecoded(t testing.TB, encoded, msg []byte) {
	t.Helper()
	decoded, err := new(zstd.Transform).Decode(nil, encoded, len(msg))
	if err != nil {
		t.Fatalf("Decode of %.100x: %v", encoded, err)
	}
	if !bytes.Equal(decoded, msg) {
		t.Fatalf("decoded to %d bytes %.100x, expected %d bytes %.100x", len(decoded), decoded, len(msg), msg)
	}
}

// expectRefused fails the test unless Decode fails with want and returns dst as
// it was.
func expectRefused(t testing.TB, encoded []byte, limit int, want error) {
	t.Helper()
	dst := []byte("prefix")
	decoded, err := new(zstd.Transform).Decode(dst, encoded, limit)
	if !errors.Is(err, want) {
		t.Errorf("Decode of %.100x failed with %v, expected %v", encoded, err, want)
	}
	if string(decoded) != "prefix" || &decoded[0] != &dst[0] {
		t.Errorf("the failed Decode returned %.50q, expected its dst", decoded)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// allocated returns how many bytes were allocated while f ran.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
