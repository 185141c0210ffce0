package zstd_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	klauspost "github.com/klauspost/compress/zstd"

	"github.com/tinyproto-go/tinyproto/transform"
	"github.com/tinyproto-go/tinyproto/transform/zstd"
)

const hellos = "hello hello hello hello"

// fromProgram is what the zstd program, 1.5.4, makes; how is its name.
var fromProgram = []struct{ name, message, encoded string }{
	{"zstd", hellos, "28b52ffd24176500003068656c6c6f200100994b11175eae0d"},
	{"zstd --no-check", hellos, "28b52ffd20176500003068656c6c6f200100994b11"},
	{"zstd --no-content-size", hellos, "28b52ffd04006500003068656c6c6f200100994b11175eae0d"},
	{"zstd --fast=3", hellos, "28b52ffd2417b9000068656c6c6f2068656c6c6f2068656c6c6f2068656c6c6f175eae0d"},
	{"zstd, of a pipe", hellos, "28b52ffd04586500003068656c6c6f200100994b11175eae0d"},
	{"zstd, empty", "", "28b52ffd240001000099e9d851"},
	{"zstd, zeros", strings.Repeat("\x00", 1000), "28b52ffd64e8024d00001000000100e32b80055a074479"},
	{"zstd --long=27 --no-content-size, zeros", strings.Repeat("\x00", 1000), "28b52ffd04005d00001000000200d26d566006585a074479"},
	{"zstd, of a pipe, zeros", strings.Repeat("\x00", 300_000), "28b52ffd04585400001000000100fbff39c00202001000039f04002d28de26"},
}

func TestTheFramesOfTheZstdProgramAreDecoded(t *testing.T) {
	for _, v := range fromProgram {
		t.Run(v.name, func(t *testing.T) {
			expectDecoded(t, unhex(t, v.encoded), []byte(v.message))
		})
	}
}

