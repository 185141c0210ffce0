package conn_test

import (
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

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
