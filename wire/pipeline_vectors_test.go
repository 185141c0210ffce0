package wire_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/internal/conversation"
	"github.com/tinyproto-go/tinyproto/wire"
)

// pipelineVectors are what must come of the conversations in pipelined mode, in
// their order, each found by the beginning of its title.
var pipelineVectors = []struct {
	title    string
	received map[string][]string
	eager    string           // the end that has all to send from the beginning
	ends     map[string]error // what the end of the peer's stream is, if not clean
}{
	{title: "C asks for pipelined mode", received: map[string][]string{"C": {"hello"}, "S": {"hello"}}},
	{title: "messages of both ends cross", received: map[string][]string{"C": {"two", ""}, "S": {"", "one", ""}}},
	{title: "S had offered", received: map[string][]string{"C": {"one"}}},
	{title: "S grants 2 messages and 8 bytes", eager: "C", received: map[string][]string{"S": {"one", "four", "x", "ninebytes", "y"}}},
	{title: "S grants one message at a time", eager: "C", received: map[string][]string{"S": {"a", "", "b"}}},
	{title: "S takes up to 4 bytes", received: map[string][]string{"S": {"hi", "hi"}}},
	{title: "C hears nothing", received: map[string][]string{"C": {"hi"}}},
	{title: `C sends "ask" and BYE`, received: map[string][]string{"C": {"reply"}, "S": {"ask"}}},
	{title: "S no longer takes", ends: map[string]error{
		"C": &wire.IncompleteError{Pending: 1, NoBye: true},
		"S": &wire.IncompleteError{Owing: 1, NoPeerBye: true},
	}},
	{title: "S is in classic mode"},
}

func TestTheVectorsInPipelinedModeAreWhatTwoPipelinesWrite(t *testing.T) {
	talks, _ := readPipelineVectors(t)
	if len(talks) != len(pipelineVectors) {
		t.Fatalf("%d vectors, of which %d are tested", len(talks), len(pipelineVectors))
	}
	for i, tt := range pipelineVectors {
		talk := talks[i]
		if !strings.HasPrefix(talk.Title, tt.title) {
			t.Fatalf("expected the vector %q, saw %q", tt.title, talk.Title)
		}
		t.Run(tt.title, func(t *testing.T) {
			for seed := range uint64(50) {
				ends, err := playVector(&talk, tt.eager, rand.New(rand.NewPCG(seed, 0)))
				if err != nil {
					t.Fatalf("in the pieces of seed %d: %v", seed, err)
				}
				for name, e := range ends {
					if diff := cmp.Diff(tt.received[name], e.received); diff != "" {
						t.Errorf("%s received (-want +got):\n%s", name, diff)
					}
					if e.pipeline == nil {
						continue
					}
					want := tt.ends[name]
					if want == nil {
						want = io.EOF
					}
					if diff := cmp.Diff(want.Error(), fmt.Sprint(e.end)); diff != "" {
						t.Errorf("the end of the stream is to %s (-want +got):\n%s", name, diff)
					}
				}
			}
		})
	}
}

func readPipelineVectors(t *testing.T) (talks []conversation.Talk, errors [][]string) {
	t.Helper()
	doc, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	talks, errors, err = conversation.Read(string(doc))
	if err != nil {
		t.Fatal(err)
	}
	return talks, errors
}

// reader is an end of a conversation.
type reader struct {
	pipeline   *wire.Pipeline // from both terms on
	terms      wire.Terms
	unanswered []string // of the peer's
	arriving   string
	received   []string
	pings      bool
	end        error
}

// playVector plays a conversation, line by line. What a line has is read in random
// pieces.
func playVector(talk *conversation.Talk, eager string, r *rand.Rand) (map[string]*reader, error) {
	ends := map[string]*reader{"C": {}, "S": {}}
	peer := map[string]string{"C": "S", "S": "C"}
	left := map[string][]conversation.Item{"C": talk.Of("C"), "S": talk.Of("S")}
	for n, line := range talk.Lines {
		e, other := ends[line.From], ends[peer[line.From]]
		var written []byte
		over := false
		for _, item := range line.Items {
			left[line.From] = left[line.From][1:]
			switch item.Kind {
			case conversation.Agreement, conversation.Granted:
				e.terms = item.Terms
			case conversation.End:
				over = true
			}
			if err := e.write(item); err != nil {
				return nil, fmt.Errorf("line %d: %s writes %s: %w", n+1, line.From, item.Kind, err)
			}
			switch {
			case item.Kind != conversation.Granted:
				written = append(written, item.Bytes...)
			default: // the agreement is made
				ends["C"].pipeline = wire.NewPipeline(ends["C"].terms, ends["S"].terms)
				ends["S"].pipeline = wire.NewPipeline(ends["S"].terms, ends["C"].terms)
			}
		}
		if rest := left[line.From]; line.From == eager && e.pipeline != nil && len(rest) > 0 &&
			rest[0].Kind == conversation.Data && e.pipeline.MaySend(uint32(len(rest[0].Payload))) {
			return nil, fmt.Errorf("line %d: %s could send %q as well", n+1, line.From, rest[0].Payload)
		}
		for len(written) > 0 {
			piece := written[:1+r.IntN(len(written))]
			written = written[len(piece):]
			if err := other.read(piece); err != nil {
				return nil, fmt.Errorf("line %d: %s reads % x: %w", n+1, peer[line.From], piece, err)
			}
		}
		if over && other.pipeline != nil {
			other.end = other.pipeline.End()
		}
	}
	return ends, nil
}

