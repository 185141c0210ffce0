package transcript_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/internal/transcript"
)

const (
	c2s = transcript.ClientToServer
	s2c = transcript.ServerToClient
)

var dir = os.DirFS("../../testdata/transcripts")

func load(t *testing.T, name string) *transcript.Session {
	t.Helper()
	s, err := transcript.Load(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The lines are read again here, by other means than the loader's: what a token
// says about its bytes must be true of the bytes that were loaded.
func TestLoadAllMatchesTokens(t *testing.T) {
	all, err := transcript.LoadAll(dir)
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(dir, "*.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(files) {
		t.Fatalf("loaded %d sessions of %d files", len(all), len(files))
	}
	hashed := 0
	for i, s := range all {
		text, err := fs.ReadFile(dir, files[i])
		if err != nil {
			t.Fatal(err)
		}
		if s.Name+".txt" != files[i] || s.Run == "" {
			t.Errorf("%s: Name %q, Run %q", files[i], s.Name, s.Run)
		}
		if s.Name == "n-eager-sink-200x50" {
			continue // no tokens; TestEagerRule
		}
		left := map[string][]byte{"C->S": s.Concat(c2s), "S->C": s.Concat(s2c)}
		for n, line := range strings.Split(string(text), "\n") {
			f := strings.Fields(line)
			if len(f) == 0 || f[0] == "#" {
				continue
			}
			for _, token := range f[1:] {
				size, want, isRef := len(token)/2, token, token[0] == '@'
				if isRef {
					hashed++
					if _, err := fmt.Sscanf(token, "@%d:sha256:%s", &size, &want); err != nil {
						t.Fatalf("%s:%d: %v", files[i], n+1, err)
					}
				}
				if len(left[f[0]]) < size {
					t.Fatalf("%s:%d: %d bytes left in the session, the token has %d", files[i], n+1, len(left[f[0]]), size)
				}
				b := left[f[0]][:size]
				left[f[0]] = left[f[0]][size:]
				got := hex.EncodeToString(b)
				if isRef {
					got = fmt.Sprintf("%x", sha256.Sum256(b))
				}
				if got != want {
					t.Errorf("%s:%d: loaded %s, the file says %s", files[i], n+1, got, want)
				}
			}
		}
		for d, b := range left {
			if len(b) > 0 {
				t.Errorf("%s: %d bytes %s that are not in the file", files[i], len(b), d)
			}
		}
	}
	if hashed == 0 {
		t.Error("no file had a @LEN:sha256:HEX token")
	}
}

func TestGenMatchesPayloadHeaders(t *testing.T) {
	all, err := transcript.LoadAll(dir)
	if err != nil {
		t.Fatal(err)
	}
	header := regexp.MustCompile(`gen\((\d+)\) sha256 ([0-9a-f]{64})`)
	seen := map[int]bool{}
	for _, s := range all {
		for _, m := range header.FindAllStringSubmatch(strings.Join(s.Payload, "\n"), -1) {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				t.Fatal(err)
			}
			seen[n] = true
			if got := fmt.Sprintf("%x", sha256.Sum256(transcript.Gen(n))); got != m[2] {
				t.Errorf("%s: SHA-256 of Gen(%d) is %s, the header says %s", s.Name, n, got, m[2])
			}
		}
	}
	want := map[int]bool{1: true, 255: true, 256: true, 65535: true, 65536: true, 1048579: true, 10485760: true}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("lengths with a hash (-want +got):\n%s", diff)
	}
	if got := transcript.Gen(0); len(got) != 0 {
		t.Errorf("Gen(0) = %x", got)
	}
}

