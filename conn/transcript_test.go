package conn_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/transcript"
	"github.com/tinyproto-go/tinyproto/wire"
)

// A replay says how a Conn plays one end of a recorded session. Its zero value
// is a session that ends cleanly, with a Conn that writes exactly the bytes
// that the legacy end wrote.
type replay struct {
	// impossible says why no Conn can play this end.
	impossible string
	// want is what the error of the Conn matches. A peer whose end was not
	// recorded stays silent then, as it was.
	want []error
	opts conn.Options
	// greets: the raw end that was recorded did not greet, the Conn does.
	greets bool
	// refuses: this end is played by conn.Refuse.
	refuses bool
	// keep, if it is not 0, is the number of events after which the session goes
	// another way, because the legacy end had a defect there, and then is that
	// way, in the lines of the transcripts.
	keep int
	then []string
}

// short is a timeout that a test waits for, long enough that a busy machine
// does not run into it before its time.
const short = 500 * time.Millisecond

var stalling = conn.Options{StallTimeout: short}

func stalled(state error) []error {
	return []error{&conn.StallError{Doing: "reading", After: short}, state}
}

// collided is a stall after both ends offered at once: ours accepts, the
// legacy end has given up.
func collided(mine, theirs uint32) []error {
	return stalled(&wire.IncompleteError{Unanswered: true, Offered: mine, Accepted: true, Payload: theirs})
}

var (
	rawSize    = replay{impossible: "the raw end offers a size that a Conn refuses to send"}
	rawAnswer  = replay{impossible: "the raw end answers a legal offer with a byte that a Conn never answers with"}
	rawHello   = replay{impossible: "the raw end greets with a byte that a Conn never greets with"}
	rawHalf    = replay{impossible: "the raw end stops inside an item; a Conn writes whole items or finds the transport broken"}
	ungreeting = replay{impossible: "the end does not greet; a Conn always does"}

	wrongHello = func(seen byte, is error) replay {
		return replay{want: []error{&wire.HelloError{Seen: seen}, is}}
	}
	halfPayload = &wire.IncompleteError{Accepted: true, PayloadBytes: 40, Payload: 100}
)

// clean are the sessions that end cleanly for either end.
var clean = strings.Fields(`
	a-handshake-hello-client-closes a-handshake-hello-server-closes
	b-empty-both-ways c-sizes-echo
	d-tpft-download-10MiB d-tpft-download-directory d-tpft-download-empty
	d-tpft-download-missing d-tpft-download-unicode-name
	d-tpft-upload-10MiB d-tpft-upload-1-byte d-tpft-upload-chunk-size-ignored d-tpft-upload-empty
	d-tpft-upload-rejected-is-dir d-tpft-upload-rejected-no-dir d-tpft-upload-unicode-name
	e-chat-client-A e-chat-client-B
	g-answer-then-own-message-at-once
	h-limit-v3.0-first-client
	i-answer-late-4s i-fin-before-handshake-answer i-fin-between i-fin-between-to-client
	j-handshake-and-messages-in-one-write j-handshake-silent-client
	k-plugins-rev-zlib k-plugins-zlib-rev
	l-readme-echo-QUIT l-readme-echo-SRVQUIT l-readme-echo-v3-equivalent-QUIT l-readme-echo-v3-equivalent-SRVQUIT
	n-byte-by-byte n-coalesced-payload-and-next-size-sink
	n-eager-sink-200x50 n-eager-sink-50x65536 n-eager-sink-8x1048576 n-eager-to-client
	o-answer-waits-for-handler o-main-thread-transmit o-main-thread-transmit-early
	o-server-killed o-server-shutdown
`)

