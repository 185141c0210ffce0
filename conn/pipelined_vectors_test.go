package conn_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/conversation"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/wire"
)

// actor is a Conn that plays one end of a conversation, for the test that plays
// the other.
type actor struct {
	*stage
	eager    bool     // it has all to send from the beginning
	abandons bool     // it says BYE because its context ends
	toSend   []string // what it is to send, and has not been given
	arrived  []string // what it has not answered
	void     bool     // what it was given last was offered in classic mode
	err      error    // of New
}

// readVectors returns what PROTOCOL.md has of pipelined mode.
func readVectors(t *testing.T) (talks []conversation.Talk, errors [][]string) {
	t.Helper()
	doc, err := os.ReadFile("../wire/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	talks, errors, err = conversation.Read(string(doc))
	if err != nil {
		t.Fatal(err)
	}
	return talks, errors
}

// A Conn in the place of either end of a conversation in pipelined mode writes
// what the specification says, whatever the pieces in which it hears the rest.
func TestConnPlaysEitherEndOfEveryVectorInPipelinedMode(t *testing.T) {
	special := map[string]struct {
		eager, abandons string // an end
		lawless         string // an end that no Conn can play
		err             map[string][]string
	}{
		"S grants 2 messages and 8 bytes": {eager: "C"},
		"S grants one message at a time":  {eager: "C"},
		"S takes up to 4 bytes":           {lawless: "C"},
		"S no longer takes": {abandons: "S", err: map[string][]string{
			"C": {"unsent", "incomplete"}, "S": {"canceled"},
		}},
		"S is in classic mode": {err: map[string][]string{"C": {"refused mode"}, "S": {"protocol"}}},
	}
	talks, _ := readVectors(t)
	found := 0
	for _, talk := range talks {
		c := special[""]
		for title := range special {
			if strings.HasPrefix(talk.Title, title) {
				c = special[title]
				found++
			}
		}
		for _, end := range []string{"C", "S"} {
			if end == c.lawless {
				continue
			}
			for name, piece := range map[string]int{"in one": 1 << 10, "in bytes": 1} {
				t.Run(talk.Title+"/"+end+"/"+name, func(t *testing.T) {
					leaktest.Check(t)
					synctest.Test(t, func(t *testing.T) {
						a := &actor{eager: end == c.eager, abandons: end == c.abandons}
						a.play(t, &talk, end, piece)
						a.checkErr(c.err[end])
					})
				})
			}
		}
	}
	if found != len(special) {
		t.Errorf("%d conversations are special, expected %d", found, len(special))
	}
}

// play plays a whole conversation. What the peer writes comes in pieces of some size.
func (a *actor) play(t *testing.T, talk *conversation.Talk, end string, piece int) {
	nc, peer := memPair(t, 1<<10)
	ctx, cancel := context.WithCancel(t.Context())
	a.stage = &stage{t: t, cancel: cancel, ended: make(endRecorder, 2), peer: played{peer, t}}
	opts := optionsFor(talk, end)
	opts.Logger = slog.New(a.ended)
	for _, item := range talk.Of(end) {
		if item.Kind == conversation.Data {
			a.toSend = append(a.toSend, item.Payload)
		}
	}
	finish := begin(ctx, nc, &opts)
	made := func() {
		if a.c, a.err = finish(); a.c != nil {
			t.Cleanup(func() { a.c.Close() })
		}
	}
	a.peer.says(ok) // both greet at once
	if opts.Mode != conn.Pipelined {
		made()
	}
	for _, line := range talk.Lines {
		for _, item := range line.Items {
			switch {
			case line.From == end:
				synctest.Wait() // it has read all lines above
				a.act(item)
				if item.Kind == conversation.End {
					a.peer.hearsEnd()
				} else {
					a.peer.hears(item.Bytes...)
				}
			case item.Kind == conversation.Hello:
			case item.Kind == conversation.End:
				a.peerEnds()
			default:
				for p := range slices.Chunk(item.Bytes, piece) {
					a.peer.says(p...)
					if piece == 1 {
						synctest.Wait()
					}
				}
			}
			if line.From != end && (item.Kind == conversation.Agreement || item.Kind == conversation.Refusal) {
				made() // this one asked
			}
			if line.From != end && item.Kind == conversation.Data {
				a.arrived = append(a.arrived, item.Payload)
			}
		}
		if last := line.Items[len(line.Items)-1].Kind; line.From == end && last != conversation.End && last != conversation.Refusal {
			a.peer.hearsNothing()
		}
	}
}

// optionsFor are those of a Conn in the place of an end.
func optionsFor(talk *conversation.Talk, end string) conn.Options {
	o := conn.Options{OutboxBuffer: 10, PeerTimeout: -1, Mode: conn.Classic}
	for _, item := range talk.Of(end) {
		switch item.Kind {
		case conversation.Request:
			o.Mode = conn.Pipelined
		case conversation.Agreement:
			o.Mode = conn.Either
		case conversation.Ping:
			o.PeerTimeout = conn.DefaultPeerTimeout
		}
		if item.Terms != (wire.Terms{}) {
			o.MaxMessage, o.WindowMessages = item.Terms.MaxMessage, item.Terms.WindowMessages
			o.WindowBytes = int64(item.Terms.WindowBytes)
			if o.WindowBytes == 0 {
				o.WindowBytes = -1
			}
		}
	}
	return o
}

// act has the application do what the Conn is to write an item for. The rest it
// writes by itself.
func (a *actor) act(item conversation.Item) {
	a.t.Helper()
	switch item.Kind {
	case conversation.Offer, conversation.Data:
		switch {
		case a.void:
			a.void = false
		case a.eager:
			a.queue(a.toSend...)
			a.toSend = nil
		default:
			a.queue(a.toSend[0])
			a.toSend = a.toSend[1:]
			a.void = item.Kind == conversation.Offer
		}
	case conversation.OK:
		if got := string(<-a.c.Inbox()); got != a.arrived[0] {
			a.t.Errorf("received %q, expected %q", got, a.arrived[0])
		}
		a.arrived = a.arrived[1:]
	case conversation.TooLarge:
		a.arrived = a.arrived[1:]
	case conversation.Bye:
		if a.abandons {
			a.cancel()
		} else {
			a.shutDown()
		}
	}
}

// checkErr checks what is known when the conversation is over: what it was given
// has arrived, or there is an error.
func (a *actor) checkErr(want []string) {
	a.t.Helper()
	if a.c == nil {
		if !errors.Is(a.err, conn.ErrModeRefused) || !slices.Equal(want, []string{"refused mode"}) {
			a.t.Errorf("New failed: %v, expected %v", a.err, want)
		}
		return
	}
	a.peerEnds()
	<-a.ended
	err := a.c.Err()
	if diff := cmp.Diff(want, traits(err)); diff != "" {
		a.t.Errorf("Err is %v (-want +got):\n%s", err, diff)
	}
	if unsent := a.unsent(); (len(unsent) > 0) != slices.Contains(want, "unsent") {
		a.t.Errorf("Unsent is %q, and Err %v", unsent, err)
	}
	if len(a.toSend) > 0 || len(a.arrived) > 0 && want == nil {
		a.t.Errorf("%q are to be sent, and %q to be answered", a.toSend, a.arrived)
	}
}

// The rows of the table of errors, with a Conn in the place of S.
func TestConnReportsTheErrorsOfTheSpecificationInPipelinedMode(t *testing.T) {
	_, rows := readVectors(t)
	for _, row := range rows {
		for side, mode := range sides {
			t.Run(strings.Join(row, ", ")+"/"+side, func(t *testing.T) {
				leaktest.Check(t)
				synctest.Test(t, func(t *testing.T) {
					nc, peer := memPair(t, 1<<10)
					s := newPipelined(t, nc, peer, conn.Options{
						Mode: mode, WindowMessages: 2, WindowBytes: 8, OutboxBuffer: 1, MaxRefused: 1,
					}, generous)
					if row[0] != "nothing" {
						p := fromHex(t, row[0])
						s.queue(string(p[wire.SizeLen:]))
						s.peer.hears(p...)
					}
					input, ends := strings.CutSuffix(row[1], "EOF")
					s.peer.says(fromHex(t, input)...)
					if ends {
						s.peerEnds()
					}
					<-s.c.Done()
					synctest.Wait()
					checkReason(t, s.c.Err(), row[2])
					s.received()
					s.peerEnds()
					<-s.ended
				})
			})
		}
	}
}

func fromHex(t *testing.T, text string) []byte {
	t.Helper()
	p, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// checkReason checks that err is what the specification calls it.
func checkReason(t *testing.T, err error, want string) {
	t.Helper()
	var violation *wire.ProtocolError
	var incomplete *wire.IncompleteError
	got := fmt.Sprint(err)
	switch {
	case errors.As(err, &violation):
		got = violation.Violation.String()
	case errors.As(err, &incomplete) && want == "1 message without its answer":
		if incomplete.Pending+incomplete.Owing == 1 && !incomplete.NoPeerBye {
			return
		}
	case errors.As(err, &incomplete) && strings.Contains(got, want):
		return
	}
	if got != want {
		t.Errorf("Err is %q (%v), expected %q", got, err, want)
	}
}
