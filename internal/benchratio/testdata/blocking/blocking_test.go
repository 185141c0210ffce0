package blocking

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// BenchmarkCopy says that it runs and then takes longer than anyone waits.
func BenchmarkCopy(b *testing.B) {
	b.Run("way/16", func(b *testing.B) {
		fmt.Fprintln(os.Stderr, "blocked")
		<-time.After(time.Hour)
	})
}
