package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFileArrivesAsItIsWhateverItsSizeAndTheFlags(t *testing.T) {
	const chunk = 1000
	server := startServer(t)
	some, around := []int{0, 1, 300_000}, []int{0, 1, chunk - 1, chunk, chunk + 1, 10*chunk + 1}
	for _, tt := range []struct {
		flags string
		sizes []int
	}{
		{"", some}, {"-p", some}, {"-c", some}, {"-check", some}, {"-resume", some}, {"-r", some}, {"-c -check -resume -p", some},
		{"-chunk-size 4043309055", some},
		{"-chunk-size 1000", around}, {"-chunk-size 1000 -c", around}, {"-chunk-size 1000 -resume -check", around},
	} {
		for _, size := range tt.sizes {
			flags := tt.flags
			t.Run(fmt.Sprintf("%s %d bytes", flags, size), func(t *testing.T) {
				dir := t.TempDir()
				data := contents(size)
				source, back := write(t, filepath.Join(dir, "source"), data), filepath.Join(dir, "back")
				name := strings.ReplaceAll(t.Name(), "/", "-")
				for _, args := range [][]string{{source, server.remote(name)}, {server.remote(name), back}} {
					status, stderr := tpft(t, append(strings.Fields(flags), args...)...)
					if status != 0 || (stderr == "") == strings.Contains(flags, "-p") {
						t.Errorf("%q: status %d, stderr %q", args, status, stderr)
					}
				}
				expectFile(t, server.path(name), data)
				expectFile(t, back, data)
				expectNames(t, dir, "back", "source")
			})
		}
	}
	expectNoDrafts(t, server.root)
}

