package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// startRefusing serves a file x and a directory d to refuse things for, by a
// server that is given up after a moment of silence.
func startRefusing(t *testing.T, flags ...string) *testServer {
	t.Helper()
	server := startServer(t, append(flags, "-timeout", "1s")...)
	fillRefusing(t, server.root)
	return server
}

func fillRefusing(t *testing.T, root string) {
	t.Helper()
	write(t, filepath.Join(root, "x"), []byte("old"))
	if err := os.Mkdir(filepath.Join(root, "d"), 0o777); err != nil {
		t.Fatal(err)
	}
}

func expectRefused(t *testing.T, root string) {
	t.Helper()
	expectNames(t, root, "d", "x")
	expectFile(t, filepath.Join(root, "x"), []byte("old"))
}

func TestWhatAPythonServerRefusesIsToldAndNothingIsChanged(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	fillRefusing(t, root)
	fillRefusing(t, dir)
	_, address := pythonTPFT.serve(t, root)
	source := write(t, filepath.Join(t.TempDir(), "new"), []byte("new"))
	for _, tt := range []struct{ from, to, reason string }{
		{address + ":missing", "x", `missing: the server refused: \[Errno 2\] No such file or directory: 'missing'`},
		{address + ":missing", "y", "missing: the server refused: .*No such file or directory: 'missing'"},
		{address + ":d", "y", "d: .* the peer was silent for 1s"}, // it never answers this
		{source, address + ":missing/y", "new: the server refused: .*No such file or directory: 'missing/y'"},
		{source, address + ":d", "new: the server refused: .*Is a directory: 'd'"},
		{source, address + ":x/y", "new: the server refused: .*Not a directory: 'x/y'"},
		{filepath.Join(dir, "missing"), address + ":y", "missing: no such file or directory"},
		{filepath.Join(dir, "d"), address + ":y", `d: is a directory \(-r copies directories\)`},
		{address + ":x", "missing/y", "x: write to .*missing/y: no such file or directory"},
		{address + ":x", "x/y", "x: write to .*y: not a directory"},
		{address + ":x", "missing/", "missing/: expected a directory"},
	} {
		to := tt.to
		if !strings.Contains(to, address) {
			to = dir + "/" + to
		}
		p := start(t, "-timeout", "1s", tt.from, to)
		if status := p.wait(t); status != 1 || !regexp.MustCompile(`^tpft: .*`+tt.reason+`\n$`).MatchString(p.stderr.String()) {
			t.Errorf("%s to %s: status %d, stderr %q; expected 1, %q", tt.from, tt.to, status, p.stderr.String(), tt.reason)
		}
		expectRefused(t, root)
		expectRefused(t, dir)
	}
	succeed(t, source, address+":x")
	expectFile(t, filepath.Join(root, "x"), []byte("new"))
}

