package transform_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/tinyproto-go/tinyproto/transform"
)

// The message is addresses without memory: whoever looks at it crashes.
func TestAMessageThatIsTooLongForAESGCMIsRefused(t *testing.T) {
	size := int64(64<<30 - 31)
	if int64(int(size)) != size {
		return // no slice is that long here
	}
	src, err := syscall.Mmap(-1, 0, int(size), syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		t.Fatalf("addresses of %d bytes: %v", size, err)
	}
	defer syscall.Munmap(src)
	out, err := transform.NewSeal(testKey).Encode([]byte("dst"), src)
	if !errors.Is(err, transform.ErrTooLong) || string(out) != "dst" {
		t.Errorf("Encode returned %.100q, %v; expected its dst and ErrTooLong", out, err)
	}
}
