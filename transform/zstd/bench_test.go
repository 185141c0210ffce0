package zstd_test

import (
	"fmt"
	"testing"

	"github.com/tinyproto-go/tinyproto/transform/zstd"
)

// The benchmarks use the memory of dst again, as a connection does to send, and
// Decode into fresh memory, as it does to receive: B/op is that, too.

var benchSizes = []int{1 << 10, 64 << 10}

func BenchmarkEncode(b *testing.B) {
	for _, level := range []int{1, 3, 9} {
		for _, size := range benchSizes {
			b.Run(fmt.Sprintf("zstd-%d/%d", level, size), func(b *testing.B) {
				tr := &zstd.Transform{Level: level}
				msg, dst := content(size), []byte(nil)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					var err error
					if dst, err = tr.Encode(dst[:0], msg); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(len(dst))/float64(size), "encoded/size")
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, size := range benchSizes {
		frames := map[string][]byte{"size-said": encode(b, content(size)), "size-unsaid": stream(b, content(size))}
		for name, frame := range frames {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := new(zstd.Transform).Decode(nil, frame, size); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
