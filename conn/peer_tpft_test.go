package conn_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/internal/transcript"
)

// These tests are about the Python file transfer peer itself: others rely on it
// to be what the legacy tool was.

const tpftScript = peerDir + "/tpft.py"

// tpftArgs is the command line that gets or puts, in the tool's order.
func tpftArgs(verb, addr, local, remote string, options ...string) []string {
	from, to := remote, local
	if verb == "put" {
		from, to = local, remote
	}
	return append([]string{tpftScript, verb, addr, from, to}, options...)
}

func write(t testing.TB, dir, name string, content []byte) string {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkFile compares a file with its content, nil if there is to be none.
func checkFile(t testing.TB, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if want == nil && errors.Is(err, os.ErrNotExist) {
		return
	}
	if want == nil || err != nil || !bytes.Equal(want, got) {
		t.Errorf("%s is %s, error %v, expected %s (nothing at all: %t)", path, summary(got), err, summary(want), want == nil)
	}
}

func TestTheTpftPeerIsByteForByteTheRecordedOne(t *testing.T) {
	files := map[string][]byte{
		"big":       transcript.Gen(10 << 20),
		"empty":     {},
		"one":       []byte("Z"),
		"grüß€.bin": []byte("unicode name\n"),
	}
	var running sync.WaitGroup
	defer running.Wait()
	for _, tt := range []struct {
		session, verb, from, to string
		options                 []string
		stderr                  string
	}{
		{session: "d-tpft-download-10MiB", verb: "get", from: "big", to: "down-big"},
		{session: "d-tpft-download-empty", verb: "get", from: "empty", to: "down-empty"},
		{session: "d-tpft-download-unicode-name", verb: "get", from: "grüß€.bin", to: "down-€"},
		{session: "d-tpft-download-missing", verb: "get", from: "missing", to: "down-missing",
			stderr: "[Errno 2] No such file or directory: 'missing'"},
		{session: "d-tpft-download-local-unwritable", verb: "get", from: "one", to: "nodir/x",
			stderr: "[Errno 2] No such file or directory: 'LOCAL'"},
		{session: "d-tpft-download-directory", verb: "get", from: "adir", to: "down-adir",
			options: []string{"--timeout", "2"}, stderr: "timed out in size: 4 of 4 bytes missing"},
		{session: "d-tpft-upload-10MiB", verb: "put", from: "big", to: "up-big"},
		{session: "d-tpft-upload-empty", verb: "put", from: "empty", to: "up-empty"},
		{session: "d-tpft-upload-1-byte", verb: "put", from: "one", to: "up-one"},
		{session: "d-tpft-upload-unicode-name", verb: "put", from: "grüß€.bin", to: "up-grüß€.bin"},
		{session: "d-tpft-upload-chunk-size-ignored", verb: "put", from: "grüß€.bin", to: "up-cs"},
		{session: "d-tpft-upload-rejected-is-dir", verb: "put", from: "one", to: "adir",
			stderr: "[Errno 21] Is a directory: 'adir'"},
		{session: "d-tpft-upload-rejected-no-dir", verb: "put", from: "one", to: "nodir/x",
			stderr: "[Errno 2] No such file or directory: 'nodir/x'"},
	} {
		run := func() {
			t.Run(tt.session, func(t *testing.T) {
				recorded, err := transcript.Load(os.DirFS("../testdata/transcripts"), tt.session)
				if err != nil {
					t.Fatal(err)
				}
				dirs := map[string]string{"local": t.TempDir(), "remote": t.TempDir()}
				near, far, source, destination := tt.to, tt.from, "remote", "local"
				if tt.verb == "put" {
					near, far, source, destination = tt.from, tt.to, "local", "remote"
				}
				near = filepath.Join(dirs["local"], near)
				if err := os.Mkdir(filepath.Join(dirs["remote"], "adir"), 0o700); err != nil {
					t.Fatal(err)
				}
				want, exists := files[tt.from]
				if exists {
					write(t, dirs[source], tt.from, want)
				}
				stderr := ""
				if tt.stderr != "" {
					want, stderr = nil, "tpft.py: "+strings.ReplaceAll(tt.stderr, "LOCAL", near)+"\n"
				}
				server, addr := serveScript(t, "tpft.py", "--dir", dirs["remote"], "-v")
				p := startTap(t, addr)
				startPython(t, "", tpftArgs(tt.verb, p.addr, near, far, tt.options...)...).end(t, "", stderr)
				<-p.done
				if diff := cmp.Diff(lines(recorded.Events), lines(p.seen)); diff != "" {
					t.Errorf("bytes (-recorded +got):\n%s", diff)
				}
				var log []string
				for _, line := range recorded.Observed {
					if line, ok := strings.CutPrefix(line, "server: ["); ok {
						log = append(log, "["+line)
					}
				}
				if diff := cmp.Diff(log, serverLog(t, server)); diff != "" {
					t.Errorf("the server's log (-recorded +got):\n%s", diff)
				}
				if tt.to != "adir" {
					checkFile(t, filepath.Join(dirs[destination], tt.to), want)
				}
			})
		}
		if len(tt.options) > 0 {
			running.Go(run) // all it does is wait for its timeout
		} else {
			run()
		}
	}
}

func TestATpftPutOfAMissingFileDoesNotConnect(t *testing.T) {
	l := listen(t)
	l.Close() // connecting would fail, and would be what is complained of
	missing := filepath.Join(t.TempDir(), "nosuch")
	startPython(t, "", tpftScript, "put", l.Addr().String(), missing, "x").
		end(t, "", "tpft.py: Path "+missing+" does not exist or is not a file\n")
}

func TestTpftCopiesFilesOfEverySizeForManyAtOnce(t *testing.T) {
	const (
		name    = "grüß dich €, 日本語 🙂"
		escaped = `gr\u00fc\u00df dich \u20ac, \u65e5\u672c\u8a9e \ud83d\ude42`
		putting = 1000
		getting = 4 << 20
	)
	remote, local := t.TempDir(), t.TempDir()
	_, addr := serveScript(t, "tpft.py", "--dir", remote)
	var running sync.WaitGroup
	defer running.Wait()
	for verb, chunk := range map[string]int{"put": putting, "get": getting} {
		for _, size := range []int{0, 1, chunk - 1, chunk, chunk + 1} {
			source, suffix := local, fmt.Sprintf(" %s %d", verb, size)
			if verb == "get" {
				source = remote
			}
			content := transcript.Gen(size)
			write(t, source, name+suffix, content)
			d := newDialogue()
			chunks := func(from transcript.Direction) {
				for rest := string(content); rest != ""; {
					n := min(chunk, len(rest))
					d.say(from, rest[:n])
					rest = rest[n:]
				}
			}
			var options []string
			if verb == "put" {
				options = []string{"--chunk-size", strconv.Itoa(chunk)}
				d.say(c2s, uploadRequest(size, escaped+suffix))
				d.say(s2c, confirmed)
				chunks(c2s)
				d.say(s2c, confirmed)
			} else {
				d.say(c2s, downloadRequest(escaped+suffix))
				d.say(s2c, downloadConfirmation(size))
				d.say(c2s, confirmed)
				chunks(s2c)
				d.say(c2s, confirmed)
			}
			d.say(c2s, closing)
			running.Go(func() {
				t.Run(fmt.Sprint(verb, size), func(t *testing.T) {
					p := startTap(t, addr)
					args := tpftArgs(verb, p.addr, filepath.Join(local, name+suffix), name+suffix, options...)
					startPython(t, "", args...).end(t, "", "")
					d.check(t, p)
					checkFile(t, filepath.Join(local, name+suffix), content)
					checkFile(t, filepath.Join(remote, name+suffix), content)
				})
			})
		}
	}
}
