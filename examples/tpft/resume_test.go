package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAnInterruptedUploadGoesOnBehindWhatHasArrived(t *testing.T) {
	for _, flags := range []string{"-resume", "-resume -c -check"} {
		server := startServer(t)
		data := contents(300_000)
		source := write(t, filepath.Join(t.TempDir(), "x"), data)
		write(t, server.path("x"), []byte("old"))

		p := connect(t, server.address)
		p.message(`{"type":"upload-request","letter":{"file_size":300000,"destination_path":"x","resume":true}}`)
		p.expectMessage(`{"type":"partial","letter":{"length":0,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}`)
		p.message(`{"type":"resume","letter":{"offset":0}}`)
		p.expectMessage(confirmedText)
		p.message(string(data[:100_000]))
		p.write([]byte{0, 1, 0, 0}) // 65536 bytes, of which 5 arrive
		p.expect([]byte{0xff})
		p.write(data[100_000:100_005])
		p.nc.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, p.nc)
		server.expectDisconnected(t, p)
		expectNames(t, server.root, ".x.tpft-partial", "x")
		expectFile(t, server.path("x"), []byte("old"))
		expectFile(t, server.path(".x.tpft-partial"), data[:100_005])

		succeed(t, append(strings.Fields(flags), source, server.remote("x"))...)
		expectNames(t, server.root, "x")
		expectFile(t, server.path("x"), data)
		if out := server.stdout.String(); !strings.Contains(out, "upload to x, 300000 bytes from 100005\n") {
			t.Errorf("the server said\n%s", out)
		}
	}
}

func TestAnInterruptedDownloadGoesOnBehindWhatHasArrived(t *testing.T) {
	for _, flags := range []string{"-resume", "-resume -c -check"} {
		dir := t.TempDir()
		data := contents(300_000)
		path := write(t, filepath.Join(dir, "x"), []byte("old"))
		s := startScripted(t)
		c := start(t, "-resume", s.address+":x", path)
		p := s.accept(t)
		p.answerProbe(extensionsText)
		p.answerStat(kindFile)
		p.expectMessage(`{"type":"download-request","letter":{"download_path":"x"}}`)
		p.message(offerText("300000"))
		p.expectMessage(confirmedText)
		p.message(string(data[:100_000]))
		p.write([]byte{0, 1, 0, 0}) // 65536 bytes, of which 5 arrive
		p.expect([]byte{0xff})
		p.write(data[100_000:100_005])
		p.nc.(*net.TCPConn).CloseWrite()
		if status := c.wait(t); status != 1 {
			t.Errorf("status %d, stderr %q", status, c.stderr.String())
		}
		expectNames(t, dir, ".x.tpft-partial", "x")
		expectFile(t, path, []byte("old"))
		expectFile(t, filepath.Join(dir, ".x.tpft-partial"), data[:100_005])

		server := startServer(t)
		write(t, server.path("x"), data)
		succeed(t, append(strings.Fields(flags), server.remote("x"), path)...)
		expectNames(t, dir, "x")
		expectFile(t, path, data)
		if out := server.stdout.String(); !strings.Contains(out, "download of x, 300000 bytes from 100005\n") {
			t.Errorf("the server said\n%s", out)
		}
	}
}

func TestACopyThatCannotGoOnStartsOver(t *testing.T) {
	data := contents(1000)
	for name, partial := range map[string][]byte{
		"is of another file": contents(500),
		"is longer":          append(contents(1000), 1),
		"is much longer":     contents(5000),
	} {
		server := startServer(t)
		dir := t.TempDir()
		source, dest := write(t, filepath.Join(dir, "x"), data), t.TempDir()
		write(t, server.path(".x.tpft-partial"), partial)
		succeed(t, "-resume", source, server.remote("x"))
		expectNames(t, server.root, "x")
		expectFile(t, server.path("x"), data)
		write(t, filepath.Join(dest, ".x.tpft-partial"), partial)
		succeed(t, "-resume", server.remote("x"), filepath.Join(dest, "x"))
		expectNames(t, dest, "x")
		expectFile(t, filepath.Join(dest, "x"), data)
		if out := server.stdout.String(); strings.Count(out, " 1000 bytes from 0\n") != 2 {
			t.Errorf("a partial file that %s: the server said\n%s", name, out)
		}
	}
}

