package main

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// offerText is the answer to the request of a download.
func offerText(size string) string {
	return `{"type":"download-confirmation","letter":{"file_size":` + size + `}}`
}

// Each of these servers does wrong in one way. The client is to say so, and to
// leave what was there as it was.
func TestAServerThatDoesWrongIsNamedAndNothingIsChanged(t *testing.T) {
	for name, tt := range map[string]struct {
		upload bool
		server func(*rawPeer)
		reason string
	}{
		"ends before it answers":    {false, func(p *rawPeer) { p.receive(); p.nc.(*net.TCPConn).CloseWrite() }, "the peer ended the connection"},
		"is silent":                 {false, func(p *rawPeer) { p.receive() }, "the peer was silent for 300ms"},
		"answers something else":    {false, func(p *rawPeer) { p.receive(); p.message(confirmedText) }, `expected an envelope of type "download-confirmation", saw "confirmed"`},
		"answers rubbish":           {false, func(p *rawPeer) { p.receive(); p.message("x") }, `expected an envelope in JSON, saw "x"`},
		"has no size":               {false, func(p *rawPeer) { p.receive(); p.message(offerText("null")) }, "file_size: expected 0 to"},
		"has an impossible size":    {false, func(p *rawPeer) { p.receive(); p.message(offerText("-5")) }, "file_size: expected 0 to"},
		"rejects what it can't say": {false, func(p *rawPeer) { p.receive(); p.message(`{"type":"rejected","letter":7}`) }, "rejected: json:"},
		"rejects with control codes": {false, func(p *rawPeer) {
			p.receive()
			p.message(rejectedText(`\u001b[2J\n`))
			p.expectMessage(closeText)
			p.end()
		}, `the server refused: \x1b[2J\n`},
		"stalls before a chunk": {false, func(p *rawPeer) { p.receive(); p.message(offerText("5")); p.receive() }, "the peer was silent for 300ms"},
		"stalls inside a chunk": {false, func(p *rawPeer) { p.offerFive(); p.write([]byte("123")) }, "peer stalled: no progress for 300ms"},
		"ends inside a chunk":   {false, func(p *rawPeer) { p.offerFive(); p.write([]byte("123")); p.nc.(*net.TCPConn).CloseWrite() }, "3 bytes into the file: tinyproto: connection with"},
		"resets inside a chunk": {false, func(p *rawPeer) { p.offerFive(); p.nc.(*net.TCPConn).SetLinger(0); p.nc.Close() }, "connection reset"},
		"ends between chunks": {false, func(p *rawPeer) {
			p.receive()
			p.message(offerText("5"))
			p.receive()
			p.message("12")
			p.nc.(*net.TCPConn).CloseWrite()
		}, "the peer ended the connection"},
		"sends too much": {false, func(p *rawPeer) {
			p.receive()
			p.message(offerText("5"))
			p.receive()
			p.write([]byte{0, 0, 0, 6})
			p.expect([]byte{0xfc})
		}, "a chunk of 6 bytes was sent where 5 were left"},
		"is silent at an upload":   {true, func(p *rawPeer) { p.receive() }, "the peer was silent for 300ms"},
		"accepts no chunk":         {true, func(p *rawPeer) { p.receive(); p.message(confirmedText) }, "peer stalled: no progress for 300ms"},
		"does not confirm the end": {true, func(p *rawPeer) { p.receive(); p.message(confirmedText); p.receive() }, "the peer was silent for 300ms"},
		"ends before it confirms":  {true, func(p *rawPeer) { p.receive(); p.message(confirmedText); p.receive(); p.nc.(*net.TCPConn).CloseWrite() }, "the peer ended the connection"},
		"refuses a chunk and says why": {true, func(p *rawPeer) {
			p.refuseChunk()
			p.message(rejectedText("disk full"))
			p.expectMessage(closeText)
			p.end()
		}, "the server refused: disk full"},
		"refuses a chunk silently":     {true, func(p *rawPeer) { p.refuseChunk(); p.nc.(*net.TCPConn).CloseWrite() }, "the peer ended the connection"},
		"refuses a chunk but confirms": {true, func(p *rawPeer) { p.refuseChunk(); p.message(confirmedText) }, "over the peer's limit (TOO_LARGE)"},
		"rejects at the end": {true, func(p *rawPeer) {
			p.receive()
			p.message(confirmedText)
			p.receive()
			p.message(rejectedText("disk full"))
			p.expectMessage(closeText)
			p.end()
		}, "the server refused: disk full"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startScripted(t)
			dir := t.TempDir()
			path := write(t, filepath.Join(dir, "x"), []byte("old"))
			timeout := "-timeout=1m"
			if strings.HasSuffix(tt.reason, "for 300ms") {
				timeout = "-timeout=300ms"
			}
			args := []string{timeout, s.address + ":x", path}
			if tt.upload {
				args = []string{timeout, path, s.address + ":x"}
			}
			c := start(t, args...)
			p := s.accept(t)
			tt.server(p)
			status := c.wait(t)
			if text := c.stderr.String(); status != 1 || !strings.Contains(text, tt.reason) || strings.Count(text, "\n") != 1 {
				t.Errorf("status %d, stderr %q; expected 1 and one line with %q", status, text, tt.reason)
			}
			expectNames(t, dir, "x")
			expectFile(t, path, []byte("old"))
		})
	}
}

// offerFive offers a file of five bytes and begins to send it.
func (p *rawPeer) offerFive() {
	p.Helper()
	p.receive()
	p.message(offerText("5"))
	p.expectMessage(confirmedText)
	p.write([]byte{0, 0, 0, 5})
	p.expect([]byte{0xff})
}

