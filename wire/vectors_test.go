package wire_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/internal/transcript"
	"github.com/tinyproto-go/tinyproto/wire"
)

// vector is one of PROTOCOL.md's: all that each of two ends wrote, in order.
type vector struct {
	title  string // the comment above it
	names  [2]string
	writes [2][]token
}

// token is one item of a vector.
type token struct {
	what string // SIZE, PAYLOAD, ERROR, EOF, or the name of an answer
	data []byte
}

// readVectors reads them from PROTOCOL.md, so that what is tested is what is
// published.
func readVectors(t *testing.T) []vector {
	t.Helper()
	lineFormat := regexp.MustCompile(`^    (\w) -> \w   (.+)$`)
	var vectors []vector
	lines := 0 // of the last vector
	for text := range strings.SplitSeq(section(t, "## Test vectors"), "\n") {
		comment, isComment := strings.CutPrefix(text, "    # ")
		line := lineFormat.FindStringSubmatch(text)
		switch {
		case isComment && (len(vectors) == 0 || lines > 0):
			vectors = append(vectors, vector{title: comment})
			lines = 0
		case isComment:
			vectors[len(vectors)-1].title += " " + comment
		case line != nil && len(vectors) > 0 && lines < 2:
			v := &vectors[len(vectors)-1]
			v.names[lines], v.writes[lines] = line[1], tokens(line[2])
			lines++
		case strings.HasPrefix(text, "    "):
			t.Fatalf("neither a comment nor one of two lines of a vector: %q", text)
		}
	}
	return vectors
}