// broken are the sessions in which something goes wrong, or one end can't be
// played.
var broken = map[string]struct{ client, server replay }{
	"d-tpft-download-local-unwritable": {
		// A Conn has room and answers the last offer before its application gives up.
		client: replay{keep: 12, then: []string{"C->S ff", "C->S RST"}, want: []error{conn.ErrClosed}},
		server: replay{want: []error{syscall.ECONNRESET, &wire.IncompleteError{Unanswered: true, Offered: 1}}},
	},

	"f-largest-f0ffffff": {
		client: rawHalf,
		server: replay{
			opts: conn.Options{MaxMessage: wire.MaxSize, Accept: streamedWhereNoSliceHoldsIt},
			want: []error{&wire.IncompleteError{Accepted: true, PayloadBytes: 9, Payload: wire.MaxSize}},
		},
	},
	"f-oversize-f1000000": {client: rawSize, server: oversize(wire.OversizeOffer, 0xf1)},
	"f-oversize-f1ffffff": {client: rawSize, server: oversize(wire.OversizeOffer, 0xf1)},
	"f-oversize-ffffffff": {client: rawSize, server: oversize(wire.UnaskedAnswer, 0xff)},
	// The old libraries read on after their ERROR. A Conn ends.
	"f-oversize-old-python3": {client: rawSize, server: oversize(wire.OversizeOffer, 0xf1).until(4, "C->S 00000005", "S->C FIN")},
	"f-oversize-old-v2.0":    {client: rawSize, server: oversize(wire.OversizeOffer, 0xf1).until(4, "C->S 00000005", "S->C FIN")},
	"f-oversize-to-client":   {client: oversize(wire.OversizeOffer, 0xf1), server: rawSize},
	// 00 and 41 could begin a size, until nothing follows.
	"f-size-answered-00": {
		client: replay{opts: stalling, want: stalled(&wire.ProtocolError{Violation: wire.ErrorAnswer, Seen: 0x00})},
		server: rawAnswer,
	},
	"f-size-answered-41": {
		client: replay{opts: stalling, want: stalled(&wire.IncompleteError{SizeBytes: 1, Unanswered: true, Offered: 5})},
		server: rawAnswer,
	},
	"f-size-answered-fd": {
		client: replay{want: []error{conn.ErrProtocol, &wire.ProtocolError{Violation: wire.BaselessConflict, Seen: 0xfd}}},
		server: rawAnswer,
	},
	"f-size-answered-fe": {
		client: replay{want: []error{conn.ErrProtocol, &wire.ProtocolError{Violation: wire.UnknownAnswer, Seen: 0xfe}}},
		server: rawAnswer,
	},

	// In a collision a Conn does what a legacy end can't: it answers. The other
	// end has given up, and the Conn sees that it stalls.
	"g-collision-client-sends-twice": {
		client: replay{opts: stalling, keep: 5, then: []string{"C->S 00000003", "S->C 00000003", "C->S ff"}, want: collided(3, 3)},
		server: replay{opts: stalling, keep: 7, then: []string{"S->C ff"}, want: collided(3, 3)},
	},
	"g-collision-python-python": {
		client: replay{opts: stalling, keep: 4, then: []string{"C->S ff"}, want: collided(11, 15)},
		server: replay{opts: stalling, keep: 2, then: []string{"S->C 0000000f", "C->S 0000000b", "S->C ff"}, want: collided(15, 11)},
	},
	"g-collision-raw-client-16MiB": {
		client: replay{opts: stalling, keep: 1, then: []string{"S->C ff", "C->S 01000000", "S->C 0000000a", "C->S ff"}, want: collided(1<<24, 10)},
		server: replay{opts: stalling, keep: 3, then: []string{"S->C ff"}, want: collided(10, 1<<24)},
	},
	"g-collision-raw-client-small": {
		client: replay{opts: stalling, keep: 1, then: []string{"S->C ff", "C->S 00000003", "S->C 0000000a", "C->S ff"}, want: collided(3, 10)},
		server: replay{opts: stalling, keep: 3, then: []string{"S->C ff"}, want: collided(10, 3)},
	},
	"g-collision-raw-server": {
		client: replay{opts: stalling, keep: 3, then: []string{"C->S ff"}, want: collided(10, 3)},
		server: replay{opts: stalling, keep: 1, then: []string{"C->S ff", "S->C 00000003", "C->S 0000000a", "S->C ff"}, want: collided(3, 10)},
	},

	"h-client-gets-00-as-handshake": {client: wrongHello(0x00, conn.ErrRefused), server: rawHello},
	"h-client-gets-fd-as-handshake": {client: wrongHello(0xfd, conn.ErrNotTinyproto), server: rawHello},
	"h-client-gets-fe-as-handshake": {client: wrongHello(0xfe, conn.ErrConnLimit), server: replay{refuses: true}},
	"h-limit-old-python3":           {client: wrongHello(0x00, conn.ErrRefused).greeting(), server: rawHello},
	"h-limit-old-v2.0":              {client: wrongHello(0x00, conn.ErrRefused).greeting(), server: rawHello},
	"h-limit-v3.0-loop-in-thread":   {client: replay{want: []error{conn.ErrRefused}}, server: ungreeting},
	"h-limit-v3.0-second-client":    {client: replay{want: []error{conn.ErrRefused}}.greeting(), server: ungreeting},
	"h-limit-v3.0-loop-in-thread-third": {
		client: replay{opts: conn.Options{HelloTimeout: short}, want: []error{os.ErrDeadlineExceeded}},
		server: ungreeting,
	},

	"i-answer-late-7s": {
		client: replay{
			opts: conn.Options{AnswerTimeout: short},
			want: []error{
				&conn.StallError{Doing: "waiting for the answer to an offer", After: short},
				&wire.IncompleteError{Unanswered: true, Offered: 5},
			},
		},
		// A Conn has room and answers in time, but the client that was recorded is not listening.
		server: replay{keep: 2, then: []string{"S->C ff", "C->S FIN"}, want: []error{&wire.IncompleteError{Accepted: true, Payload: 5}}},
	},
	"i-fin-after-size": {
		client: rawHalf,
		server: replay{want: []error{&wire.IncompleteError{Accepted: true, Payload: 100}}},
	},
	"i-fin-instead-of-answer": {
		// A Conn with room ends without an answer only if the offer comes after its end.
		client: replay{keep: 1, then: []string{"S->C ff", "C->S FIN", "S->C 00000005"}},
		server: replay{want: []error{&wire.IncompleteError{Unanswered: true, Offered: 5}}},
	},
	// The legacy server echoes what it took for a message.
	"i-fin-mid-payload-echo":      {client: rawHalf, server: replay{want: []error{halfPayload}}.until(6)},
	"i-fin-mid-payload-sink":      {client: rawHalf, server: replay{want: []error{halfPayload}}},
	"i-fin-mid-payload-to-client": {client: replay{want: []error{halfPayload}}, server: rawHalf},
	"i-fin-mid-size":              {client: rawHalf, server: replay{want: []error{&wire.IncompleteError{SizeBytes: 2}}}},
	// The legacy server takes two bytes for a size and answers.
	"i-fin-mid-size-41":      {client: rawHalf, server: replay{want: []error{&wire.IncompleteError{SizeBytes: 2}}}.until(4, "S->C FIN")},
	"i-rst-between":          {client: replay{want: []error{conn.ErrClosed}}, server: replay{want: []error{syscall.ECONNRESET}}},
	"i-rst-mid-payload-echo": {client: rawHalf, server: replay{want: []error{syscall.ECONNRESET, halfPayload}}},
	"i-rst-mid-payload-sink": {client: rawHalf, server: replay{want: []error{syscall.ECONNRESET, halfPayload}}},
	"i-stall-mid-payload-to-client": {
		client: replay{opts: stalling, want: stalled(halfPayload)},
		server: rawHalf,
	},

	"j-handshake-silent-server": {
		client: replay{opts: conn.Options{HelloTimeout: short}, want: []error{os.ErrDeadlineExceeded}},
		server: ungreeting,
	},
	"j-handshake-wrong-00": {client: rawHello, server: wrongHello(0x00, conn.ErrRefused)},
	"j-handshake-wrong-41": {client: rawHello, server: wrongHello(0x41, conn.ErrNotTinyproto)},
	"j-handshake-wrong-47": {client: rawHello, server: wrongHello(0x47, conn.ErrNotTinyproto)},
	"j-handshake-wrong-fd": {client: rawHello, server: wrongHello(0xfd, conn.ErrNotTinyproto)},
	"j-handshake-wrong-fe": {client: replay{refuses: true}, server: wrongHello(0xfe, conn.ErrConnLimit)},

	// A Conn settles what has arrived before it offers (R7), and so answers the
	// offer that the legacy server collided with.
	"n-coalesced-payload-and-next-size-echo": {
		client: replay{opts: stalling, keep: 6, then: []string{"C->S ff"}, want: collided(3, 3)},
		server: replay{opts: stalling, keep: 5, then: []string{"S->C ff00000003"}, want: collided(3, 3)},
	},
	"n-eager-echo": {
		client: replay{
			opts: stalling, keep: 1, want: collided(3, 3),
			then: []string{"S->C ff", "C->S 00000003", "S->C ff", "C->S 6f6e6500000003", "S->C 00000003", "C->S ff"},
		},
		server: replay{
			opts: conn.Options{AnswerTimeout: short}, keep: 3, then: []string{"S->C ffffff", "S->C 00000003"},
			want: []error{
				&conn.StallError{Doing: "waiting for the answer to an offer", After: short},
				&wire.IncompleteError{Unanswered: true, Offered: 3},
			},
		},
	},
}