// write writes an item, if that is allowed.
func (e *reader) write(item conversation.Item) error {
	l := e.pipeline
	switch item.Kind {
	case conversation.Data:
		size := uint32(len(item.Payload))
		if !l.MaySend(size) {
			return errors.New("the window has no room")
		}
		l.Send(size)
	case conversation.OK, conversation.TooLarge:
		if len(e.unanswered) == 0 || l.Owed() != len(e.unanswered) {
			return fmt.Errorf("%d messages are unanswered, %d of them arrived", l.Owed(), len(e.unanswered))
		}
		msg := e.unanswered[0]
		if accepts := uint32(len(msg)) <= e.terms.MaxMessage; accepts != (item.Kind == conversation.OK) {
			return fmt.Errorf("it takes up to %d bytes", e.terms.MaxMessage)
		}
		e.unanswered = e.unanswered[1:]
		if item.Kind == conversation.OK {
			e.received = append(e.received, msg)
		}
		l.Answer()
	case conversation.Ping:
		if !l.MayPing() {
			return errors.New("the one before is unanswered")
		}
		l.Ping()
	case conversation.Pong:
		if !e.pings {
			return errors.New("nobody asked")
		}
		e.pings = false
		l.Pong()
	case conversation.Bye:
		l.Bye()
	}
	return nil
}

// read reads what the peer wrote, but for what is before both terms.
func (e *reader) read(p []byte) error {
	for {
		if e.pipeline == nil {
			return nil
		}
		item, n, err := e.pipeline.Parse(p)
		switch {
		case err != nil:
			return err
		case item.Kind == wire.Incomplete:
			return nil
		case item.Kind == wire.Payload:
			e.arriving += string(p[:n])
			if item.Last {
				e.unanswered, e.arriving = append(e.unanswered, e.arriving), ""
			}
		case item.Kind == wire.PingItem:
			e.pings = true
		}
		p = p[n:]
	}
}

// The rows of the table of errors, S being the end that is tested.
func TestTheErrorsInPipelinedModeAreWhatAPipelineReports(t *testing.T) {
	_, rows := readPipelineVectors(t)
	for _, row := range rows {
		t.Run(strings.Join(row, "/"), func(t *testing.T) {
			s := wire.NewPipeline(wire.Terms{MaxMessage: 16 << 20, WindowMessages: 2, WindowBytes: 8}, ample)
			if row[0] != "nothing" {
				for p := unhex(row[0]); len(p) > 0; {
					size := sizeOfToken(p[:4])
					s.Send(size)
					p = p[4+size:]
				}
			}
			input, ended := strings.CutSuffix(row[1], "EOF")
			err := takeAll(s, unhex(strings.ReplaceAll(input, " ", "")))
			var violation *wire.ProtocolError
			var incomplete *wire.IncompleteError
			switch {
			case errors.As(err, &violation):
				if got := violation.Violation.String(); ended || got != row[2] {
					t.Errorf("it is %q, expected %q", got, row[2])
				}
			case err != nil || !ended:
				t.Errorf("it is %v, expected %q", err, row[2])
			case !errors.As(s.End(), &incomplete):
				t.Errorf("the end is %v, expected %q", s.End(), row[2])
			case !endIs(incomplete, row[2]):
				t.Errorf("the end is %q, expected %q", incomplete, row[2])
			}
		})
	}
}

// endIs reports whether an end is as the specification has it.
func endIs(e *wire.IncompleteError, want string) bool {
	if want == "1 message without its answer" {
		return e.Pending+e.Owing == 1 && !e.NoPeerBye && e.SizeBytes == 0 && !e.Accepted
	}
	return strings.Contains(e.Error(), want) && e.Pending+e.Owing == 0
}
