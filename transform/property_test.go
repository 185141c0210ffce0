package transform_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
)

// sizes are those at which something changes inside of a transform, and some
// between.
func sizes(r *rand.Rand) []int {
	some := []int{0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 257, 4095, 4096, 4097, 65535, 65536, 65537}
	for range 20 {
		some = append(some, r.IntN(1<<r.IntN(17)))
	}
	return some
}

func TestEveryMessageIsDecodedToItself(t *testing.T) {
	for name, make2 := range ends {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(4, 2))
			sending, receiving := make2()
			for kind, fill := range contents {
				for _, size := range sizes(r) {
					msg := make([]byte, size)
					fill(r, msg)
					t.Logf("%d bytes of %s", size, kind)
					roundTrip(t, r, sending, receiving, msg)
				}
			}
		})
	}
}

// roundTrip checks what Encode and Decode do to their arguments, too.
func roundTrip(t *testing.T, r *rand.Rand, sending, receiving conn.Transform, msg []byte) {
	t.Helper()
	dst, prefix := spare(r)
	src := slices.Clone(msg)
	encoded, err := sending.Encode(dst, src)
	if err != nil {
		t.Fatalf("Encode: %v", err)
	}
	if !bytes.Equal(src, msg) {
		t.Fatal("Encode changed src")
	}
	clear(src) // which the result must not need any more
	encoded, found := bytes.CutPrefix(encoded, prefix)
	if !found {
		t.Fatal("Encode did not keep what dst held")
	}

	dst, prefix = spare(r)
	src = slices.Clone(encoded)
	decoded, err := receiving.Decode(dst, src, len(msg))
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	if !bytes.Equal(src, encoded) {
		t.Fatal("Decode changed src")
	}
	clear(src)
	decoded, found = bytes.CutPrefix(decoded, prefix)
	if !found {
		t.Fatal("Decode did not keep what dst held")
	}
	if !bytes.Equal(decoded, msg) {
		t.Fatalf("decoded to %d bytes that differ", len(decoded))
	}
}

// spare returns a dst with something in it, mostly, and with capacity left,
// mostly; and a copy of what is in it.
func spare(r *rand.Rand) (dst, prefix []byte) {
	switch r.IntN(4) {
	case 0:
		return nil, nil
	case 1:
		return make([]byte, 0, 1<<r.IntN(18)), nil
	}
	dst = make([]byte, 1+r.IntN(100), 101+r.IntN(2)*r.IntN(1<<18))
	contents["noise"](r, dst)
	return dst, slices.Clone(dst)
}

// The memory that a transform works with is used again: not what it returned.
func TestWhatWasReturnedDoesNotChangeLater(t *testing.T) {
	for name, make2 := range ends {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(5, 1))
			sending, receiving := make2()
			var messages, encoded, decoded, copies [][]byte
			for i := range 30 {
				msg := content(r.IntN(5000))
				messages = append(messages, msg)
				encoded = append(encoded, encode(t, sending, msg))
				copies = append(copies, slices.Clone(encoded[i]))
				out, err := receiving.Decode(nil, encoded[i], len(msg))
				if err != nil {
					t.Fatal(err)
				}
				decoded = append(decoded, out)
			}
			for i, msg := range messages {
				if !bytes.Equal(encoded[i], copies[i]) {
					t.Errorf("the encoded message %d has changed", i)
				}
				if !bytes.Equal(decoded[i], msg) {
					t.Errorf("the decoded message %d has changed", i)
				}
			}
		})
	}
}

func TestTheLimitIsWhatTheMessageMayHave(t *testing.T) {
	for name, make2 := range ends {
		for _, size := range []int{0, 1, 100, 64 << 10} {
			t.Run(fmt.Sprintf("%s/%d bytes", name, size), func(t *testing.T) {
				sending, receiving := make2()
				msg := content(size)
				encoded := encode(t, sending, msg)
				for _, limit := range []int{size / 2, size - 1, -1} {
					if limit < size && size > 0 {
						expectTooLong(t, receiving, encoded, limit)
					}
				}
				for _, limit := range []int{size, size + 1, 1<<31 - 1} {
					sending, receiving = make2()
					out, err := receiving.Decode(nil, encode(t, sending, msg), limit)
					if err != nil || !bytes.Equal(out, msg) {
						t.Errorf("with a limit of %d it was decoded to %d bytes, %v", limit, len(out), err)
					}
				}
			})
		}
	}
}
