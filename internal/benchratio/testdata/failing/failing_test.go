package failing

import "testing"

// BenchmarkCopy fails.
func BenchmarkCopy(b *testing.B) {
	b.Run("way/16", func(b *testing.B) { b.Fatal("3 sent, 2 received") })
}