func oversize(v wire.Violation, seen byte) replay {
	return replay{want: []error{conn.ErrProtocol, &wire.ProtocolError{Violation: v, Seen: seen}}}
}

func (r replay) until(keep int, then ...string) replay {
	r.keep, r.then = keep, then
	return r
}

func (r replay) greeting() replay {
	r.greets = true
	return r
}

func TestConnPlaysEitherEndOfEveryTranscript(t *testing.T) {
	sessions, err := transcript.LoadAll(os.DirFS("../testdata/transcripts"))
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]struct{ client, server replay }{}
	for _, name := range clean {
		entries[name] = struct{ client, server replay }{}
	}
	for name, entry := range broken {
		if _, twice := entries[name]; twice {
			t.Errorf("%s is both clean and broken", name)
		}
		entries[name] = entry
	}
	// Most replays only wait: for a timeout, or for the end of stream that a
	// legacy peer never sends.
	var running sync.WaitGroup
	defer running.Wait()
	for _, s := range sessions {
		entry, listed := entries[s.Name]
		delete(entries, s.Name)
		if !listed {
			if len(s.Events) > 0 {
				t.Errorf("%s has events and no entry", s.Name)
			}
			continue
		}
		for end, r := range map[transcript.Direction]replay{
			transcript.ClientToServer: entry.client,
			transcript.ServerToClient: entry.server,
		} {
			if r.impossible != "" {
				continue
			}
			name := s.Name + "/client"
			if end == transcript.ServerToClient {
				name = s.Name + "/server"
			}
			steps := r.steps(t, s, end)
			if !r.timed() {
				running.Go(func() { t.Run(name, func(t *testing.T) { r.run(t, steps, false) }) })
			}
			if r.inMemory(steps) {
				running.Go(func() {
					t.Run(name+"/byte by byte", func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { r.run(t, steps, true) })
					})
				})
			} else if r.timed() {
				t.Errorf("%s is not replayed at all", name)
			}
		}
	}
	for name := range entries {
		t.Errorf("there is an entry for %s, and no such session", name)
	}
}