func TestConcat(t *testing.T) {
	const answers3 = "\xff\xff\xff"
	for _, tt := range []struct{ name, client, server string }{
		{
			"a-handshake-hello-client-closes",
			"\xff\x00\x00\x00\x05hello\xff",
			"\xff\xff\x00\x00\x00\x05hello",
		},
		{
			"b-empty-both-ways",
			"\xff\x00\x00\x00\x00\xff\x00\x00\x00\x01x\xff\x00\x00\x00\x00\xff\x00\x00\x00\x00\xff",
			"\xff\xff\x00\x00\x00\x00\xff\x00\x00\x00\x01x\xff\x00\x00\x00\x00\xff\x00\x00\x00\x00",
		},
		{
			"l-readme-echo-QUIT",
			"\xff\x00\x00\x00\x05hello\xff\x00\x00\x00\x00\xff\x00\x00\x00\x0agrüß €\xff\x00\x00\x00\x04QUIT",
			"\xff\xff\x00\x00\x00\x10Echo back: hello\xff\x00\x00\x00\x0bEcho back: \xff\x00\x00\x00\x15Echo back: grüß €\xff",
		},
		{
			"n-eager-to-client",
			"\xff" + answers3,
			"\xff\x00\x00\x00\x03one\x00\x00\x00\x00\x00\x00\x00\x05three",
		},
		{
			"h-limit-v3.0-loop-in-thread-third",
			"\xff",
			"",
		},
		{"m-addresses", "", ""},
		{"d-tpft-upload-local-missing", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := load(t, tt.name)
			if diff := cmp.Diff(tt.client, string(s.Concat(c2s))); diff != "" {
				t.Errorf("C->S (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.server, string(s.Concat(s2c))); diff != "" {
				t.Errorf("S->C (-want +got):\n%s", diff)
			}
		})
	}
}

