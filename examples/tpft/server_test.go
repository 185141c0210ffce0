package main

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// uploadText is the request to upload so many bytes to "x".
func uploadText(size string) string {
	return `{"type":"upload-request","letter":{"file_size":` + size + `,"destination_path":"x"}}`
}

// rejectedText is the answer to what is refused.
func rejectedText(reason string) string {
	return `{"type":"rejected","letter":{"reason":"` + reason + `"}}`
}

func TestAReadOnlyServerRefusesWhatWouldChangeIt(t *testing.T) {
	server := startServer(t, "-read-only")
	write(t, server.path("x"), []byte("old"))
	dir := t.TempDir()
	source := write(t, filepath.Join(dir, "new"), []byte("new"))
	fail(t, "the server refused: upload x: the server is read-only", source, server.remote("x"))
	fail(t, "the server refused: upload x: the server is read-only", "-resume", source, server.remote("x"))
	fail(t, "the server refused: mkdir d: the server is read-only", "-r", dir, server.remote("d"))
	succeed(t, "-check", server.remote("x"), filepath.Join(dir, "x"))
	expectNames(t, server.root, "x")
	expectFile(t, server.path("x"), []byte("old"))
}

func TestRequestsAreHandledOneAfterAnotherAndUnknownOnesIgnored(t *testing.T) {
	server := startServer(t)
	write(t, server.path("a"), []byte("a"))
	p := connect(t, server.address)
	for range 2 {
		p.message(`{"type":"nonsense","letter":{"x":1}}`)
		p.message(`{"type":"confirmed","letter":{}}`)
		p.message(`{"type":"download-request","letter":{"download_path":"missing"}}`)
		p.expectMessage(rejectedText("open missing: no such file or directory"))
		p.message(`{"type":"download-request","letter":{"download_path":"a"}}`)
		p.expectMessage(`{"type":"download-confirmation","letter":{"file_size":1}}`)
		p.message(`{"type":"download-confirmation","letter":{"file_size":0}}`) // counts as confirmed
		p.expectMessage("a")
		p.message(confirmedText)
		p.message(uploadText("2"))
		p.expectMessage(confirmedText)
		p.message("b")
		p.message("c")
		p.expectMessage(confirmedText)
		expectFile(t, server.path("x"), []byte("bc"))
	}
	p.message(closeText)
	p.end()
}

func TestADownloadMayBeDeclined(t *testing.T) {
	server := startServer(t)
	write(t, server.path("a"), []byte("a"))
	p := connect(t, server.address)
	for range 2 {
		p.message(`{"type":"download-request","letter":{"download_path":"a"}}`)
		p.expectMessage(`{"type":"download-confirmation","letter":{"file_size":1}}`)
	}
	p.message(uploadText("0"))
	p.expectMessage(confirmedText)
	p.expectMessage(confirmedText)
	p.message(`{"type":"download-request","letter":{"download_path":"a"}}`)
	p.expectMessage(`{"type":"download-confirmation","letter":{"file_size":1}}`)
	p.message(closeText)
	p.end()
}

func TestImpossibleRequestsAreRejectedAndTheConnectionLivesOn(t *testing.T) {
	server := startServer(t)
	p := connect(t, server.address)
	for _, tt := range []struct{ request, reason string }{
		{uploadText("-1"), "upload-request: file_size: expected 0 to 9007199254740992, saw none or -1"},
		{uploadText("9007199254740993"), "upload-request: file_size: expected 0 to 9007199254740992, saw none or 9007199254740993"},
		{uploadText("null"), "upload-request: file_size: expected 0 to 9007199254740992, saw none or -1"},
		{`{"type":"upload-request","letter":{"file_size":1}}`, "upload-request: destination_path is empty or missing"},
		{`{"type":"upload-request"}`, "upload-request: no letter"},
		{`{"type":"download-request","letter":{"download_path":"\udc80"}}`, "download-request: a name in it is not Unicode"},
		{`{"type":"download-request","letter":{"download_path":"."}}`, "open .: is a directory"},
		{`{"type":"download-request","letter":{"download_path":"a","offset":1}}`, "the file is shorter than what is to be skipped of it"},
		{`{"type":"mkdir-request","letter":{"path":"a"}}`, "mkdir a: not a directory"},
		{`{"type":"list-request","letter":{"path":"a"}}`, "list a: not a directory"},
	} {
		write(t, server.path("a"), nil)
		p.message(tt.request)
		p.expectMessage(rejectedText(tt.reason))
	}
	p.message(closeText)
	p.end()
	expectNames(t, server.root, "a")
}

func TestWhatIsNoEnvelopeEndsTheConnection(t *testing.T) {
	server := startServer(t)
	for _, text := range []string{"", "x", "{}", "\xff"} {
		p := connect(t, server.address)
		p.message(text)
		p.expectEnd()
	}
	p := connect(t, server.address)
	p.write([]byte{0, 1, 0, 1}) // 65537 bytes
	p.expect([]byte{0xfc})
	p.message(closeText)
	p.end()
}

