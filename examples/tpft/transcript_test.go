package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tinyproto-go/tinyproto/internal/transcript"
)

// transcripts is absolute, as some tests go elsewhere.
var transcripts, _ = filepath.Abs("../../testdata/transcripts")

func load(t *testing.T, name string) *transcript.Session {
	t.Helper()
	s, err := transcript.Load(os.DirFS(transcripts), name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// play is one end of a recorded session, byte by byte: it writes what that
// end wrote, and expects what the other one did. Both hellos have been
// exchanged.
func (p *rawPeer) play(s *transcript.Session, as transcript.Direction) {
	p.Helper()
	heard := map[transcript.Direction]bool{}
	for _, e := range s.Events {
		switch {
		case e.End != transcript.NoEnd:
			continue // which end is first depends on who is faster
		case !heard[e.From]: // the hello
			heard[e.From] = true
			if e.Data = e.Data[1:]; len(e.Data) == 0 {
				continue
			}
		}
		if e.From == as {
			p.write(e.Data)
		} else {
			p.expect(e.Data)
		}
	}
}

// recordedFiles are the files of the recorded sessions.
func recordedFiles(t *testing.T, dir string) {
	t.Helper()
	write(t, filepath.Join(dir, "big"), transcript.Gen(10<<20))
	write(t, filepath.Join(dir, "one"), []byte("Z"))
	write(t, filepath.Join(dir, "empty"), nil)
	write(t, filepath.Join(dir, "grüß€.bin"), []byte("unicode name\n"))
	if err := os.Mkdir(filepath.Join(dir, "adir"), 0o777); err != nil {
		t.Fatal(err)
	}
}

func TestTheServerAnswersARecordedPythonClientByteForByte(t *testing.T) {
	server := startServer(t)
	recordedFiles(t, server.root)
	for _, tt := range []struct{ session, file, like string }{
		{"d-tpft-download-10MiB", "", ""},
		{"d-tpft-download-empty", "", ""},
		{"d-tpft-download-unicode-name", "", ""},
		{"d-tpft-upload-1-byte", "up-one", "one"},
		{"d-tpft-upload-10MiB", "up-big", "big"},
		{"d-tpft-upload-chunk-size-ignored", "up-cs", "grüß€.bin"},
		{"d-tpft-upload-empty", "up-empty", "empty"},
		{"d-tpft-upload-unicode-name", "up-grüß€.bin", "grüß€.bin"},
	} {
		t.Run(tt.session, func(t *testing.T) {
			p := connect(t, server.address)
			p.play(load(t, tt.session), transcript.ClientToServer)
			p.end()
			if tt.file == "" {
				return
			}
			want, err := os.ReadFile(server.path(tt.like))
			if err != nil {
				t.Fatal(err)
			}
			expectFile(t, server.path(tt.file), want)
		})
	}
	expectNoDrafts(t, server.root)
}

func TestTheServerRejectsWhatARecordedPythonClientCouldNotHave(t *testing.T) {
	server := startServer(t)
	recordedFiles(t, server.root)
	for _, tt := range []struct {
		session string
		reason  string
	}{
		{"d-tpft-download-missing", "open missing: no such file or directory"},
		{"d-tpft-download-directory", "open adir: is a directory"}, // the recorded server did not answer
		{"d-tpft-upload-rejected-is-dir", "open adir: is a directory"},
		{"d-tpft-upload-rejected-no-dir", "open nodir/x: no such file or directory"},
	} {
		t.Run(tt.session, func(t *testing.T) {
			p := connect(t, server.address)
			request := load(t, tt.session).Concat(transcript.ClientToServer)[1:]
			p.message(string(request[4 : 4+int(request[3])]))
			p.expectMessage(`{"type":"rejected","letter":{"reason":"` + tt.reason + `"}}`)
			p.message(closeText) // as the recorded client does
			p.end()
		})
	}
}

func TestTheServerOutlivesARecordedPythonClientThatDied(t *testing.T) {
	server := startServer(t)
	recordedFiles(t, server.root)
	p := connect(t, server.address)
	p.play(load(t, "d-tpft-download-local-unwritable"), transcript.ClientToServer)
	p.nc.(*net.TCPConn).SetLinger(0)
	p.nc.Close()
	succeed(t, server.remote("one"), filepath.Join(t.TempDir(), "one"))
}

func TestTheClientSaysToARecordedPythonServerWhatThePythonClientSaid(t *testing.T) {
	dir := t.TempDir()
	recordedFiles(t, dir)
	t.Chdir(dir)
	for _, tt := range []struct {
		session string
		args    string // ADDR stands for the server's address
		status  int
		stderr  string
		like    string // what a downloaded file is to be
	}{
		{"d-tpft-download-10MiB", "ADDR:big down-big", 0, "", "big"},
		{"d-tpft-download-empty", "ADDR:empty down-empty", 0, "", "empty"},
		{"d-tpft-download-missing", "ADDR:missing down-missing", 1,
			"tpft: missing: the server refused: [Errno 2] No such file or directory: 'missing'\n", ""},
		{"d-tpft-upload-1-byte", "one ADDR:up-one", 0, "", ""},
		{"d-tpft-upload-10MiB", "big ADDR:up-big", 0, "", ""},
		{"d-tpft-upload-empty", "empty ADDR:up-empty", 0, "", ""},
		{"d-tpft-upload-chunk-size-ignored", "grüß€.bin ADDR:up-cs", 0, "", ""},
		{"d-tpft-upload-rejected-is-dir", "one ADDR:adir", 1,
			"tpft: one: the server refused: [Errno 21] Is a directory: 'adir'\n", ""},
		{"d-tpft-upload-rejected-no-dir", "one ADDR:nodir/x", 1,
			"tpft: one: the server refused: [Errno 2] No such file or directory: 'nodir/x'\n", ""},
	} {
		t.Run(tt.session, func(t *testing.T) {
			s := startScripted(t)
			c := start(t, strings.Fields(strings.ReplaceAll(tt.args, "ADDR", s.address))...)
			p := s.accept(t)
			p.play(load(t, tt.session), transcript.ServerToClient)
			p.end()
			if status := c.wait(t); status != tt.status || c.stderr.String() != tt.stderr {
				t.Errorf("status %d, stderr %q; expected %d, %q", status, c.stderr.String(), tt.status, tt.stderr)
			}
			if tt.like == "" {
				return
			}
			want, err := os.ReadFile(tt.like)
			if err != nil {
				t.Fatal(err)
			}
			expectFile(t, "down-"+tt.like, want)
		})
	}
	expectNoDrafts(t, dir)
	if _, err := os.Lstat("down-missing"); err == nil {
		t.Error("a file was made for a download that was refused")
	}
}

func TestOtherCharactersAreSentAsTheyAreAndMeanTheSame(t *testing.T) {
	s := startScripted(t)
	dir := t.TempDir()
	c := start(t, s.address+":grüß€.bin", filepath.Join(dir, "x"))
	p := s.accept(t)
	got := p.receive()
	recorded := load(t, "d-tpft-download-unicode-name").Concat(transcript.ClientToServer)[5:]
	var want, have any
	if err := json.NewDecoder(bytes.NewReader(recorded)).Decode(&want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(got), &have); err != nil {
		t.Fatal(err)
	}
	if w, h := jsonText(want), jsonText(have); w != h {
		t.Errorf("sent %s, which means %s; expected %s", got, h, w)
	}
	c.cancel()
	io.Copy(io.Discard, p.nc)
	if status := c.wait(t); status != 1 {
		t.Errorf("status %d, expected 1", status)
	}
}

func jsonText(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func TestAMissingSourceIsFoundBeforeAnybodyIsAsked(t *testing.T) {
	s := startScripted(t) // nobody accepts there
	fail(t, "nosuch: no such file or directory", "nosuch", s.address+":x")
	fail(t, "one: write to nodir/x: no such file or directory", s.address+":one", "nodir/x")
}