// stream returns msg in a frame that does not say its size, in several blocks.
func stream(t testing.TB, msg []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := klauspost.NewWriter(&out, klauspost.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	for part := range slices.Chunk(msg, len(msg)/3+1) {
		w.Write(part)
		w.Flush()
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestAFrameWithoutItsSizeIsDecoded(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for kind, fill := range contents {
		for _, size := range sizes(r) {
			msg := make([]byte, size)
			fill(r, msg)
			t.Logf("%d bytes of %s", size, kind)
			expectDecoded(t, stream(t, msg), msg)
		}
	}
}

func TestAFrameIsWholeAndAlone(t *testing.T) {
	skip := []byte{0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7} // a frame to skip, of one byte
	frames := map[string][]byte{"ours": encode(t, content(300)), "ours, empty": encode(t, nil)}
	for _, v := range fromProgram {
		frames[v.name] = unhex(t, v.encoded)
	}
	for name, frame := range frames {
		t.Run(name, func(t *testing.T) {
			for n := range frame {
				expectRefused(t, frame[:n], noLimit, transform.ErrDamaged)
			}
			for _, more := range [][]byte{{0}, frame, skip, make([]byte, 100_000)} {
				expectRefused(t, slices.Concat(frame, more), noLimit, transform.ErrDamaged)
				expectRefused(t, slices.Concat(more, frame), noLimit, transform.ErrDamaged)
			}
		})
	}
	expectRefused(t, skip, noLimit, transform.ErrDamaged)
}

func TestAFlippedBitOfAFrameChangesNothingUnnoticed(t *testing.T) {
	for _, msg := range [][]byte{[]byte(hellos), content(500), bytes.Repeat([]byte{7}, 5000)} {
		for _, frame := range [][]byte{encode(t, msg), stream(t, msg)} {
			harmless := 0
			for bit := range 8 * len(frame) {
				flipped := slices.Clone(frame)
				flipped[bit/8] ^= 1 << (bit % 8)
				out, err := new(zstd.Transform).Decode(nil, flipped, noLimit)
				switch {
				case errors.Is(err, transform.ErrDamaged) || errors.Is(err, transform.ErrTooLong):
				case err == nil && bytes.Equal(out, msg):
					harmless++
				default:
					t.Errorf("bit %d of %x: decoded to %.50q, %v", bit, frame, out, err)
				}
			}
			if most := 8 * len(frame) / 10; harmless > most { // what does not count, or is written in two ways
				t.Errorf("%d bits of %d do not matter, expected at most %d", harmless, 8*len(frame), most)
			}
		}
	}
}

// A forged frame: what its header says, and its blocks.
type forged struct {
	says   uint64 // its size; 0 means that it doesn't say
	window byte   // as in the header, where it does not say its size
	blocks []byte
}

func (f forged) bytes() []byte {
	b := []byte{0x28, 0xb5, 0x2f, 0xfd}
	if f.says == 0 {
		b = append(b, 0, f.window)
	} else {
		b = binary.LittleEndian.AppendUint64(append(b, 0xe0), f.says) // one segment
	}
	return append(b, f.blocks...)
}

// repeated returns n blocks of so many zeros, in 4 bytes each.
func repeated(n, size int) (blocks []byte) {
	for i := range n {
		header := size<<3 | 1<<1
		if i == n-1 {
			header |= 1 // the last
		}
		blocks = append(blocks, byte(header), byte(header>>8), byte(header>>16), 0)
	}
	return blocks
}

const (
	block     = 128 << 10 // the largest
	megabytes = 0x58      // a window of 2 MiB
	gigabyte  = 0xa0      // a window of 1 GiB
)

func TestTheForgedFramesOfTheseTestsAreSound(t *testing.T) {
	for _, f := range []forged{
		{says: 3 * block, blocks: repeated(3, block)},
		{window: megabytes, blocks: repeated(3, block)},
		{window: gigabyte, blocks: repeated(3, block)},
	} {
		expectDecoded(t, f.bytes(), make([]byte, 3*block))
	}
}

func TestABombTakesLittleMemory(t *testing.T) {
	const limit = 1 << 20
	for name, bomb := range map[string][]byte{
		"1 GiB":                        forged{says: 1 << 30, blocks: repeated(1<<30/block, block)}.bytes(),
		"1 GiB, unsaid":                forged{window: megabytes, blocks: repeated(1<<30/block, block)}.bytes(),
		"1 GiB, unsaid, large window":  forged{window: gigabyte, blocks: repeated(1<<30/block, block)}.bytes(),
		"1 MiB and 1 byte":             encode(t, make([]byte, limit+1)),
		"1 MiB and 1 byte, unsaid":     stream(t, make([]byte, limit+1)),
		"16 MiB of compressed blocks":  stream(t, make([]byte, 16<<20)),
		"text, unsaid, twice too long": stream(t, content(2*limit)),
	} {
		t.Run(name, func(t *testing.T) {
			taken := allocated(func() { expectRefused(t, bomb, limit, transform.ErrTooLong) })
			if most := uint64(5 * limit); taken > most {
				t.Errorf("%d bytes were allocated for a limit of %d, expected at most %d", taken, limit, most)
			}
		})
	}
}

// Whatever the header claims: memory is for what can be there.
func TestALyingHeaderTakesNoMemory(t *testing.T) {
	for name, f := range map[string]forged{
		"claims 60 MiB":               {says: 60 << 20, blocks: repeated(1, 100)},
		"claims 2 blocks, has 1":      {says: 2 * block, blocks: repeated(1, block)},
		"claims 1 byte more":          {says: 101, blocks: repeated(1, 100)},
		"claims 1 byte less":          {says: 99, blocks: repeated(1, 99+1)},
		"claims 60 MiB, has no block": {says: 60 << 20},
		"a block larger than any":     {window: gigabyte, blocks: repeated(2, block+1)},
		"a block above its window":    {window: 0, blocks: repeated(2, 1025)},
		"blocks without a last":       {window: gigabyte, blocks: repeated(3, block)[:8]},
		"a reserved block":            {window: 0, blocks: []byte{7, 0, 0}},
		"a window of 3.75 TiB":        {window: 0xff, blocks: repeated(1, 100)},
	} {
		t.Run(name, func(t *testing.T) {
			taken := allocated(func() { expectRefused(t, f.bytes(), noLimit, transform.ErrDamaged) })
			if most := uint64(1 << 20); taken > most {
				t.Errorf("%d bytes were allocated, expected at most %d", taken, most)
			}
		})
	}
	unsaid := forged{says: math.MaxUint64, blocks: repeated(1, 100)}.bytes()
	expectRefused(t, unsaid, math.MaxInt, transform.ErrDamaged)
}

func TestALargeLimitTakesNoMemory(t *testing.T) {
	msg := content(1000)
	for name, frame := range map[string][]byte{"with its size": encode(t, msg), "without": stream(t, msg)} {
		expectDecoded(t, frame, msg) // so that there is a decoder
		taken := allocated(func() {
			if _, err := new(zstd.Transform).Decode(nil, frame, math.MaxInt); err != nil {
				t.Error(err)
			}
		})
		if most := uint64(1 << 20); taken > most {
			t.Errorf("%s: %d bytes were allocated for a small message, expected at most %d", name, taken, most)
		}
	}
}

// Its window says how little it can hold.
func TestASmallFrameWithoutItsSizeTakesLittleMemory(t *testing.T) {
	frame := unhex(t, fromProgram[2].encoded)
	runtime.GC()
	runtime.GC() // no decoder is left now
	taken := allocated(func() { expectDecoded(t, frame, []byte(hellos)) })
	if most := uint64(100 << 10); taken > most {
		t.Errorf("%d bytes were allocated, expected at most %d", taken, most)
	}
}

func TestWhatIsHandedOnHasNoMemoryToSpare(t *testing.T) {
	msg := content(1000)
	for name, frame := range map[string][]byte{"with its size": encode(t, msg), "without": stream(t, msg)} {
		out, err := new(zstd.Transform).Decode(nil, frame, noLimit)
		if err != nil {
			t.Fatal(err)
		}
		if most := 2 * len(msg); cap(out) > most {
			t.Errorf("%s: %d bytes come with a capacity of %d, expected at most %d", name, len(out), cap(out), most)
		}
	}
}

func TestAFrameWithADictionaryIsDamage(t *testing.T) {
	expectRefused(t, unhex(t, "28b52ffd2507176500003068656c6c6f200100994b11175eae0d"), noLimit, transform.ErrDamaged)
}

func TestAnErrorSaysWhatWasExpectedAndSeen(t *testing.T) {
	hello := unhex(t, fromProgram[0].encoded)
	changed := slices.Clone(hello)
	changed[len(changed)-1] ^= 1
	for _, v := range []struct {
		encoded []byte
		limit   int
		want    string
	}{
		{nil, 100, "zstd: damaged message: header of 0 bytes: unexpected EOF"},
		{[]byte("hello"), 100, "zstd: damaged message: header of 5 bytes: invalid input: magic number mismatch"},
		{hello[:len(hello)-1], 100, "zstd: damaged message: 24 bytes, expected 25"},
		{append(hello[:len(hello):len(hello)], 0), 100, "zstd: damaged message: 26 bytes, expected 25"},
		{changed, 100, "zstd: damaged message: 25 bytes: CRC check failed"},
		{hello, 22, "zstd: message too long: 23 bytes, expected at most 22"},
		{unhex(t, fromProgram[2].encoded), 22, "zstd: message too long: 25 bytes hold more than the 22 that are allowed"},
		{forged{says: 1000, blocks: repeated(1, 100)}.bytes(), 2000, "zstd: damaged message: says that it holds 1000 bytes, and can't hold more than 100"},
		{forged{blocks: repeated(2, 100)[:5]}.bytes(), 100, "zstd: damaged message: ends at byte 11, expected another block at 10"},
		{forged{blocks: repeated(1, block+1)}.bytes(), 100, "zstd: damaged message: block of 131073 bytes at byte 9, expected at most 131072"},
		{forged{blocks: []byte{7, 0, 0}}.bytes(), 100, "zstd: damaged message: block of a reserved type at byte 9"},
		{[]byte{0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0}, 100, "zstd: damaged message: a frame to skip, expected one with a message"},
	} {
		_, err := new(zstd.Transform).Decode(nil, v.encoded, v.limit)
		if diff := cmp.Diff(v.want, fmt.Sprint(err)); diff != "" {
			t.Errorf("the error for %.100x (-want +got):\n%s", v.encoded, diff)
		}
	}
	if _, err := new(zstd.Transform).Decode(nil, changed, 100); !errors.Is(err, klauspost.ErrCRCMismatch) {
		t.Errorf("%v does not match the library's ErrCRCMismatch", err)
	}
	for _, level := range []int{-1, 23, math.MinInt, math.MaxInt} {
		out, err := (&zstd.Transform{Level: level}).Encode([]byte("dst"), nil)
		want := fmt.Sprintf("zstd: no such compression level: %d, expected 1 to 22", level)
		if !errors.Is(err, transform.ErrLevel) || err.Error() != want || string(out) != "dst" {
			t.Errorf("level %d: Encode returned %q, %v; expected its dst and %s", level, out, err, want)
		}
	}
}