// Where the order of ends and bytes matters, and where there are only ends.
func TestSession(t *testing.T) {
	data := func(d transcript.Direction, s string) transcript.Event {
		return transcript.Event{From: d, Data: []byte(s)}
	}
	end := func(d transcript.Direction, e transcript.End) transcript.Event {
		return transcript.Event{From: d, End: e}
	}
	fsys := fstest.MapFS{"s.txt": {Data: []byte(strings.Join([]string{
		"# session: s",
		"# run: one: two",
		"# payload: a",
		"# payload: b",
		"# t=0.001",
		"C->S ff 0102 @1:sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 03",
		"# C->S FIN",
		"S->C ff",
		"# S->C RST t=1.5",
		"# observed: c",
		"# second client: up",
		"# server: listening",
	}, "\r\n"))}}
	got, err := transcript.Load(fsys, "s")
	if err != nil {
		t.Fatal(err)
	}
	want := &transcript.Session{
		Name:     "s",
		Run:      "one: two",
		Payload:  []string{"a", "b"},
		Observed: []string{"c"},
		Peers:    []string{"second client: up", "server: listening"},
		Events: []transcript.Event{
			data(c2s, "\xff\x01\x02x\x03"), end(c2s, transcript.FIN),
			data(s2c, "\xff"), end(s2c, transcript.RST),
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("session (-want +got):\n%s", diff)
	}

	onlyEnd := []transcript.Event{end(s2c, transcript.FIN)}
	if diff := cmp.Diff(onlyEnd, load(t, "h-limit-v3.0-second-client").Events); diff != "" {
		t.Errorf("session without bytes (-want +got):\n%s", diff)
	}
}

func TestEagerRule(t *testing.T) {
	s := load(t, "n-eager-sink-200x50")
	if diff := cmp.Diff(strings.Repeat("\xff", 201), string(s.Concat(s2c))); diff != "" {
		t.Errorf("S->C (-want +got):\n%s", diff)
	}
	b := s.Concat(c2s)
	if b[0] != 0xff {
		t.Fatalf("hello is %x", b[0])
	}
	b = b[1:]
	for size := 50; size <= 249; size++ {
		if len(b) < 4+size || binary.BigEndian.Uint32(b) != uint32(size) {
			t.Fatalf("no message of %d bytes at its place", size)
		}
		if diff := cmp.Diff(transcript.Gen(size), b[4:4+size]); diff != "" {
			t.Fatalf("payload of %d bytes (-want +got):\n%s", size, diff)
		}
		b = b[4+size:]
	}
	if len(b) > 0 {
		t.Errorf("%d bytes behind the last message", len(b))
	}
}

func TestErrors(t *testing.T) {
	sum := strings.Repeat("0", 64)
	for _, tt := range []struct{ name, text, want string }{
		{"empty file", "", `s.txt:1: expected "# session: s", saw ""`},
		{"other session", "# session: x\n", `s.txt:1: expected "# session: s", saw "# session: x"`},
		{"blank line", "# session: s\n\nC->S ff", `s.txt:2: expected "C->S ", "S->C " or "# ", saw ""`},
		{"unknown direction", "# session: s\nC<-S ff", `s.txt:2: expected "C->S ", "S->C " or "# ", saw "C<-S ff"`},
		{"unknown comment", "# session: s\n# note", `s.txt:2: expected "t=", a direction, or "run: ", "payload: ", "observed: ", "client: ", "server: ", saw "note"`},
		{"no tokens", "# session: s\n# run: r\nC->S ", `s.txt:3: expected tokens behind the direction, saw ""`},
		{"odd hex", "# session: s\nC->S ff f", `s.txt:2: expected lower case hex or @LEN:sha256:HEX, saw "f"`},
		{"upper case hex", "# session: s\nC->S FF", `s.txt:2: expected lower case hex or @LEN:sha256:HEX, saw "FF"`},
		{"no length", "# session: s\nC->S @:sha256:00", `s.txt:2: expected @LEN:sha256:HEX with LEN from 1 to 10485760, saw "@:sha256:00"`},
		{"length 0", "# session: s\nC->S @0:sha256:00", `s.txt:2: expected @LEN:sha256:HEX with LEN from 1 to 10485760, saw "@0:sha256:00"`},
		{"length too large", "# session: s\nC->S @10485761:sha256:00", `s.txt:2: expected @LEN:sha256:HEX with LEN from 1 to 10485760, saw "@10485761:sha256:00"`},
		{"other hash", "# session: s\nC->S @5:md5:00", `s.txt:2: expected @LEN:sha256:HEX with LEN from 1 to 10485760, saw "@5:md5:00"`},
		{"unresolved", "# session: s\nC->S @5:sha256:" + sum, `s.txt:2: expected the SHA-256 of gen(5) or of a tpft message, saw "` + sum + `"`},
		{"unresolved tpft", "# session: s\nC->S @4194304:sha256:" + sum, `s.txt:2: expected the SHA-256 of gen(4194304) or of a tpft message, saw "` + sum + `"`},
		{"unknown end", "# session: s\n# C->S FIM", `s.txt:2: expected "FIN" or "RST", then nothing or " t=SECONDS", saw "FIM"`},
		{"text behind the end", "# session: s\n# C->S FIN at 3", `s.txt:2: expected "FIN" or "RST", then nothing or " t=SECONDS", saw "FIN at 3"`},
		{"same direction twice", "# session: s\nS->C ff\nS->C ff", `s.txt:3: expected anything but data S->C again, saw two lines of it in a row`},
		{"bytes after the end", "# session: s\n# C->S RST\nC->S ff", `s.txt:3: expected no more of C->S after its RST, saw data`},
		{"end after the end", "# session: s\n# C->S FIN\n# C->S FIN", `s.txt:3: expected no more of C->S after its FIN, saw FIN`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fsys := fstest.MapFS{"s.txt": {Data: []byte(tt.text)}}
			_, err := transcript.LoadAll(fsys)
			if diff := cmp.Diff(tt.want, fmt.Sprint(err)); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := transcript.LoadAll(fstest.MapFS{}); err == nil {
		t.Error("LoadAll of an empty directory: no error")
	}
	if _, err := transcript.Load(dir, "no-such-session"); !os.IsNotExist(err) {
		t.Errorf("Load of a missing session: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("")
	f.Add("# session: s\nC->S ff @1:sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\n# C->S FIN t=1\n")
	for _, name := range []string{"i-fin-mid-payload-echo", "n-eager-sink-200x50", "h-limit-v3.0-loop-in-thread", "d-tpft-upload-local-missing"} {
		text, err := fs.ReadFile(dir, name+".txt")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(strings.Replace(string(text), name, "s", 1))
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := transcript.Load(fstest.MapFS{"s.txt": {Data: []byte(text)}}, "s")
		if err != nil {
			if !regexp.MustCompile(`^s\.txt:\d+: expected .*, saw `).MatchString(err.Error()) {
				t.Errorf("error without place or reason: %v", err)
			}
			return
		}
		for i, e := range s.Events {
			if (len(e.Data) == 0) != (e.End != transcript.NoEnd) {
				t.Errorf("event %d: %d bytes and end %v", i, len(e.Data), e.End)
			}
		}
	})
}
