package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree is what is copied with -r: names of directories end in a slash.
var tree = []string{"a", "d/", "d/b c", "d/e/", "d/e/f/", "d/e/f/grüß€", "d/.hidden", "empty/", "z"}

func makeTree(t *testing.T, dir string) {
	t.Helper()
	for _, name := range tree {
		path := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o777); err != nil {
				t.Fatal(err)
			}
		} else {
			write(t, path, []byte(name))
		}
	}
}

func expectTree(t *testing.T, dir string) {
	t.Helper()
	names := []string{}
	for _, name := range tree {
		if names = append(names, strings.TrimSuffix(name, "/")); !strings.HasSuffix(name, "/") {
			expectFile(t, filepath.Join(dir, name), []byte(name))
		}
	}
	slices.Sort(names)
	expectNames(t, dir, names...)
}

func TestADirectoryIsCopiedWithWhatIsInIt(t *testing.T) {
	for _, flags := range [][]string{{"-r"}, {"-r", "-c", "-check", "-resume"}} {
		server := startServer(t)
		dir := t.TempDir()
		source := filepath.Join(dir, "source")
		makeTree(t, source)
		copy := func(args ...string) {
			t.Helper()
			succeed(t, append(slices.Clone(flags), args...)...)
		}

		copy(source, server.remote("new")) // is made
		expectTree(t, server.path("new"))
		copy(source, server.remote("new")) // exists, so it goes into it
		expectTree(t, server.path("new/source"))
		copy(source, server.remote("new/")) // again, over what is there
		expectTree(t, server.path("new/source"))
		copy(source+"/.", server.remote("merged"))
		expectTree(t, server.path("merged"))
		copy(source+"/.", server.remote("merged"))
		expectTree(t, server.path("merged"))
		copy(filepath.Join(source, "a"), filepath.Join(source, "d"), server.remote("merged/empty"))
		expectFile(t, server.path("merged/empty/d/e/f/grüß€"), []byte("d/e/f/grüß€"))

		copy(server.remote("new/source"), filepath.Join(dir, "back"))
		expectTree(t, filepath.Join(dir, "back"))
		copy(server.remote("new/source"), filepath.Join(dir, "back"))
		expectTree(t, filepath.Join(dir, "back/source"))
		into := t.TempDir()
		copy(server.remote("new/source/"), server.remote("new/a"), into)
		expectTree(t, filepath.Join(into, "source"))
		expectFile(t, filepath.Join(into, "a"), []byte("a"))
	}
}

func TestAllThatIsServedCanBeCopied(t *testing.T) {
	server := startServer(t)
	makeTree(t, server.root)
	dir := t.TempDir()
	succeed(t, "-r", server.remote(""), filepath.Join(dir, "x"))
	expectTree(t, filepath.Join(dir, "x"))
	other := startServer(t)
	t.Chdir(filepath.Join(dir, "x"))
	succeed(t, "-r", ".", other.remote(""))
	expectTree(t, other.root)
}

func TestADirectoryWithMoreNamesThanFitAnEnvelopeIsCopied(t *testing.T) {
	server := startServer(t)
	var names []string
	for i := range 150 {
		names = append(names, fmt.Sprintf("%03d%s", i, strings.Repeat("€", 80)))
		write(t, server.path("d/"+names[i]), nil)
	}
	dir := filepath.Join(t.TempDir(), "d")
	succeed(t, "-r", server.remote("d"), dir)
	expectNames(t, dir, names...)
}

