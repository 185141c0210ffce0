package conn_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/transcript"
	"github.com/tinyproto-go/tinyproto/wire"
)

// These tests are about the Python file transfer peer itself: others rely on it
// to be what the legacy tool was.

const tpftScript = peerDir + "/tpft.py"

// A tap passes the bytes of one connection on, and notes what it sees before
// the other end can.
type tap struct {
	addr string
	done chan struct{} // closed when the connection is over
	mu   sync.Mutex
	seen []transcript.Event // guarded by mu until done
}

func startTap(t testing.TB, server string) *tap {
	l := listen(t)
	p := &tap{addr: l.Addr().String(), done: make(chan struct{})}
	go func() { // ends with the connection, or with the listener if there is none
		defer close(p.done)
		client, err := l.Accept()
		if err != nil {
			return
		}
		defer client.Close()
		dialed, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		defer dialed.Close()
		var passing sync.WaitGroup
		passing.Go(func() { p.pass(client, dialed.(*net.TCPConn), transcript.ClientToServer) })
		passing.Go(func() { p.pass(dialed, client.(*net.TCPConn), transcript.ServerToClient) })
		passing.Wait()
	}()
	return p
}

func (p *tap) pass(from net.Conn, to *net.TCPConn, d transcript.Direction) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			p.note(transcript.Event{From: d, Data: bytes.Clone(buf[:n])})
			to.Write(buf[:n]) // if it fails, the other direction ends as well
		}
		switch {
		case err == io.EOF:
			to.CloseWrite()
			return
		case errors.Is(err, syscall.ECONNRESET):
			p.note(transcript.Event{From: d, End: transcript.RST})
			fallthrough
		case err != nil:
			to.SetLinger(0)
			to.Close()
			return
		}
	}
}

func (p *tap) note(e transcript.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, e)
}

// lines shows a session in the way of the transcripts, without what differs
// from run to run: which hello is first, and who is first to end after all.
func lines(events []transcript.Event) []string {
	all := []string{"C->S hello", "S->C hello"}
	greeted := map[transcript.Direction]bool{}
	var run transcript.Event
	flush := func() {
		if len(run.Data) > 0 {
			all = append(all, fmt.Sprintf("%v %s", run.From, summary(run.Data)))
		}
	}
	for _, e := range events {
		switch {
		case e.End == transcript.RST:
			flush()
			run = transcript.Event{}
			all = append(all, fmt.Sprintf("%v %v", e.From, e.End))
			continue
		case e.End == transcript.FIN:
			continue
		case !greeted[e.From]:
			if greeted[e.From] = true; e.Data[0] != byte(wire.OK) {
				all = append(all, fmt.Sprintf("%v greets with %x", e.From, e.Data[0]))
			}
			e.Data = e.Data[1:]
		}
		if e.From != run.From {
			flush()
			run = transcript.Event{From: e.From}
		}
		run.Data = append(run.Data, e.Data...)
	}
	flush()
	return all
}

var (
	logID   = regexp.MustCompile(`\[[0-9a-f-]{36}\]`)
	logPort = regexp.MustCompile(`', \d+\)`)
)

// serverLog returns the lines of a tpft server's log up to the end of one
// connection.
func serverLog(t testing.TB, server *python) []string {
	var log []string
	for {
		line := logPort.ReplaceAllString(logID.ReplaceAllString(server.line(t), "[UUID]"), "', PORT)")
		if log = append(log, line); strings.HasPrefix(line, "[SRV] Connection closed") {
			return log
		}
	}
}

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

// A dialogue is all that two ends write that talk in turn, by direction.
type dialogue [2][]byte

const (
	c2s = transcript.ClientToServer
	s2c = transcript.ServerToClient
)

func newDialogue() *dialogue { return &dialogue{{byte(wire.OK)}, {byte(wire.OK)}} }

// sayUntil adds a message of which only so many bytes are written.
func (d *dialogue) sayUntil(n int, from transcript.Direction, msg string) {
	d[from] = append(wire.AppendSize(d[from], uint32(len(msg))), msg[:n]...)
	d[1-from] = append(d[1-from], byte(wire.OK))
}