// section returns the text under a heading of PROTOCOL.md.
func section(t *testing.T, heading string) string {
	t.Helper()
	doc, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(strings.ReplaceAll(string(doc), "\r\n", "\n"), heading+"\n")
	if !found {
		t.Fatalf("PROTOCOL.md has no %q", heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// tokens tells the items of a line apart. The first is the hello; what is as
// long as the size before it is its payload.
func tokens(line string) []token {
	var list []token
	size := uint32(0)
	for i, text := range strings.Split(line, " | ") {
		if text == "EOF" {
			list = append(list, token{what: "EOF"})
			continue
		}
		data := unhex(text)
		tok := token{"SIZE", data}
		switch name, isSignal := signalNames[text]; {
		case i == 0:
			tok.what = "hello"
		case isSignal:
			tok.what = name
		case size > 0 && len(data) == int(size):
			tok.what, size = "PAYLOAD", 0
		default:
			size = sizeOfToken(data)
		}
		list = append(list, tok)
	}
	return list
}

var signalNames = map[string]string{"ff": "OK", "fd": "CONFLICT", "fc": "TOO_LARGE", "00": "ERROR"}

func sizeOfToken(data []byte) (size uint32) {
	for _, b := range data {
		size = size<<8 | uint32(b)
	}
	return size
}

// vectorTests are what must come of the vectors, in their order, each found by
// the beginning of its title.
var vectorTests = []struct {
	title    string
	received [2][]string // by the end that wrote the first line, and the other
	// lawless is the end, if any, that does not keep the rules: its bytes come
	// as they are. The other may have to report a violation.
	lawless   string
	violation wire.Violation
}{
	{title: `"hello" echoed`, received: [2][]string{{"hello"}, {"hello"}}},
	{title: `empty, then "x", each echoed`, received: [2][]string{{"", "x"}, {"", "x"}}},
	{title: `S is eager`, received: [2][]string{nil, {"one", "", "three"}}, lawless: "S"},
	{title: `oversize refused`, lawless: "C", violation: wire.OversizeOffer},
	{title: `the same while an offer of S is unanswered`, lawless: "C", violation: wire.UnknownAnswer},
	{title: `S takes up to 4 bytes`, received: [2][]string{nil, {"hi"}}},
	{title: `C's answer and own SIZE in one write`, received: [2][]string{{"server msg"}, {"mine"}}},
	{title: `collision; `, received: [2][]string{{"from the server"}, {"from client"}}},
	{title: `collision, B takes up to 4 bytes`, received: [2][]string{{"b"}, nil}},
	{title: `CONFLICT: `, received: [2][]string{{"x", "b"}, {"a"}}},
	{title: `the same with an empty message for "a"`, received: [2][]string{{"x", "b"}, {""}}},
}

func TestTheVectorsOfTheSpecificationAreWhatTwoLedgersWrite(t *testing.T) {
	vectors := readVectors(t)
	if len(vectors) != len(vectorTests) {
		t.Fatalf("%d vectors, of which %d are tested", len(vectors), len(vectorTests))
	}
	for i, tt := range vectorTests {
		v := vectors[i]
		if !strings.HasPrefix(v.title, tt.title) {
			t.Fatalf("expected the vector %q, saw %q", tt.title, v.title)
		}
		t.Run(tt.title, func(t *testing.T) {
			schedules := uint64(200)
			if tt.violation != 0 {
				schedules = 1
			}
			for seed := range schedules {
				var players [2]player
				for j := range players {
					players[j] = player{script: v.writes[j], lawless: v.names[j] == tt.lawless}
				}
				if err := playBoth(&players, rand.New(rand.NewPCG(seed, 0)), tt.violation); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				for j := range players {
					if players[j].lawless {
						continue
					}
					if diff := cmp.Diff(tt.received[j], players[j].received); diff != "" {
						t.Errorf("seed %d: %s received (-want +got):\n%s", seed, v.names[j], diff)
					}
				}
			}
		})
	}
}

// Where a vector names a capture, legacy peers have written the same bytes, as
// far as both go.
func TestTheVectorsOfTheSpecificationAreWhatWasCaptured(t *testing.T) {
	sessions, err := transcript.LoadAll(os.DirFS("../testdata/transcripts"))
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, v := range readVectors(t) {
		for _, session := range sessions {
			if !regexp.MustCompile(`[ (]` + session.Name + `\b[^-]`).MatchString(v.title + ".") {
				continue
			}
			compared++
			for i, tokens := range v.writes {
				var written []byte
				for _, tok := range tokens {
					written = append(written, tok.data...)
				}
				captured := session.Concat(transcript.ServerToClient)
				if v.names[i] == "C" {
					captured = session.Concat(transcript.ClientToServer)
				}
				n := min(len(written), len(captured))
				if n < 2 || !bytes.Equal(written[:n], captured[:n]) {
					t.Errorf("%s wrote %x, the capture has %x", v.names[i], written, captured)
				}
			}
		}
	}
	if compared != 6 {
		t.Errorf("%d captures are named, expected 6", compared)
	}
}

// The rows of the table of errors, S being the end that is tested.
func TestTheErrorsOfTheSpecificationAreWhatALedgerReports(t *testing.T) {
	wanted := map[string]error{
		"answer nobody asked for":             &wire.ProtocolError{Violation: wire.UnaskedAnswer, Seen: 0xff, Offset: 0},
		"unknown answer":                      &wire.ProtocolError{Violation: wire.UnknownAnswer, Seen: 0xfe, Offset: 0},
		"CONFLICT without a payload owed":     &wire.ProtocolError{Violation: wire.BaselessConflict, Seen: 0xfd, Offset: 0},
		"second offer":                        &wire.ProtocolError{Violation: wire.SecondOffer, Seen: 0x00, Offset: 4},
		"ERROR as the answer to a legal size": &wire.ProtocolError{Violation: wire.ErrorAnswer, Seen: 0x00, Offset: 0},
		"ended before answering":              &wire.IncompleteError{Unanswered: true, Offered: 1},
		"2 of 4 bytes of a size":              &wire.IncompleteError{SizeBytes: 2},
		"2 of 5 bytes of a payload":           &wire.IncompleteError{Accepted: true, PayloadBytes: 2, Payload: 5},
	}
	_, table, _ := strings.Cut(section(t, "## Test vectors"), "|---|---|---|\n")
	rows := strings.Split(strings.TrimSpace(table), "\n")
	if len(rows) != len(wanted) {
		t.Fatalf("%d rows, of which %d are tested", len(rows), len(wanted))
	}
	for _, row := range rows {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		if len(cells) != 3 || wanted[cells[2]] == nil {
			t.Fatalf("no test for the row %s", row)
		}
		accepts := []bool{strings.Contains(cells[0], "ff")}
		if strings.Contains(cells[0], "(and ff") { // with room or without
			accepts = append(accepts, false)
		}
		for _, accept := range accepts {
			got := reported(cells[0], cells[1], accept)
			if diff := cmp.Diff(wanted[cells[2]], got); diff != "" {
				t.Errorf("%s, accepting: %v (-want +got):\n%s", row, accept, diff)
			}
		}
	}
}

// reported is what an end reports that wrote a size, or an OK, and heard this.
func reported(wrote, heard string, accept bool) error {
	var l wire.Ledger
	if size := regexp.MustCompile(`\b[0-9a-f]{8}\b`).FindString(wrote); size != "" {
		l.Offer(sizeOfToken(unhex(size)))
	}
	input, ended := strings.CutSuffix(heard, "EOF")
	for p := unhex(input); ; {
		item, n, err := l.Parse(p)
		if err != nil {
			return err
		}
		p = p[n:]
		switch {
		case item.Kind == wire.Offer && accept:
			l.Next(wire.Accept)
		case item.Kind == wire.Incomplete && ended:
			return l.End()
		case item.Kind == wire.Incomplete:
			return fmt.Errorf("no error, %x unparsed", p)
		}
	}
}
