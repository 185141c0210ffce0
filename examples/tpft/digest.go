package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
)

// digest returns the SHA-256 sum of the first n bytes of a file, in
// hexadecimal digits, and how many there were.
func digest(ctx context.Context, f *os.File, n int64) (sum, error) {
	h := sha256.New()
	buffer := make([]byte, 128<<10)
	r := io.NewSectionReader(f, 0, n)
	var have int64
	for {
		if ctx.Err() != nil {
			return sum{}, context.Cause(ctx)
		}
		n, err := r.Read(buffer)
		h.Write(buffer[:n])
		have += int64(n)
		if err == io.EOF {
			return sum{Length: have, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
		}
		if err != nil {
			return sum{}, err
		}
	}
}