func (d *dialogue) say(from transcript.Direction, msg string) { d.sayUntil(len(msg), from, msg) }

const (
	confirmed = `{"type":"confirmed","letter":{}}`
	closing   = `{"type":"close","letter":{}}`
)

func uploadRequest(size int, path string) string {
	return fmt.Sprintf(`{"type":"upload-request","letter":{"file_size":%d,"destination_path":"%s"}}`, size, path)
}

func downloadRequest(path string) string {
	return fmt.Sprintf(`{"type":"download-request","letter":{"download_path":"%s"}}`, path)
}

func downloadConfirmation(size int) string {
	return fmt.Sprintf(`{"type":"download-confirmation","letter":{"file_size":%d}}`, size)
}

func (d *dialogue) check(t testing.TB, p *tap) {
	t.Helper()
	<-p.done
	got := transcript.Session{Events: p.seen}
	for _, from := range []transcript.Direction{c2s, s2c} {
		if diff := cmp.Diff(summary(d[from]), summary(got.Concat(from))); diff != "" {
			t.Errorf("%v (-want +got):\n%s", from, diff)
		}
	}
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

func TestATpftPeerCanDieOrStallAmidAFile(t *testing.T) {
	var running sync.WaitGroup
	defer running.Wait()
	for _, verb := range []string{"put", "get"} {
		for _, at := range []string{"client", "server"} {
			for _, fault := range []string{"--die-after", "--stall-after"} {
				running.Go(func() {
					t.Run(strings.Join([]string{verb, at, fault}, " "), func(t *testing.T) { breakOff(t, verb, at, fault) })
				})
			}
		}
	}
}

// breakOff has one end break off a copy in the middle of the second message
// of a put, or of the only one of a get.
func breakOff(t *testing.T, verb, at, fault string) {
	const content, moved, chunk = "0123456789", 6, 4
	local, remote := filepath.Join(t.TempDir(), "file"), t.TempDir()
	options := map[string][]string{at: {fault, strconv.Itoa(moved)}}
	server, addr := serveScript(t, "tpft.py", append(options["server"], "--dir", remote)...)
	p, d, destination := startTap(t, addr), newDialogue(), local
	if verb == "put" {
		write(t, "", local, []byte(content))
		options["client"] = append(options["client"], "--chunk-size", strconv.Itoa(chunk))
		destination = filepath.Join(remote, "file")
		d.say(c2s, uploadRequest(len(content), "file"))
		d.say(s2c, confirmed)
		d.say(c2s, content[:chunk])
		d.sayUntil(moved-chunk, c2s, content[chunk:2*chunk])
	} else {
		write(t, remote, "file", []byte(content))
		d.say(c2s, downloadRequest("file"))
		d.say(s2c, downloadConfirmation(len(content)))
		d.say(c2s, confirmed)
		d.sayUntil(moved, s2c, content)
	}
	client := startPython(t, "", tpftArgs(verb, p.addr, local, "file", options["client"]...)...)
	faulty, other := client, server
	if at == "server" {
		faulty, other = server, client
	}
	if fault == "--stall-after" {
		if line := faulty.line(t); line != "stalled" {
			t.Errorf("it printed %q", line)
		}
		select {
		case <-p.done:
			t.Error("the connection ended")
		default:
		}
		faulty.cmd.Process.Kill()
	}
	faulty.cmd.Wait()
	if status := faulty.cmd.ProcessState.ExitCode(); fault == "--die-after" && status != 3 {
		t.Errorf("it ended with status %d", status)
	}
	if (verb == "put") == (at == "client") { // it was the sender
		d.check(t, p)
	} else {
		checkFile(t, destination, []byte(content[:moved]))
	}
	if other == server { // it serves others
		c := dialPeer(t, addr, nil)
		play(t, c, c2s, []string{"C->S " + closing})
		checkError(t, c.Shutdown(t.Context()))
		return
	}
	other.cmd.Wait()
	if status := other.cmd.ProcessState.ExitCode(); status != 1 {
		t.Errorf("the client ended with status %d", status)
	}
	if verb == "get" {
		checkFile(t, destination, nil)
	}
}

// play has a Conn say and expect messages in turn.
func play(t testing.TB, c *conn.Conn, mine transcript.Direction, messages []string) {
	t.Helper()
	for i, line := range messages {
		msg, ok := strings.CutPrefix(line, mine.String()+" ")
		if ok {
			if err := c.Send(t.Context(), []byte(msg)); err != nil {
				t.Errorf("message %d: %v", i, err)
			}
			continue
		}
		got, err := c.Receive(t.Context())
		if diff := cmp.Diff(line, (1-mine).String()+" "+string(got)); err != nil || diff != "" {
			t.Errorf("message %d (-want +got), error %v:\n%s", i, err, diff)
		}
	}
}

func TestATpftClientTakesWhatAServerMaySay(t *testing.T) {
	const rejected = `{"type":"rejected","letter":{"reason":"gr\u00fc\u00df  dich, \ud83d\ude42"}}`
	dir := t.TempDir()
	empty, one := write(t, dir, "empty", nil), write(t, dir, "one", []byte("Z"))
	const localName = "local" // stands for a path of each test's own
	var running sync.WaitGroup
	defer running.Wait()
	for _, tt := range []struct {
		name, verb     string
		args           []string
		messages       []string
		stdout, stderr string
	}{
		{name: "an empty upload that is confirmed once", verb: "put", args: []string{empty, "x", "--timeout", "2"},
			messages: []string{"C->S " + uploadRequest(0, "x"), "S->C " + confirmed, "C->S " + closing}},
		{name: "a download-confirmation of an upload", verb: "put", args: []string{one, "x"},
			messages: []string{"C->S " + uploadRequest(1, "x"), "S->C " + downloadConfirmation(1), "C->S Z", "S->C " + downloadConfirmation(1), "C->S " + closing}},
		{name: "a lie about the size", verb: "put", args: []string{one, "x", "--lie-size", "5"},
			messages: []string{"C->S " + uploadRequest(5, "x"), "S->C " + confirmed, "C->S Z", "S->C " + confirmed, "C->S " + closing}},
		{name: "any answer to a raw request", verb: "get", args: []string{"--raw-request", `{"type": "grüß"}`},
			messages: []string{`C->S {"type": "grüß"}`, `S->C {"type": "dich"}`, "C->S " + closing}, stdout: "{\"type\": \"dich\"}\n"},
		{name: "a refusal", verb: "get", args: []string{"x", localName},
			messages: []string{"C->S " + downloadRequest("x"), "S->C " + rejected, "C->S " + closing}, stderr: "tpft.py: grüß  dich, 🙂\n"},
		{name: "a file that is larger than announced", verb: "get", args: []string{"x", localName},
			messages: []string{"C->S " + downloadRequest("x"), "S->C " + downloadConfirmation(1), "C->S " + confirmed, "S->C ZZ"},
			stderr:   "tpft.py: got 2 bytes of a file of 1\n"},
		{name: "an answer of the wrong type", verb: "get", args: []string{"x", localName},
			messages: []string{"C->S " + downloadRequest("x"), "S->C " + confirmed}, stderr: "tpft.py: expected download-confirmation, got confirmed\n"},
		{name: "an end instead of the answer", verb: "get", args: []string{"x", localName},
			messages: []string{"C->S " + downloadRequest("x")}, stderr: "tpft.py: expected download-confirmation, got the end of the stream\n"},
	} {
		running.Go(func() {
			t.Run(tt.name, func(t *testing.T) {
				l := listen(t)
				local := filepath.Join(t.TempDir(), localName)
				if i := slices.Index(tt.args, localName); i >= 0 {
					tt.args[i] = local
				}
				p := startPython(t, "", append([]string{tpftScript, tt.verb, l.Addr().String()}, tt.args...)...)
				nc, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				c := greetPeer(t, nc, nil)
				play(t, c, s2c, tt.messages)
				checkError(t, c.Shutdown(t.Context()))
				p.end(t, tt.stdout, tt.stderr)
				checkFile(t, local, nil)
			})
		})
	}
}

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