func TestAChunkTooLargeIsRefusedAndTheUploadWithIt(t *testing.T) {
	server := startServer(t)
	write(t, server.path("x"), []byte("old"))
	p := connect(t, server.address)
	p.message(uploadText("5"))
	p.expectMessage(confirmedText)
	p.message("123")
	p.write([]byte{0, 0, 0, 3})
	p.expect([]byte{0xfc})
	p.expectMessage(rejectedText("write x: a chunk of 3 bytes was sent where 2 were left of what was announced"))
	p.message(uploadText("0"))
	p.expectMessage(confirmedText)
	p.expectMessage(confirmedText)
	expectFile(t, server.path("x"), nil)
	expectNames(t, server.root, "x")
}

// Empty chunks would keep an upload, and its room on the disk, alive for ever.
func TestAnEmptyChunkIsRefusedAndTheUploadWithIt(t *testing.T) {
	server := startServer(t)
	p := connect(t, server.address)
	p.message(uploadText("5"))
	p.expectMessage(confirmedText)
	p.write([]byte{0, 0, 0, 0})
	p.expect([]byte{0xfc})
	p.expectMessage(rejectedText("write x: a chunk of 0 bytes was sent where 5 were left of what was announced"))
	p.message(closeText)
	p.end()
	expectNames(t, server.root)
}

func TestAnUploadThatIsBrokenOffLeavesTheOldFileAndNothingElse(t *testing.T) {
	server := startServer(t)
	write(t, server.path("x"), []byte("old"))
	for name, breakOff := range map[string]func(*rawPeer){
		"before a chunk": func(p *rawPeer) {},
		"between chunks": func(p *rawPeer) { p.message("12") },
		"inside a chunk": func(p *rawPeer) { p.write([]byte{0, 0, 0, 5}); p.expect([]byte{0xff}); p.write([]byte("123")) },
		"by close":       func(p *rawPeer) { p.message("12"); p.write([]byte{0, 0, 0, byte(len(closeText))}) },
	} {
		for _, reset := range []bool{false, true} {
			p := connect(t, server.address)
			p.message(uploadText("5"))
			p.expectMessage(confirmedText)
			breakOff(p)
			if reset {
				p.nc.(*net.TCPConn).SetLinger(0)
			} else {
				p.nc.(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, p.nc)
			}
			p.nc.Close()
			server.expectDisconnected(t, p)
			expectNames(t, server.root, "x")
			expectFile(t, server.path("x"), []byte("old"))
			if t.Failed() {
				t.Fatal(name, ", reset: ", reset)
			}
		}
	}
}

// expectDisconnected waits until the server has done with a connection.
func (s *testServer) expectDisconnected(t *testing.T, p *rawPeer) string {
	t.Helper()
	return s.stdout.line(t, p.nc.LocalAddr().String()+" disconnected")
}

func TestConnectionsBeyondTheLimitAreTurnedAway(t *testing.T) {
	server := startServer(t, "-max-conns", "1")
	write(t, server.path("x"), nil)
	connect(t, server.address)
	fail(t, "server is at its connection limit", server.remote("x"), filepath.Join(t.TempDir(), "x"))
}

func TestAFileThatBecomesShorterEndsItsDownload(t *testing.T) {
	server := startServer(t)
	path := write(t, server.path("x"), contents(100_000))
	p := connect(t, server.address)
	p.message(`{"type":"download-request","letter":{"download_path":"x"}}`)
	p.expectMessage(`{"type":"download-confirmation","letter":{"file_size":100000}}`)
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	p.message(confirmedText)
	p.expect(binary.BigEndian.AppendUint32(nil, 100_000))
	p.write([]byte{0xff})
	got, _ := io.ReadAll(p.nc)
	if diff := cmp.Diff(contents(100_000)[:len(got)], got); len(got) > 10 || diff != "" {
		t.Errorf("%d bytes came:\n%s", len(got), diff)
	}
	if line := server.expectDisconnected(t, p); !strings.Contains(line, "the file became shorter while it was sent") || !strings.Contains(line, "of 100000 bytes") {
		t.Errorf("the server said %q", line)
	}
}

func TestAFileThatGrowsIsSentAsItWas(t *testing.T) {
	server := startServer(t)
	path := write(t, server.path("x"), []byte("abc"))
	p := connect(t, server.address)
	p.message(`{"type":"download-request","letter":{"download_path":"x"}}`)
	p.expectMessage(`{"type":"download-confirmation","letter":{"file_size":3}}`)
	write(t, path, []byte("abcdef"))
	p.message(confirmedText)
	p.expectMessage("abc")
	p.message(confirmedText)
	p.message(closeText)
	p.end()
}

func TestTwoUploadsOfOneFileAtOnceBothSucceedAndOneOfThemIsThere(t *testing.T) {
	server := startServer(t)
	a, b := connect(t, server.address), connect(t, server.address)
	for _, p := range []*rawPeer{a, b} {
		p.message(uploadText("2"))
		p.expectMessage(confirmedText)
	}
	a.message("a")
	b.message("b")
	b.message("b")
	b.expectMessage(confirmedText)
	expectFile(t, server.path("x"), []byte("bb"))
	a.message("a")
	a.expectMessage(confirmedText)
	expectFile(t, server.path("x"), []byte("aa"))
	expectNames(t, server.root, "x")
}
