package transform_test

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/adler32"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/transform"
)

func expectTooLong(t testing.TB, tr conn.Transform, encoded []byte, limit int) {
	t.Helper()
	expectRefused(t, tr, encoded, limit, transform.ErrTooLong)
}

const hellos = "hello hello hello hello"

// fromPython is what zlib of CPython 3.11 makes; how is its name.
var fromPython = []struct{ name, message, encoded string }{
	{"compress, empty", "", "789c030000000001"},
	{"compress", hellos, "789ccb48cdc9c957c8402701680308b1"},
	{"compress, level 0", hellos, "7801011700e8ff68656c6c6f2068656c6c6f2068656c6c6f2068656c6c6f680308b1"},
	{"compress, level 1", hellos, "7801cb48cdc9c957c8402701680308b1"},
	{"compress, level 9", hellos, "78dacb48cdc9c957c8402701680308b1"},
	{"compress, zeros", strings.Repeat("\x00", 1000), "789c63601805a360140c77000003e80001"},
	{"compressobj, 9 bits of window", hellos, "1895cb48cdc9c957c8402701680308b1"},
	{"compressobj, flushed inside", hellos, "789cca48cdc9c957c8009200000000ffff432101680308b1"},
}

func TestZlibDecodesWhatPythonMakes(t *testing.T) {
	for _, v := range fromPython {
		t.Run(v.name, func(t *testing.T) {
			expectDecoded(t, &transform.Zlib{}, unhex(t, v.encoded), []byte(v.message))
		})
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

func TestAZlibStreamIsWholeAndAlone(t *testing.T) {
	streams := map[string][]byte{"ours": encode(t, &transform.Zlib{}, content(300))}
	for _, v := range fromPython {
		streams[v.name] = unhex(t, v.encoded)
	}
	for name, stream := range streams {
		t.Run(name, func(t *testing.T) {
			for n := range stream {
				expectRefused(t, &transform.Zlib{}, stream[:n], noLimit, transform.ErrDamaged)
			}
			for _, more := range [][]byte{{0}, stream, make([]byte, 100_000)} {
				expectRefused(t, &transform.Zlib{}, slices.Concat(stream, more), noLimit, transform.ErrDamaged)
				expectRefused(t, &transform.Zlib{}, slices.Concat(more, stream), noLimit, transform.ErrDamaged)
			}
		})
	}
}

func TestAFlippedBitOfAZlibStreamChangesNothingUnnoticed(t *testing.T) {
	for _, msg := range [][]byte{nil, []byte(hellos), content(500), bytes.Repeat([]byte{7}, 5000)} {
		stream := encode(t, &transform.Zlib{}, msg)
		harmless := 0
		for bit := range 8 * len(stream) {
			flipped := slices.Clone(stream)
			flipped[bit/8] ^= 1 << (bit % 8)
			out, err := (&transform.Zlib{}).Decode(nil, flipped, noLimit)
			switch {
			case errors.Is(err, transform.ErrDamaged):
			case err == nil && bytes.Equal(out, msg):
				harmless++
			default:
				t.Errorf("bit %d of %x: decoded to %.50q, %v", bit, stream, out, err)
			}
		}
		if most := 12; harmless > most { // what fills the last byte, and its like
			t.Errorf("%d bits of %d do not matter, expected at most %d", harmless, 8*len(stream), most)
		}
	}
}

func TestZlibDamage(t *testing.T) {
	for name, encoded := range map[string]string{
		"nothing":           "",
		"not zlib":          "68656c6c6f",
		"gzip":              "1f8b0800000000000003030000000000000000000000",
		"deflate alone":     "030000000001",
		"another checksum":  "789ccb48cdc9c957c8402701680308b2",
		"a dictionary":      "78bb08610235cbc04e0200680308b1",
		"a reserved block":  "789c070000000001",
		"only a header":     "789c",
		"a distance before": "789c4b84110000000001",
	} {
		t.Run(name, func(t *testing.T) {
			expectRefused(t, &transform.Zlib{}, unhex(t, encoded), noLimit, transform.ErrDamaged)
			// What the reader was left with does not disturb it.
			expectDecoded(t, &transform.Zlib{}, unhex(t, fromPython[1].encoded), []byte(hellos))
		})
	}
}

func TestAZlibErrorSaysWhere(t *testing.T) {
	for want, err := range map[string]error{
		"zlib: damaged message: at byte 10 of 10: unexpected EOF":                            decodeError(unhex(t, fromPython[1].encoded)[:10], 100),
		"zlib: damaged message: at byte 16 of 16: zlib: invalid checksum":                    decodeError(unhex(t, "789ccb48cdc9c957c8402701680308b2"), 100),
		"zlib: damaged message: the stream ends at byte 8 of 9, expected the last":           decodeError(append(unhex(t, fromPython[0].encoded), 0), 100),
		"zlib: message too long: 16 bytes hold more than the 22 that are allowed":            decodeError(unhex(t, fromPython[1].encoded), 22),
		"zlib: no such compression level: 10, expected -2 to 9":                              encodeError(10),
		"zlib: no such compression level: -3, expected -2 to 9":                              encodeError(-3),
		"zlib: damaged message: at byte 2 of 5: zlib: invalid header":                        decodeError([]byte("hello"), 100),
		"zlib: no such compression level: " + fmt.Sprint(math.MinInt) + ", expected -2 to 9": encodeError(math.MinInt),
	} {
		if err == nil || err.Error() != want {
			t.Errorf("the error is %q, expected %q", err, want)
		}
	}
	if err := decodeError(unhex(t, "789ccb48cdc9c957c8402701680308b2"), 100); !errors.Is(err, zlib.ErrChecksum) {
		t.Errorf("%v does not match zlib.ErrChecksum", err)
	}
	if err := encodeError(10); !errors.Is(err, transform.ErrLevel) {
		t.Errorf("%v does not match ErrLevel", err)
	}
}

func decodeError(encoded []byte, limit int) error {
	_, err := (&transform.Zlib{}).Decode(nil, encoded, limit)
	return err
}

func encodeError(level int) error {
	_, err := (&transform.Zlib{Level: level}).Encode(nil, nil)
	return err
}

func TestAHigherZlibLevelIsSmaller(t *testing.T) {
	msg := content(50_000)
	size := func(level int) int { return len(encode(t, &transform.Zlib{Level: level}, msg)) }
	got := []int{size(zlib.HuffmanOnly), size(1), size(0), size(9)}
	if !slices.IsSortedFunc(got, func(a, b int) int { return b - a }) || got[0] == got[1] || got[1] == got[2] {
		t.Errorf("Huffman only, 1, the default and 9 make %v bytes, expected less and less", got)
	}
	if size(0) != size(zlib.DefaultCompression) || size(0) != size(6) {
		t.Errorf("the zero value makes %d bytes, level 6 %d", size(0), size(6))
	}
}

func TestAZlibMayBeShared(t *testing.T) {
	shared := &transform.Zlib{}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() { // ends with its messages
			for n := range 20 {
				msg := content(500*i + n)
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
}

// zlibOfZeros returns a stream of so many MiB of zeros, without compressing
// them all: what a flush ends can be repeated.
func zlibOfZeros(t testing.TB, mib int) []byte {
	t.Helper()
	var part bytes.Buffer
	w, err := flate.NewWriter(&part, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	w.Write(zeros)
	w.Flush()
	stream := append([]byte{0x78, 0xda}, bytes.Repeat(part.Bytes(), mib)...)
	stream = append(stream, 0x03, 0x00) // the last block: empty
	return binary.BigEndian.AppendUint32(stream, adlerOfZeros(mib<<20))
}

// adlerOfZeros is the checksum of n zeros: the sum stays 1, the sum of the sums
// is n.
func adlerOfZeros(n int) uint32 { return uint32(n%65521)<<16 | 1 }

func TestTheZlibBombOfTheseTestsIsSound(t *testing.T) {
	if got, want := adlerOfZeros(3<<20), adler32.Checksum(make([]byte, 3<<20)); got != want {
		t.Fatalf("the checksum is %08x, expected %08x", got, want)
	}
	expectDecoded(t, &transform.Zlib{}, zlibOfZeros(t, 3), make([]byte, 3<<20))
}

func TestAZlibBombTakesLittleMemory(t *testing.T) {
	const limit = 1 << 20
	for name, bomb := range map[string][]byte{
		"1 GiB":                           zlibOfZeros(t, 1<<10),
		"2 MiB":                           zlibOfZeros(t, 2),
		"1 MiB and 1 byte":                encode(t, &transform.Zlib{}, make([]byte, limit+1)),
		"1 GiB, and something behind it":  append(zlibOfZeros(t, 1<<10), make([]byte, 1<<20)...),
		"1 GiB, and all cut off after it": zlibOfZeros(t, 1<<10)[:100_000],
	} {
		t.Run(name, func(t *testing.T) {
			taken := allocated(func() { expectTooLong(t, &transform.Zlib{}, bomb, limit) })
			if most := uint64(4 * limit); taken > most {
				t.Errorf("%d bytes were allocated for a limit of %d, expected at most %d", taken, limit, most)
			}
		})
	}
}

func TestALargeLimitTakesNoMemory(t *testing.T) {
	small := encode(t, &transform.Zlib{}, content(100))
	taken := allocated(func() {
		expectRefused(t, &transform.Zlib{}, small[:len(small)-1], math.MaxInt, transform.ErrDamaged)
	})
	if most := uint64(100 << 10); taken > most {
		t.Errorf("%d bytes were allocated for a small message, expected at most %d", taken, most)
	}
}
