//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func makeFIFO(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNoFileOrDirectoryIsSkippedWithAWarning(t *testing.T) {
	server := startServer(t)
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	makeOdd := func(dir string) {
		write(t, filepath.Join(dir, "file"), nil)
		write(t, filepath.Join(dir, ".y.tpft-partial"), nil) // of a copy that is not complete
		for name, target := range map[string]string{"link": "file", "dirlink": ".", "dangling": "nothing"} {
			if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		makeFIFO(t, filepath.Join(dir, "pipe"))
	}
	makeOdd(source)
	warnings := func(dir string) string {
		return "tpft: " + dir + "/dangling: skipped: symbolic links are not copied\n" +
			"tpft: " + dir + "/dirlink: skipped: symbolic links are not copied\n" +
			"tpft: " + dir + "/link: skipped: symbolic links are not copied\n" +
			"tpft: " + dir + "/pipe: skipped: not a regular file\n"
	}
	if status, stderr := tpft(t, "-r", source, server.remote("up")); status != 0 || stderr != warnings(source) {
		t.Errorf("status %d, stderr\n%s", status, stderr)
	}
	expectNames(t, server.root, "up", "up/file")
	makeOdd(server.path("odd"))
	if status, stderr := tpft(t, "-r", server.remote("odd"), filepath.Join(dir, "down")); status != 0 || stderr != warnings("odd") {
		t.Errorf("status %d, stderr\n%s", status, stderr)
	}
	expectNames(t, filepath.Join(dir, "down"), "file")
}
