package transform_test

import (
	"fmt"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
)

// The benchmarks use the memory of dst again, as a connection does to send, and
// Decode into fresh memory, as it does to receive: B/op is that, too.

var benched = []struct {
	name string
	ends func() (sending, receiving conn.Transform)
}{
	{"zlib-1", zlibEnds(1)},
	{"zlib-6", zlibEnds(6)},
	{"seal", ends["seal"]},
}

var benchSizes = []int{1 << 10, 64 << 10}

func BenchmarkEncode(b *testing.B) {
	for _, way := range benched {
		for _, size := range benchSizes {
			b.Run(fmt.Sprintf("%s/%d", way.name, size), func(b *testing.B) {
				sending, _ := way.ends()
				msg := content(size)
				dst := encode(b, sending, msg)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					var err error
					if dst, err = sending.Encode(dst[:0], msg); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(len(dst))/float64(size), "encoded/size")
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, way := range benched {
		for _, size := range benchSizes {
			b.Run(fmt.Sprintf("%s/%d", way.name, size), func(b *testing.B) {
				sending, receiving := way.ends()
				msg := content(size)
				var encoded [][]byte
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if i == len(encoded) { // a Seal takes each message once
						b.StopTimer()
						i, encoded = 0, encoded[:0]
						for range 32 {
							encoded = append(encoded, encode(b, sending, msg))
						}
						b.StartTimer()
					}
					if _, err := receiving.Decode(nil, encoded[i], size); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