func TestWhatAGoServerRefusesAPythonClientUnderstandsAndNothingIsChanged(t *testing.T) {
	server, readOnly := startRefusing(t), startRefusing(t, "-read-only")
	dir := t.TempDir()
	fillRefusing(t, dir)
	source := write(t, filepath.Join(t.TempDir(), "new"), []byte("new"))
	for _, tt := range []struct {
		from, to, reason string
		flags            []string
	}{
		{server.remote("missing"), "y", "open missing: no such file or directory", nil},
		{server.remote("d"), "y", "open d: is a directory", nil},
		{server.remote("../x"), "y", "open ../x: path escapes from parent", nil},
		{server.remote("/etc/hostname"), "y", "open /etc/hostname: outside the directory that is served", nil},
		{server.remote("\xff"), "y", "download-request: a name in it is not Unicode", nil},
		{server.remote(""), "y", "download-request: download_path is empty or missing", nil},
		{server.remote("x"), "d", "Is a directory", nil},
		{server.remote("x"), "missing/y", "No such file or directory", nil},
		{source, server.remote("missing/y"), "open missing/y: no such file or directory", nil},
		{source, server.remote("d"), "open d: is a directory", nil},
		{source, server.remote("x/y"), "open x/y: not a directory", nil},
		{source, server.remote("../y"), "open ../y: path escapes from parent", nil},
		{source, server.remote("/y"), "open /y: outside the directory that is served", nil},
		{source, server.remote(".x.tpft-partial"), "reserved for files that have not arrived wholly", nil},
		{source, readOnly.remote("x"), "upload x: the server is read-only", nil},
		{source, server.remote("x"), "file_size: expected 0 to 9007199254740992", []string{"--lie-size", "-1"}},
		{source, server.remote("x"), "file_size: expected 0 to 9007199254740992", []string{"--lie-size", "9007199254740993"}},
		{source, server.remote("x"), "file_size", []string{"--lie-size", "1" + strings.Repeat("0", 30)}},
		{source, server.remote("x"), "open x: (no space left on device|file too large)|end of the stream", []string{"--lie-size", "9007199254740992"}},
		{source, server.remote("x"), "rejected: fc", []string{"--lie-size", "2"}},
		{source, server.remote("x"), "got the end of the stream", []string{"--lie-size", "4"}},
		{filepath.Join(dir, "missing"), server.remote("y"), "does not exist or is not a file", nil},
		{filepath.Join(dir, "d"), server.remote("y"), "does not exist or is not a file", nil},
	} {
		to := tt.to
		if !strings.HasPrefix(to, "127.0.0.1:") {
			to = dir + "/" + to
		}
		pythonTPFT.copy(t, tt.from, to, tt.flags...).expectFailure(t, bound, tt.reason)
		for _, d := range []string{server.root, readOnly.root, dir} {
			expectRefused(t, d)
		}
	}
	pythonTPFT.copy(t, source, server.remote("x")).expectSuccess(t)
	expectFile(t, server.path("x"), []byte("new"))
}

func TestOddRequestsOfAPythonClientAreAnsweredOrEndTheConnection(t *testing.T) {
	server := startRefusing(t)
	for _, tt := range []struct{ request, answer, reason string }{
		{`{"type":"stat-request","letter":{"path":"\u0078"}}`, `{"type":"stat","letter":{"kind":"file","file_size":3}}`, ""},
		{`{"type": "download-request", "letter": {"download_path": "missing", "more": 1}}`, rejectedText("open missing: no such file or directory"), ""},
		{`{"type":"download-request","letter":{"download_path":7}}`, `{"type":"rejected","letter":{"reason":"download-request: json: `, ""},
		{`{"type":"unknown","letter":{}}`, "", "stream ended instead of an answer"}, // ignored, so the server times out
		{`nonsense`, "", "stream ended instead of an answer"},
		{``, "", "stream ended instead of an answer"},
	} {
		p := launch(t, pythonCommand(t, "get", server.address, "--raw-request", tt.request))
		if tt.reason != "" {
			p.expectFailure(t, bound, tt.reason)
		} else if status := p.wait(t, bound); status != 0 || !strings.HasPrefix(p.stdout.String(), tt.answer) {
			t.Errorf("%s: status %d, answer %q, stderr %q; expected 0, %q", tt.request, status, p.stdout.String(), p.stderr.String(), tt.answer)
		}
	}
	expectRefused(t, server.root)
}

// An old server is asked for nothing that it does not know: it might take a
// part of it for something else.
func TestAPythonServerIsNotAskedForWhatItDoesNotSupport(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	fillRefusing(t, root)
	fillRefusing(t, dir)
	_, address := pythonTPFT.serve(t, root)
	source := write(t, filepath.Join(t.TempDir(), "new"), []byte("new"))
	for _, flag := range []string{"-r", "-c", "-check", "-resume"} {
		for _, args := range [][]string{
			{source, address + ":x"}, {source, address + ":y"}, {source, source, address + ":d"}, {filepath.Dir(source), address + ":y"},
			{address + ":x", dir + "/x"}, {address + ":x", dir + "/y"}, {address + ":x", address + ":d", dir + "/d"},
		} {
			status, stderr := tpft(t, append([]string{flag}, args...)...)
			want := "tpft: the server at " + address + " does not support " + flag + "\n"
			if status != 1 || stderr != want {
				t.Errorf("%s %q: status %d, stderr %q; expected 1, %q", flag, args, status, stderr, want)
			}
			expectRefused(t, root)
			expectRefused(t, dir)
		}
	}
	succeed(t, source, address+":x")
}
