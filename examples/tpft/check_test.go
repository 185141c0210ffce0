package main

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func sumText(length int, data string) string {
	return fmt.Sprintf(`{"type":"sum","letter":{"length":%d,"sha256":"%x"}}`, length, sha256.Sum256([]byte(data)))
}

func TestACopyThatIsNotTheSameIsAnErrorWithBothSums(t *testing.T) {
	mine := fmt.Sprintf("%x", sha256.Sum256([]byte("abc")))
	for _, theirs := range []struct {
		length int
		data   string
	}{{3, "abd"}, {4, "abcd"}, {0, ""}} {
		s := startScripted(t)
		dir := t.TempDir()
		path := write(t, filepath.Join(dir, "x"), []byte("abc"))
		want := fmt.Sprintf("tpft: %s: the copies differ: 3 bytes with SHA-256 sum %s here, %d with %x on the server\n",
			"%s", mine, theirs.length, sha256.Sum256([]byte(theirs.data)))

		c := start(t, "-check", path, s.address+":x")
		p := s.accept(t)
		p.answerProbe(extensionsText)
		p.answerStat(kindMissing)
		p.receive()
		p.message(confirmedText)
		p.expectMessage("abc")
		p.message(confirmedText)
		p.expectMessage(`{"type":"sum-request","letter":{"path":"x"}}`)
		p.message(`{"type":"working","letter":{}}`)
		p.message(sumText(theirs.length, theirs.data))
		p.expectMessage(closeText)
		p.end()
		if status := c.wait(t); status != 1 || c.stderr.String() != fmt.Sprintf(want, path) {
			t.Errorf("status %d, stderr %q; expected 1, %q", status, c.stderr.String(), fmt.Sprintf(want, path))
		}

		c = start(t, "-check", s.address+":y", path)
		p = s.accept(t)
		p.answerProbe(extensionsText)
		p.receive()
		p.message(offerText("3"))
		p.receive()
		p.message("abc")
		p.expectMessage(confirmedText)
		p.expectMessage(`{"type":"sum-request","letter":{"path":"y"}}`)
		p.message(sumText(theirs.length, theirs.data))
		p.expectMessage(closeText)
		p.end()
		if status := c.wait(t); status != 1 || c.stderr.String() != fmt.Sprintf(want, "y") {
			t.Errorf("status %d, stderr %q; expected 1, %q", status, c.stderr.String(), fmt.Sprintf(want, "y"))
		}
		expectNames(t, dir, "x")
	}
}

func TestADownloadThatDiffersDoesNotReplaceWhatWasThere(t *testing.T) {
	s := startScripted(t)
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "x"), []byte("old"))
	c := start(t, "-check", s.address+":x", path)
	p := s.accept(t)
	p.answerProbe(extensionsText)
	p.receive()
	p.message(offerText("3"))
	p.receive()
	p.message("abc")
	p.expectMessage(confirmedText)
	p.receive()
	p.message(sumText(3, "abd"))
	p.expectMessage(closeText)
	p.end()
	if status := c.wait(t); status != 1 {
		t.Errorf("status %d, stderr %q", status, c.stderr.String())
	}
	expectNames(t, dir, "x")
	expectFile(t, path, []byte("old"))
}

func TestTheSumOfTheServerIsThatOfTheFileAsItIs(t *testing.T) {
	server := startServer(t)
	write(t, server.path("x"), []byte("abc"))
	p := connect(t, server.address)
	for _, tt := range []struct{ request, answer string }{
		{`{"path":"x"}`, sumText(3, "abc")},
		{`{"path":"x","length":3}`, sumText(3, "abc")},
		{`{"path":"x","length":2}`, sumText(2, "ab")},
		{`{"path":"x","length":0}`, sumText(0, "")},
		{`{"path":"x","length":4}`, sumText(3, "abc")},
		{`{"path":"x","length":-1}`, rejectedText("sum-request: length: expected 0 to 9007199254740992, saw none or -1")},
		{`{"path":"y"}`, rejectedText("open y: no such file or directory")},
		{`{"path":"."}`, rejectedText("open .: is a directory")},
	} {
		p.message(`{"type":"sum-request","letter":` + tt.request + `}`)
		p.expectMessage(tt.answer)
	}
}

func TestASumThatIsNoneIsNamed(t *testing.T) {
	for _, letter := range []string{`{}`, `{"length":3}`, `{"length":3,"sha256":"xyz"}`, `{"length":-1,"sha256":"` + strings.Repeat("00", 32) + `"}`} {
		s := startScripted(t)
		c := start(t, "-check", write(t, filepath.Join(t.TempDir(), "x"), nil), s.address+":x")
		p := s.accept(t)
		p.answerProbe(extensionsText)
		p.answerStat(kindMissing)
		p.receive()
		p.message(confirmedText)
		p.message(confirmedText)
		p.receive()
		p.message(`{"type":"sum","letter":` + letter + `}`)
		if status := c.wait(t); status != 1 || !strings.Contains(c.stderr.String(), "x: sum: ") {
			t.Errorf("%s: status %d, stderr %q", letter, status, c.stderr.String())
		}
	}
}