func TestNamesThatAreNotUTF8AreSkippedAndTheRestIsCopied(t *testing.T) {
	server := startServer(t)
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	for _, d := range []string{source, server.path("d")} {
		write(t, filepath.Join(d, "bad\xff"), nil)
		write(t, filepath.Join(d, "good"), nil)
	}
	fail(t, `bad\xff: destination_path "up/bad\xff" is not UTF-8, and can't be sent`, "-r", source, server.remote("up"))
	expectNames(t, server.path("up"), "good")
	status, stderr := tpft(t, "-r", server.remote("d"), filepath.Join(dir, "back"))
	if status != 0 || stderr != "tpft: d/bad\ufffd: skipped: its name is not UTF-8\n" {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
	expectNames(t, filepath.Join(dir, "back"), "good")
}

func TestInADirectoryTheOthersGoOnAfterAFileThatFailed(t *testing.T) {
	server := startServer(t)
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	makeTree(t, source)
	write(t, server.path("up/d"), nil) // where a directory is to be
	status, stderr := tpft(t, "-r", source+"/.", server.remote("up"))
	if want := "tpft: " + source + "/d: the server refused: mkdir up/d: not a directory\n"; status != 1 || stderr != want {
		t.Errorf("status %d, stderr %q; expected 1, %q", status, stderr, want)
	}
	expectNames(t, server.path("up"), "a", "d", "empty", "z")

	back := filepath.Join(dir, "back")
	makeTree(t, server.path("full"))
	write(t, filepath.Join(back, "d"), nil)
	status, stderr = tpft(t, "-r", server.remote("full/."), back)
	if want := "tpft: full/./d: not a directory\n"; status != 1 || stderr != want {
		t.Errorf("status %d, stderr %q; expected 1, %q", status, stderr, want)
	}
	expectNames(t, back, "a", "d", "empty", "z")
	fail(t, "the server refused: open missing: no such file or directory", "-r", server.remote("missing"), filepath.Join(dir, "x"))
}

// A hostile server lists names that lead out of the directory; nothing may be
// written there.
func TestAListedNameThatLeadsOutIsAnError(t *testing.T) {
	for _, name := range []string{"", ".", "..", "/", "../x", "a/b", "/x", "a/", "a\x00b", "../../x", "./x"} {
		s := startScripted(t)
		dir := t.TempDir()
		dest := filepath.Join(dir, "dest")
		c := start(t, "-r", s.address+":d", dest)
		p := s.accept(t)
		p.answerProbe(extensionsText)
		p.answerStat(kindDirectory)
		p.expectMessage(`{"type":"list-request","letter":{"path":"d"}}`)
		text, _ := encode(typeListing, &listing{Entries: []entry{{"a", kindFile}, {name, kindFile}}})
		p.message(string(text))
		status := c.wait(t)
		if text := c.stderr.String(); status != 1 || !strings.Contains(text, "which could lead out of the directory") {
			t.Errorf("%q: status %d, stderr %q", name, status, text)
		}
		expectNames(t, dir, "dest")
	}
}

func TestALocalSymbolicLinkDoesNotLeadADownloadOut(t *testing.T) {
	server := startServer(t)
	makeTree(t, server.path("s"))
	dir := t.TempDir()
	write(t, filepath.Join(dir, "outside/x"), nil)
	dest := filepath.Join(dir, "dest")
	if err := os.Mkdir(dest, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"d": "../outside", "a": "../outside/x", "z": "../outside/new"} {
		if err := os.Symlink(target, filepath.Join(dest, name)); err != nil {
			t.Fatal(err)
		}
	}
	status, stderr := tpft(t, "-r", server.remote("s/."), dest)
	if status != 1 || strings.Count(stderr, "\n") != 3 {
		t.Errorf("status %d, stderr\n%s", status, stderr)
	}
	expectNames(t, filepath.Join(dir, "outside"), "x")
	expectFile(t, filepath.Join(dir, "outside/x"), nil)
}

// answerProbe answers a client that asks for extensions with this document.
func (p *rawPeer) answerProbe(document string) {
	p.Helper()
	p.expectMessage(`{"type":"download-request","letter":{"download_path":"/.tpft-extensions/v1"}}`)
	p.message(offerText(fmt.Sprint(len(document))))
	p.expectMessage(confirmedText)
	p.message(document)
	p.expectMessage(confirmedText)
}

// answerStat answers a request for a status.
func (p *rawPeer) answerStat(kind string) {
	p.Helper()
	if got := p.receive(); !strings.HasPrefix(got, `{"type":"stat-request"`) {
		p.Fatalf("received %q, expected a stat-request", got)
	}
	p.message(`{"type":"stat","letter":{"kind":"` + kind + `","file_size":0}}`)
}

func TestAServerThatDoesNotSupportAFlagIsNotAskedForIt(t *testing.T) {
	dir := t.TempDir()
	source := write(t, filepath.Join(dir, "x"), nil)
	all := []string{"stat", "list", "mkdir", "sum", "zstd", "resume"}
	for flag, needs := range map[string][]string{
		"-r": {"stat", "list", "mkdir"}, "-c": {"stat", "zstd"}, "-check": {"stat", "sum"}, "-resume": {"stat", "sum", "resume"},
	} {
		answers := map[string]func(*rawPeer){
			"a legacy server": func(p *rawPeer) {
				p.receive()
				p.message(rejectedText("[Errno 2] No such file or directory: '/.tpft-extensions/v1'"))
			},
			"a file that is no document":  func(p *rawPeer) { p.answerProbe("hello") },
			"an empty file":               func(p *rawPeer) { p.answerEmptyProbe() },
			"a file that is far too long": func(p *rawPeer) { p.receive(); p.message(offerText("9007199254740992")) },
		}
		for _, missing := range needs {
			document, _ := json.Marshal(map[string]any{"extensions": slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == missing })})
			answers["no "+missing] = func(p *rawPeer) { p.answerProbe(string(document)) }
		}
		for _, name := range slices.Sorted(maps.Keys(answers)) {
			for _, upload := range []bool{true, false} {
				s := startScripted(t)
				args := []string{flag, s.address + ":x", filepath.Join(dir, "y")}
				if upload {
					args = []string{flag, source, s.address + ":x"}
				}
				c := start(t, args...)
				p := s.accept(t)
				answers[name](p)
				p.expectEnd()
				want := "tpft: the server at " + s.address + " does not support " + flag + "\n"
				if status := c.wait(t); status != 1 || c.stderr.String() != want {
					t.Errorf("%s, %s: status %d, stderr %q; expected 1, %q", flag, name, status, c.stderr.String(), want)
				}
			}
		}
	}
	expectNames(t, dir, "x")
}

func (p *rawPeer) answerEmptyProbe() {
	p.Helper()
	p.receive()
	p.message(offerText("0"))
	p.expectMessage(confirmedText)
	p.expectMessage(confirmedText)
}