// refuseChunk confirms an upload of three bytes and refuses them.
func (p *rawPeer) refuseChunk() {
	p.Helper()
	p.receive()
	p.message(confirmedText)
	p.expect([]byte{0, 0, 0, 3})
	p.write([]byte{0xfc})
}

func TestAConnectionThatBrokeIsMadeAgainForTheNextFile(t *testing.T) {
	s := startScripted(t)
	dir := t.TempDir()
	c := start(t, s.address+":a", s.address+":b", dir)
	p := s.accept(t)
	p.offerFive()
	p.nc.Close()
	p = s.accept(t)
	p.expectMessage(`{"type":"download-request","letter":{"download_path":"b"}}`)
	p.message(offerText("1"))
	p.expectMessage(confirmedText)
	p.message("b")
	p.expectMessage(confirmedText)
	p.expectMessage(closeText)
	p.end()
	if status := c.wait(t); status != 1 {
		t.Errorf("status %d, stderr %q", status, c.stderr.String())
	}
	expectNames(t, dir, "b")
}

func TestAConnectionOnWhichAnExchangeFailedIsNotUsedFurther(t *testing.T) {
	s := startScripted(t)
	dir := t.TempDir()
	c := start(t, s.address+":a", s.address+":b", dir)
	p := s.accept(t)
	p.receive()
	p.message(confirmedText) // in place of an offer
	p.expectEnd()
	p = s.accept(t)
	p.expectMessage(`{"type":"download-request","letter":{"download_path":"b"}}`)
	p.message(rejectedText("no"))
	p.expectMessage(closeText) // a rejection is no failure
	p.end()
	if status := c.wait(t); status != 1 {
		t.Errorf("status %d, stderr %q", status, c.stderr.String())
	}
}

func TestASourceThatBecomesShorterIsNamed(t *testing.T) {
	for _, flags := range [][]string{nil, {"-chunk-size", "7"}} {
		s := startScripted(t)
		path := write(t, filepath.Join(t.TempDir(), "x"), contents(100))
		c := start(t, append(flags, path, s.address+":x")...)
		p := s.accept(t)
		p.receive()
		if err := os.Truncate(path, 10); err != nil {
			t.Fatal(err)
		}
		p.message(confirmedText)
		p.takeAll()
		if status := c.wait(t); status != 1 || !strings.Contains(c.stderr.String(), "x: the file became shorter while it was sent") {
			t.Errorf("%q: status %d, stderr %q", flags, status, c.stderr.String())
		}
	}
}

// takeAll accepts messages until the connection ends.
func (p *rawPeer) takeAll() {
	for size := make([]byte, 4); ; {
		if _, err := io.ReadFull(p.nc, size); err != nil {
			return
		}
		p.write([]byte{0xff})
		if _, err := io.CopyN(io.Discard, p.nc, int64(binary.BigEndian.Uint32(size))); err != nil {
			return
		}
	}
}

func TestTheEndOfTheContextEndsACopyWithStatus1AndNothingLeft(t *testing.T) {
	for name, stall := range map[string]func(*rawPeer){
		"before the answer": func(p *rawPeer) { p.receive() },
		"inside a chunk":    func(p *rawPeer) { p.offerFive(); p.write([]byte("123")) },
	} {
		t.Run(name, func(t *testing.T) {
			s := startScripted(t)
			dir := t.TempDir()
			path := write(t, filepath.Join(dir, "x"), []byte("old"))
			c := start(t, s.address+":x", s.address+":y", dir)
			p := s.accept(t)
			stall(p)
			c.cancel()
			io.Copy(io.Discard, p.nc)
			want := "tpft: context canceled: x was not copied\n"
			if status := c.wait(t); status != 1 || c.stderr.String() != want {
				t.Errorf("status %d, stderr %q; expected 1 and %q", status, c.stderr.String(), want)
			}
			expectNames(t, dir, "x")
			expectFile(t, path, []byte("old"))
		})
	}
}

// asProcess starts the program as a process of its own, in a directory.
func asProcess(t *testing.T, dir string, args ...string) (*exec.Cmd, *output) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), asProgram+"=1")
	var stderr output
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, &stderr
}

func TestASignalEndsEitherSideAndLeavesNothing(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	server, serverErr := asProcess(t, root, "-l", "127.0.0.1:0")
	line := serverErr.line(t, "listening on ")
	address := strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	uploading := connect(t, address)
	uploading.message(uploadText("5"))
	uploading.expectMessage(confirmedText)

	s := startScripted(t)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		client, clientErr := asProcess(t, dir, s.address+":x", "x")
		s.accept(t).offerFive()
		client.Process.Signal(sig)
		client.Wait()
		if status := client.ProcessState.ExitCode(); status != 1 || !strings.Contains(clientErr.String(), sig.String()+" signal received: x was not copied") {
			t.Errorf("%v: status %d, stderr %q", sig, status, clientErr.String())
		}
	}
	expectNames(t, dir)

	began := time.Now()
	server.Process.Signal(syscall.SIGTERM)
	server.Wait()
	if status := server.ProcessState.ExitCode(); status != 0 || serverErr.String() != line {
		t.Errorf("server: status %d, stderr %q; expected 0 and nothing more", status, serverErr.String())
	}
	if took := time.Since(began); took > 2*grace {
		t.Errorf("the server took %v to end", took)
	}
	expectNames(t, root)
}
