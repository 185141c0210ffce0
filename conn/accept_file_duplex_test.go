package conn_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// What goes the other way meanwhile, and the answers to it, stays out of the files.
func TestFilesAreWrittenWhileBothEndsSend(t *testing.T) {
	eachMode(t, testFilesAreWrittenWhileBothEndsSend)
}

func testFilesAreWrittenWhileBothEndsSend(t *testing.T) {
	for name, transport := range fileTransports {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			sizes := []int{streamPiece, 300_000, streamPiece - 1, 100_000, 0, 200_000, streamPiece + 1}
			const notes = 100
			x, y := transport(t)
			var files [2]*os.File
			var opts [2]conn.Options
			into := make(catcher, 2*len(sizes))
			for i := range files {
				f, err := os.Create(filepath.Join(t.TempDir(), "file"))
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				files[i] = f
				opts[i] = conn.Options{InboxBuffer: notes, Accept: func(size uint32) conn.Placement {
					if size == 4 {
						return conn.Placement{}
					}
					p := into.accept(size)
					p.Writer = f
					return p
				}}
			}
			a, b := joinBounded(t, x, y, &opts[0], &opts[1])
			var sending sync.WaitGroup
			for _, c := range []*conn.Conn{a, b} {
				sending.Go(func() { // ends with the files
					for i, size := range sizes {
						if err := c.Send(context.Background(), content(size + i)[i:]); err != nil {
							t.Error(err)
						}
					}
				})
				sending.Go(func() { // ends with the notes
					for range notes {
						if err := c.Send(context.Background(), []byte("note")); err != nil {
							t.Error(err)
						}
					}
				})
			}
			sending.Wait()
			for range 2 * len(sizes) {
				if got := <-into; got.err != nil {
					t.Errorf("of %d bytes %d came, %v", got.size, got.moved, got.err)
				}
			}
			for i, c := range []*conn.Conn{a, b} {
				for range notes {
					if m := <-c.Inbox(); string(m) != "note" {
						t.Errorf("received %q", m)
					}
				}
				got, err := os.ReadFile(files[i].Name())
				if diff := cmp.Diff(summary(contents(sizes)), summary(got)); diff != "" || err != nil {
					t.Errorf("file %d (-want +got), %v:\n%s", i, err, diff)
				}
			}
		})
	}
}
