package zstd_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tinyproto-go/tinyproto/transform"
	"github.com/tinyproto-go/tinyproto/transform/zstd"
)

// sizes are those at which the format or the library does something else, and
// some between.
func sizes(r *rand.Rand) []int {
	some := []int{0, 1, 2, 3, 4, 31, 32, 33, 255, 256, 257, 1023, 1024, 1025, 65791, 65792, 128 << 10, 128<<10 + 1, 300_000}
	for range 30 {
		some = append(some, r.IntN(1<<r.IntN(17)))
	}
	return some
}

func TestEveryMessageIsDecodedToItself(t *testing.T) {
	for _, level := range []int{0, 1, 3, 7, 22} {
		t.Run(fmt.Sprint("level ", level), func(t *testing.T) {
			r := rand.New(rand.NewPCG(4, 2))
			for kind, fill := range contents {
				for i, size := range sizes(r) {
					if level > 3 && i%7 > 0 {
						continue // which would take its time
					}
					msg := make([]byte, size)
					fill(r, msg)
					t.Logf("%d bytes of %s", size, kind)
					roundTrip(t, r, &zstd.Transform{Level: level}, msg)
				}
			}
		})
	}
}

// roundTrip checks what Encode and Decode do to their arguments, too.
func roundTrip(t *testing.T, r *rand.Rand, tr *zstd.Transform, msg []byte) {
	t.Helper()
	dst, prefix := spare(r)
	src := slices.Clone(msg)
	encoded, err := tr.Encode(dst, src)
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
	decoded, err := tr.Decode(dst, src, len(msg))
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

// The memory that a Transform works with is used again: not what it returned.
func TestWhatWasReturnedDoesNotChangeLater(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	var messages, encoded, decoded, copies [][]byte
	for i := range 100 {
		msg := content(r.IntN(10_000))
		messages = append(messages, msg)
		encoded = append(encoded, encode(t, msg))
		copies = append(copies, slices.Clone(encoded[i]))
		out, err := new(zstd.Transform).Decode(nil, encoded[i], len(msg))
		if err != nil {
			t.Fatal(err)
		}
		decoded = append(decoded, out)
		expectRefused(t, encoded[i][:len(encoded[i])-1], noLimit, transform.ErrDamaged)
	}
	for i, msg := range messages {
		if !bytes.Equal(encoded[i], copies[i]) {
			t.Errorf("the encoded message %d has changed", i)
		}
		if !bytes.Equal(decoded[i], msg) {
			t.Errorf("the decoded message %d has changed", i)
		}
	}
}

func TestTheLimitIsWhatTheMessageMayHave(t *testing.T) {
	for _, size := range []int{0, 1, 100, 255, 256, 64 << 10, 500_000} {
		msg := content(size)
		for way, frame := range map[string][]byte{"with its size": encode(t, msg), "without": stream(t, msg)} {
			t.Run(fmt.Sprintf("%d bytes/%s", size, way), func(t *testing.T) {
				for _, limit := range []int{size / 2, size - 1, -1} {
					if limit < size && size > 0 {
						expectRefused(t, frame, limit, transform.ErrTooLong)
					}
				}
				for _, limit := range []int{size, size + 1, 1<<31 - 1} {
					out, err := new(zstd.Transform).Decode(nil, frame, limit)
					if err != nil || !bytes.Equal(out, msg) {
						t.Errorf("with a limit of %d it was decoded to %d bytes, %v", limit, len(out), err)
					}
				}
			})
		}
	}
}

func TestAHigherLevelIsSmaller(t *testing.T) {
	msg := content(200_000)
	size := func(level int) int {
		encoded, err := (&zstd.Transform{Level: level}).Encode(nil, msg)
		if err != nil {
			t.Fatal(err)
		}
		return len(encoded)
	}
	if got := []int{size(1), size(3), size(22)}; got[0] <= got[1] || got[1] <= got[2] {
		t.Errorf("levels 1, 3 and 22 make %v bytes, expected less and less", got)
	}
	if size(0) != size(3) {
		t.Errorf("the zero value makes %d bytes, level 3 %d", size(0), size(3))
	}
}

func TestATransformMayBeSharedAndLeavesNoGoroutine(t *testing.T) {
	shared := new(zstd.Transform)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() { // ends with its messages
			for n := range 50 {
				msg := content(1000*i + n)
				encoded, err := shared.Encode(nil, msg)
				if err != nil {
					t.Error(err)
					return
				}
				if out, err := shared.Decode(nil, encoded, len(msg)); err != nil || !bytes.Equal(out, msg) {
					t.Errorf("%d bytes were decoded to %d bytes, %v", len(msg), len(out), err)
				}
			}
		})
	}
	all.Wait()
	buf := make([]byte, 1<<20)
	if stacks := string(buf[:runtime.Stack(buf, true)]); strings.Contains(stacks, "klauspost") {
		t.Errorf("goroutines of the library are left:\n%s", stacks)
	}
}
