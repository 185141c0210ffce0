package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// A directory changes places with a symbolic link that leads out, as fast as
// that goes, while the server works below it.
func TestNoPathLeavesTheServedDirectoryWhileSymlinksAreSwapped(t *testing.T) {
	root := hostileTree(t)
	base := filepath.Dir(root)
	write(t, filepath.Join(root, "d/x"), []byte("public"))
	write(t, filepath.Join(root, "f"), []byte("public"))
	for name, target := range map[string]string{"e": "../outside", "g": "../secret"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	server := startServerAt(t, root)
	before := snapshot(t, base)

	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // ends with stop
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, pair := range [][2]string{{"d", "e"}, {"f", "g"}} {
				a, b := filepath.Join(root, pair[0]), filepath.Join(root, pair[1])
				if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()

	p := connect(t, server.address)
	answers := map[string]int{}
	for range 25 {
		for _, path := range []string{"d/x", "f", "d/../f", "e/../d/x"} {
			p.message(requests(path)["download"])
			if answer := p.receive(); strings.HasPrefix(answer, `{"type":"download-confirmation"`) {
				answers["download"]++
				p.message(confirmedText)
				p.expectMessage("public")
				p.message(confirmedText)
			}
		}
		for _, path := range []string{"d/new", "d/x", "f", "e/new"} {
			quoted, _ := json.Marshal(path)
			p.message(`{"type":"upload-request","letter":{"file_size":6,"destination_path":` + string(quoted) + `}}`)
			if p.receive() == confirmedText {
				answers["upload"]++
				p.message("public")
				p.receive() // the name may be a directory's by now
			}
		}
		p.message(requests("d/dir")["mkdir"])
		if p.receive() == confirmedText {
			answers["mkdir"]++
			os.Remove(filepath.Join(root, "d/dir"))
			os.Remove(filepath.Join(root, "e/dir"))
		}
		p.message(requests("d")["list"])
		if answer := p.receive(); strings.Contains(answer, `"name":"x"`) {
			answers["list"]++
		}
	}
	close(stop)
	<-stopped
	p.message(closeText)
	p.end()
	if diff := cmp.Diff(before, snapshot(t, base)); diff != "" {
		t.Errorf("outside (-before +after):\n%s", diff)
	}
	for _, kind := range []string{"download", "upload", "mkdir", "list"} {
		if n := answers[kind]; n == 0 {
			t.Errorf("no %s was possible: the server was never asked at the right moment", kind)
		}
	}
}

func TestSpecialFilesAreRejectedAndDoNotBlock(t *testing.T) {
	server := startServer(t)
	if err := syscall.Mkfifo(server.path("fifo"), 0o666); err != nil {
		t.Fatal(err)
	}
	paths := []string{"fifo", "fifo/x", "fifo/"}
	if syscall.Mknod(server.path("null"), syscall.S_IFCHR|0o666, 1<<8|3) == nil { // only root may, and not everywhere
		paths = append(paths, "null", "null/x")
	}
	p := connect(t, server.address)
	for _, path := range paths {
		for kind, request := range requests(path) {
			p.message(request)
			if answer := p.receive(); !strings.HasPrefix(answer, `{"type":"rejected"`) && kind != "stat" {
				t.Errorf("%s of %q was answered %s", kind, path, answer)
			}
		}
	}
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o666); err != nil {
		t.Fatal(err)
	}
	fail(t, "fifo: not a regular file", fifo, server.remote("x"))
	fail(t, "write to "+fifo+": not a regular file", server.remote("x"), fifo)
}
