package steady

import "testing"

// BenchmarkCopy reports the same figures in every run.
func BenchmarkCopy(b *testing.B) {
	for _, run := range []struct {
		name       string
		ns, allocs float64
	}{
		{"floor-reuse/16", 50, 0},
		{"floor-reuse/1024", 400, 0},
		{"floor-fresh/16", 100, 1},
		{"floor-fresh/1024", 500, 1},
		{"way/16/buffer=0", 150, 2},
		{"way/16/buffer=16", 125, 2},
		{"way/1024/buffer=0", 1000, 3},
		{"way/1024/buffer=16", 750, 3},
	} {
		b.Run(run.name, func(b *testing.B) {
			for b.Loop() {
			}
			b.ReportMetric(run.ns, "ns/op")
			b.ReportMetric(run.allocs, "allocs/op")
		})
	}
}

// BenchmarkAlone has nothing to be compared with.
func BenchmarkAlone(b *testing.B) {
	b.Run("way/8", func(b *testing.B) {
		for b.Loop() {
		}
		b.ReportMetric(7, "ns/op")
	})
}

// BenchmarkOther has a name that says nothing to benchratio.
func BenchmarkOther(b *testing.B) {
	for b.Loop() {
	}
}