func TestAPartialFileThatIsCompleteIsPutInItsPlace(t *testing.T) {
	server := startServer(t)
	data := contents(1000)
	dir := t.TempDir()
	source := write(t, filepath.Join(dir, "x"), data)
	write(t, server.path(".x.tpft-partial"), data)
	succeed(t, "-resume", source, server.remote("x"))
	expectNames(t, server.root, "x")
	write(t, filepath.Join(dir, ".y.tpft-partial"), data)
	succeed(t, "-resume", server.remote("x"), filepath.Join(dir, "y"))
	expectNames(t, dir, "x", "y")
	if out := server.stdout.String(); strings.Count(out, " 1000 bytes from 1000\n") != 2 {
		t.Errorf("the server said\n%s", out)
	}
}

func TestWhatHasArrivedWhollyIsNotCopiedAgain(t *testing.T) {
	server := startServer(t)
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	makeTree(t, source)
	for range 2 {
		succeed(t, "-r", "-resume", source+"/.", server.remote("up"))
		succeed(t, "-r", "-resume", server.remote("up/."), filepath.Join(dir, "down"))
	}
	expectTree(t, filepath.Join(dir, "down"))
	files := 0
	for _, name := range tree {
		if !strings.HasSuffix(name, "/") {
			files++
		}
	}
	out := server.stdout.String()
	if ups, downs := strings.Count(out, "upload to"), strings.Count(out, "download of"); ups != files || downs != files {
		t.Errorf("%d uploads and %d downloads of %d files:\n%s", ups, downs, files, out)
	}
	write(t, filepath.Join(source, "a"), []byte("b")) // of the same size
	succeed(t, "-r", "-resume", source+"/.", server.remote("up"))
	expectFile(t, server.path("up/a"), []byte("b"))
}

func TestOfTwoUploadsToOnePartialFileTheSecondIsRejected(t *testing.T) {
	server := startServer(t)
	source := write(t, filepath.Join(t.TempDir(), "x"), []byte("123"))
	p := connect(t, server.address)
	p.message(`{"type":"upload-request","letter":{"file_size":3,"destination_path":"x","resume":true}}`)
	p.receive()
	fail(t, "the server refused: open x: another transfer to it is in progress", "-resume", source, server.remote("x"))
	succeed(t, source, server.remote("x")) // needs no partial file
	p.message(`{"type":"resume","letter":{"offset":0}}`)
	p.expectMessage(confirmedText)
	p.message("abc")
	p.expectMessage(confirmedText)
	expectFile(t, server.path("x"), []byte("abc"))
	succeed(t, "-resume", source, server.remote("x"))
	expectFile(t, server.path("x"), []byte("123"))
	expectNames(t, server.root, "x")
}

func TestAnUploadGoesOnOnlyWhereItStopped(t *testing.T) {
	server := startServer(t)
	write(t, server.path(".x.tpft-partial"), []byte("123"))
	for _, offset := range []int{1, 2, 4, 5, 1000, -1} {
		p := connect(t, server.address)
		p.message(`{"type":"upload-request","letter":{"file_size":5,"destination_path":"x","resume":true}}`)
		p.receive()
		p.message(fmt.Sprintf(`{"type":"resume","letter":{"offset":%d}}`, offset))
		if offset >= 0 {
			p.expectMessage(rejectedText("an upload goes on at the end of what has arrived, or at 0"))
			p.message(closeText)
			p.end()
		} else {
			p.expectEnd()
		}
		server.expectDisconnected(t, p)
	}
	expectNames(t, server.root, ".x.tpft-partial")
	expectFile(t, server.path(".x.tpft-partial"), []byte("123"))
}

func TestNothingIsLeftOfAResumableCopyThatNeverBegan(t *testing.T) {
	server := startServer(t)
	dir := t.TempDir()
	fail(t, "open missing: no such file", "-resume", server.remote("missing"), filepath.Join(dir, "x"))
	expectNames(t, dir)
	p := connect(t, server.address)
	p.message(`{"type":"upload-request","letter":{"file_size":5,"destination_path":"x","resume":true}}`)
	p.receive()
	p.nc.Close()
	server.expectDisconnected(t, p)
	expectNames(t, server.root)
}

func TestWithoutResumeNothingIsKept(t *testing.T) {
	server := startServer(t)
	data := contents(1000)
	dir := t.TempDir()
	write(t, server.path(".x.tpft-partial"), data[:500])
	source := write(t, filepath.Join(dir, "x"), data)
	succeed(t, source, server.remote("x"))
	expectFile(t, server.path("x"), data)
	if _, err := os.Lstat(server.path(".x.tpft-partial")); err != nil {
		t.Errorf("somebody else's partial file: %v", err)
	}
	if out := server.stdout.String(); !strings.Contains(out, " 1000 bytes from 0\n") {
		t.Errorf("the server said\n%s", out)
	}
}