// expectNoDrafts checks that nothing is left of files that are not in their place.
func expectNoDrafts(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Errorf("%d names in %s, %v", len(entries), dir, err)
	}
	for _, e := range entries {
		if isReserved(e.Name()) {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

func TestAFileIsDownloadedWholeAroundTheChunkOfTheServer(t *testing.T) {
	server := startServer(t)
	dir := t.TempDir()
	for _, size := range []int{defaultChunk - 1, defaultChunk, defaultChunk + 1} {
		data := contents(size)
		write(t, server.path("file"), data)
		succeed(t, server.remote("file"), filepath.Join(dir, "file"))
		expectFile(t, filepath.Join(dir, "file"), data)
		succeed(t, filepath.Join(dir, "file"), server.remote("up"))
		expectFile(t, server.path("up"), data)
	}
}

func TestAChunkOfOneByteIsHonoured(t *testing.T) {
	s := startScripted(t)
	data := contents(20)
	source := write(t, filepath.Join(t.TempDir(), "x"), data)
	p := start(t, "-chunk-size", "1", source, s.address+":x")
	peer := s.accept(t)
	peer.expectMessage(`{"type":"upload-request","letter":{"file_size":20,"destination_path":"x"}}`)
	peer.message(confirmedText)
	for _, b := range data {
		peer.expectMessage(string([]byte{b}))
	}
	peer.message(confirmedText)
	peer.expectMessage(closeText)
	peer.end()
	if status := p.wait(t); status != 0 {
		t.Errorf("status %d, stderr %q", status, p.stderr.String())
	}
}

func TestNamesWithSpacesAndUnicodeArriveAsTheyAre(t *testing.T) {
	server := startServer(t)
	for _, name := range []string{"a b", " ", "grüß€.bin", "日本語", "😀", "a:b", "a\\b", `a"b`, "a'b", "a\nb", "-p", "[x]", "%2e%2e", "~", "...", "..a", "\ufffd", "<&>"} {
		data := []byte(name)
		dir := t.TempDir()
		source := write(t, filepath.Join(dir, "source"), data)
		succeed(t, source, server.remote(name))
		expectFile(t, server.path(name), data)
		succeed(t, server.remote(name), filepath.Join(dir, name))
		expectFile(t, filepath.Join(dir, name), data)
		succeed(t, filepath.Join(dir, name), server.remote("again "+name))
		expectFile(t, server.path("again "+name), data)
	}
}

func TestANameThatIsNotUTF8IsAnErrorBeforeAnybodyIsAsked(t *testing.T) {
	dir := t.TempDir()
	source := write(t, filepath.Join(dir, "a\xff"), nil)
	s := startScripted(t) // nobody accepts there
	fail(t, `destination_path "b\xff" is not UTF-8`, source, s.address+":b\xff")
	fail(t, `destination_path "a\xff" is not UTF-8`, source, s.address+":")
	fail(t, `download_path "b\xff" is not UTF-8`, s.address+":b\xff", filepath.Join(dir, "b"))
	expectNames(t, dir, "a\xff")
}

func TestSeveralSourcesGoIntoADirectoryOverOneConnection(t *testing.T) {
	server := startServer(t)
	dir := t.TempDir()
	a, b := write(t, filepath.Join(dir, "a"), []byte("1")), write(t, filepath.Join(dir, "sub/b"), []byte("22"))
	write(t, server.path("d/x"), nil)
	for _, dest := range []string{"", "d", "d/"} {
		succeed(t, a, b, server.remote(dest))
		expectFile(t, server.path(dest+"/a"), []byte("1"))
		expectFile(t, server.path(dest+"/b"), []byte("22"))
	}
	into := t.TempDir()
	succeed(t, server.remote("d/a"), server.remote("b"), into)
	expectNames(t, into, "a", "b")
	if n := strings.Count(server.stdout.String(), " connected\n"); n != 4 {
		t.Errorf("the server saw %d connections, expected 4", n)
	}
}

func TestOneSourceGoesIntoADirectoryThatIsNamedAsOne(t *testing.T) {
	server := startServer(t)
	dir := t.TempDir()
	source := write(t, filepath.Join(dir, "x"), []byte("1"))
	if err := os.Mkdir(server.path("d"), 0o777); err != nil {
		t.Fatal(err)
	}
	succeed(t, source, server.remote(""))
	succeed(t, source, server.remote("d/"))
	expectNames(t, server.root, "d", "d/x", "x")
	succeed(t, server.remote("d/x"), t.TempDir())
	fail(t, "the server refused: open d: is a directory", source, server.remote("d"))
	if err := os.Remove(server.path("d/x")); err != nil {
		t.Fatal(err)
	}
	succeed(t, "-check", source, server.remote("d")) // this server can be asked
	expectNames(t, server.root, "d", "d/x", "x")
	fail(t, "expected a directory", server.remote("x"), filepath.Join(dir, "missing")+"/")
	fail(t, "names no file", server.remote("."), dir)
	fail(t, "names no file", server.remote("d/.."), filepath.Join(dir, "y"))
	expectNames(t, dir, "x")
}

func TestAfterAFileThatFailedTheOthersGoOn(t *testing.T) {
	server := startServer(t)
	dir := t.TempDir()
	a, b := write(t, filepath.Join(dir, "a"), []byte("1")), write(t, filepath.Join(dir, "b"), []byte("22"))
	write(t, server.path("c/x"), nil)
	write(t, filepath.Join(dir, "c"), nil)

	status, stderr := tpft(t, a, filepath.Join(dir, "missing"), filepath.Join(dir, "c"), dir, a, b, server.remote(""))
	want := "tpft: " + filepath.Join(dir, "missing") + ": no such file or directory\n" +
		"tpft: " + filepath.Join(dir, "c") + ": the server refused: open c: is a directory\n" +
		"tpft: " + dir + ": is a directory (-r copies directories)\n" +
		"tpft: " + a + ": another source was copied to a\n"
	if status != 1 || stderr != want {
		t.Errorf("status %d, stderr\n%s; expected 1 and\n%s", status, stderr, want)
	}
	expectNames(t, server.root, "a", "b", "c", "c/x")

	into := t.TempDir()
	if err := os.Mkdir(filepath.Join(into, "x"), 0o777); err != nil {
		t.Fatal(err)
	}
	status, stderr = tpft(t, server.remote("a"), server.remote("missing"), server.remote("c"), server.remote("c/x"), server.remote("b"), into)
	want = "tpft: missing: the server refused: open missing: no such file or directory\n" +
		"tpft: c: the server refused: open c: is a directory\n" +
		"tpft: c/x: write to " + filepath.Join(into, "x") + ": is a directory\n"
	if status != 1 || stderr != want {
		t.Errorf("status %d, stderr\n%s; expected 1 and\n%s", status, stderr, want)
	}
	expectNames(t, into, "a", "b", "x")
}

func TestSeveralSourcesNeedADirectory(t *testing.T) {
	server := startServer(t)
	dir := t.TempDir()
	a, b := write(t, filepath.Join(dir, "a"), nil), write(t, filepath.Join(dir, "b"), nil)
	write(t, server.path("a"), nil)
	fail(t, "expected a directory", server.remote("a"), server.remote("b"), a)
	fail(t, "expected a directory", server.remote("a"), server.remote("b"), filepath.Join(dir, "missing"))
	fail(t, "a: expected a directory on the server, saw: file", "-check", a, b, server.remote("a"))
	fail(t, "open a/a: not a directory", a, b, server.remote("a"))
}

func TestAServerThatCannotBeReachedIsOneLine(t *testing.T) {
	s := startScripted(t)
	s.listener.Close()
	dir := t.TempDir()
	a := write(t, filepath.Join(dir, "a"), nil)
	status, stderr := tpft(t, a, a, s.address+":x")
	if status != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "connection refused") {
		t.Errorf("status %d, stderr %q; expected 1 and one line", status, stderr)
	}
	fail(t, "address already in use", "-l", startServer(t).address)
	fail(t, "no such file or directory", "-l", "127.0.0.1:0", "-root", filepath.Join(dir, "missing"))
	fail(t, "not a directory", "-l", "127.0.0.1:0", "-root", a)
}