// streamedWhereNoSliceHoldsIt accepts any size: on a system of 32 bits, a Writer takes
// what is larger than a slice can be.
func streamedWhereNoSliceHoldsIt(size uint32) conn.Placement {
	if size > largestMessage {
		return conn.Placement{Writer: io.Discard}
	}
	return conn.Placement{}
}

// timed reports whether the session ends with a timeout. A clock that a test
// can't control would tell it when the machine is busy, too.
func (r replay) timed() bool {
	return slices.ContainsFunc(r.want, func(err error) bool {
		return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, new(*conn.StallError))
	})
}

// inMemory reports whether the session can be replayed byte by byte within
// reasonable time, and without TCP: a reset is more real over TCP, and any other
// transport may still be busy with our hello when the peer's turns out wrong.
func (r replay) inMemory(steps []step) bool {
	size := 0
	for _, s := range steps {
		if size += len(s.data); !s.mine && s.end == transcript.RST || size > 4096 {
			return false
		}
	}
	return !slices.ContainsFunc(r.want, func(err error) bool { return errors.As(err, new(*wire.HelloError)) })
}

// run has a Conn play the end that wrote in the direction mine, against a
// scripted peer: over TCP, with the peer's bytes in pieces as large as
// recorded, or in memory, byte by byte, in a synctest bubble.
func (r replay) run(t *testing.T, steps []step, byteByByte bool) {
	s := &script{items: dissect(orderly(dissect(steps))), opts: r.opts, breaks: len(r.want) > 0, byteByByte: byteByByte}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var near net.Conn
	var far halfCloser
	if byteByByte {
		near, far = memPair(t, 1<<10)
	} else {
		x, y := tcpPair(t)
		near, far = s.drain(x), y.(*net.TCPConn)
	}
	played := make(chan error, 1)
	go func() { // ends with the script, or with its deadline
		err := s.playPeer(ctx, far)
		if err != nil {
			cancel()
		}
		played <- err
	}()
	var err error
	if r.refuses {
		err = conn.Refuse(ctx, near)
	} else {
		err = s.playConn(ctx, t, near)
	}
	checkError(t, err, r.want...)
	if err := <-played; err != nil {
		t.Errorf("peer: %v", err)
	}
}

// steps returns what both ends do, and makes sure that the peer does only what
// was recorded.
func (r replay) steps(t *testing.T, session *transcript.Session, mine transcript.Direction) []step {
	events := session.Events
	if r.keep > 0 {
		events = events[:r.keep]
	}
	var steps []step
	if r.greets {
		steps = append(steps, step{mine: true, data: []byte{byte(wire.OK)}})
	}
	for _, e := range events {
		steps = append(steps, step{mine: e.From == mine, data: e.Data, end: e.End})
	}
	for _, line := range r.then {
		direction, what, _ := strings.Cut(line, " ")
		s := step{mine: direction == mine.String()}
		switch what {
		case "FIN":
			s.end = transcript.FIN
		case "RST":
			s.end = transcript.RST
		default:
			data, err := hex.DecodeString(what)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			s.data = data
		}
		steps = append(steps, s)
	}
	var peer []byte
	for _, s := range steps {
		if !s.mine {
			peer = append(peer, s.data...)
		}
	}
	if len(steps) == 0 {
		t.Fatal("nothing to replay")
	}
	if recorded := session.Concat(1 - mine); !bytes.HasPrefix(recorded, peer) {
		t.Fatalf("the peer is to write %x, recorded is %x", peer, recorded)
	}
	return steps
}
