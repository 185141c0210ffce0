package conn_test

import (
	"io"
	"path/filepath"
	"testing"
)

func TestATpftServerAnswersAllRequestsOfAConnection(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "one", []byte("Z"))
	p, addr := serveScript(t, "tpft.py", "--dir", dir, "--once")
	c := dialPeer(t, addr, nil)
	play(t, c, c2s, []string{
		`C->S {"type":"nonsense","letter":{}}`, // ignored, as all that is not a request
		"C->S " + confirmed,
		"C->S " + downloadRequest("one"),
		"S->C " + downloadConfirmation(1),
		"C->S " + downloadConfirmation(1), // counts as confirmed
		"S->C Z",
		"C->S " + confirmed,
		`C->S { "letter": {"destination_path": "gr\u00fc\u00df", "file_size": 3}, "type": "upload-request" }`,
		"S->C " + confirmed,
		"C->S a",
		"C->S ",
		"C->S bcd", // one more than announced
		"S->C " + confirmed,
		"C->S " + downloadRequest("grüß"), // not escaped
		"S->C " + downloadConfirmation(4),
		"C->S " + confirmed,
		"S->C abcd",
		"C->S " + confirmed,
		"C->S " + closing,
	})
	if msg, err := c.Receive(t.Context()); err != io.EOF {
		t.Errorf("received %q, %v, expected the end", msg, err)
	}
	p.end(t, "", "")
	checkFile(t, filepath.Join(dir, "grüß"), []byte("abcd"))
}

func TestATpftServerExpectsADownloadToBeConfirmedTwice(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "one", []byte("Z"))
	p, addr := serveScript(t, "tpft.py", "--dir", dir, "--once")
	c := dialPeer(t, addr, nil)
	play(t, c, c2s, []string{
		"C->S " + downloadRequest("one"),
		"S->C " + downloadConfirmation(1),
		"C->S " + confirmed,
		"S->C Z",
	})
	checkError(t, c.Shutdown(t.Context()))
	p.end(t, "", "tpft.py: connection 1: expected confirmed or download-confirmation, got the end of the stream\n")
}

func TestATpftServerTruncatesADestinationWhenItConfirms(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "precious", []byte("data"))
	_, addr := serveScript(t, "tpft.py", "--dir", dir)
	c := dialPeer(t, addr, nil)
	play(t, c, c2s, []string{"C->S " + uploadRequest(5, "precious"), "S->C " + confirmed})
	checkFile(t, path, []byte{})
}
