package conn_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/wire"
)

// What a peer may say to the request, and what New makes of it.
func TestNewFailsWhereThePeerDoesNotAgree(t *testing.T) {
	cause := errors.New("enough")
	// What New does not want to hear all of ends it before it is all said, if there is no buffer.
	says := func(b ...byte) func(*asking) { return func(a *asking) { a.peer.Write(b) } }
	all := func(dos ...func(*asking)) func(*asking) {
		return func(a *asking) {
			for _, do := range dos {
				do(a)
			}
		}
	}
	ends := func(a *asking) { a.peer.Conn.(*memConn).CloseWrite() }
	resets := func(a *asking) { a.peer.Conn.(*memConn).reset() }
	pause := func(*asking) { time.Sleep(900 * time.Millisecond) }
	terms := generous.Append(nil)
	bad := func(t wire.Terms) []byte { return t.Append([]byte{ok}) }
	for _, c := range []struct {
		name  string
		do    func(*asking)
		after time.Duration
		// refused says that the peer does not agree, and may do so in classic mode;
		// otherwise the connection failed.
		refused bool
		err     error
		text    string // to be found in the error, besides
	}{
		{"00 alone", says(0), time.Second, true, nil, ""},
		{"00, and the end of the stream", all(says(0), pause, ends), 900 * time.Millisecond, true, nil, ""},
		{"00, and a reset", all(says(0), pause, resets), 900 * time.Millisecond, true, nil, ""},
		{"the end of the stream", ends, 0, true, nil, ""},
		{"a reset", resets, 0, true, nil, ""},
		{"a byte that begins no item", says(0xf5), 0, true, nil, "0xf5"},
		{"CONFLICT", says(conflict), 0, true, nil, "CONFLICT"},
		{"TOO_LARGE", says(tooLarge), 0, true, nil, "TOO_LARGE"},
		{"a request of its own", says(request...), 0, true, nil, "0xf1"},
		{"a void offer, and the end of the stream", all(says(offerOf(1<<24)...), ends), 0, true, nil, ""},
		{"a void offer, and a reset", all(says(offerOf(1<<24)...), resets), 0, true, nil, ""},
		{"a void offer, and another", says(slices.Concat(offerOf(5), offerOf(5))...), 0, true, nil, ""},
		{"a void offer, and TOO_LARGE", says(append(offerOf(5), tooLarge)...), 0, true, nil, "TOO_LARGE"},
		// A legacy server that offered before it read the request takes that for a refusal, and waits.
		{"silence", func(*asking) {}, 10 * time.Second, true, os.ErrDeadlineExceeded, "within 10s"},
		{"a void offer, and silence", says(offerOf(1 << 24)...), 10 * time.Second, true, os.ErrDeadlineExceeded, "within 10s"},

		{"agreement, and silence", says(ok), 10 * time.Second, false, os.ErrDeadlineExceeded, "within 10s"},
		{"half its terms, and silence", says(append([]byte{ok}, terms[:6]...)...), 10 * time.Second, false, os.ErrDeadlineExceeded, "within 10s"},
		{"half its terms, and the end", all(says(append([]byte{ok}, terms[:6]...)...), ends), 0, false, io.ErrUnexpectedEOF, ""},
		{"terms of too large messages", says(bad(wire.Terms{MaxMessage: wire.MaxSize + 1, WindowMessages: 1})...), 0, false, conn.ErrProtocol, "4043309056"},
		{"terms without a window", says(bad(wire.Terms{MaxMessage: 1})...), 0, false, conn.ErrProtocol, "at least 1 message"},
		{"nothing, and the context ends", func(a *asking) { a.cancel(cause) }, 0, false, cause, ""},
		{"00, and the context ends", all(says(0), pause, func(a *asking) { a.cancel(cause) }), 900 * time.Millisecond, false, cause, ""},
	} {
		for name, buffer := range map[string]int{"": 1 << 10, ", no buffer": 0} {
			t.Run(c.name+name, func(t *testing.T) {
				leaktest.Check(t)
				synctest.Test(t, func(t *testing.T) {
					nc, peer := memPair(t, buffer)
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					a := &asking{played{peer, t}, cancel}
					finish := begin(ctx, nc, &conn.Options{Mode: conn.Pipelined})
					a.peer.says(ok)
					a.peer.hears(append([]byte{ok}, request...)...)
					start := time.Now()
					c.do(a)
					_, err := finish()
					if took := time.Since(start); took != c.after {
						t.Errorf("New took %v, expected %v", took, c.after)
					}
					if refused := errors.Is(err, conn.ErrModeRefused); err == nil || refused != c.refused {
						t.Errorf("New returned %v; refused: %t, expected %t", err, refused, c.refused)
					}
					if c.err != nil && !errors.Is(err, c.err) {
						t.Errorf("New returned %v, expected %v", err, c.err)
					}
					if err != nil && !strings.Contains(err.Error(), c.text) {
						t.Errorf("New returned %v, expected it to say %q", err, c.text)
					}
					if err != nil && c.text != "" && strings.Contains(err.Error(), "broke:") {
						t.Errorf("New returned %v, but the transport did not break", err)
					}
					if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
						t.Errorf("the transport is not closed: %v", err)
					}
				})
			})
		}
	}
}

// asking is a New that asks for pipelined mode.
type asking struct {
	peer   played
	cancel context.CancelCauseFunc
}

// What the application wants is asked for; what it does not want is refused.
func TestTheModesOfTwoEnds(t *testing.T) {
	for _, c := range []struct {
		name   string
		x, y   conn.Mode
		agreed bool // on pipelined mode
		err    error
	}{
		{"nobody asks", conn.Either, conn.Either, false, nil},
		{"classic alone", conn.Classic, conn.Classic, false, nil},
		{"one asks", conn.Pipelined, conn.Either, true, nil},
		{"one asks, the other one refuses", conn.Pipelined, conn.Classic, false, conn.ErrModeRefused},
		{"both ask", conn.Pipelined, conn.Pipelined, false, conn.ErrModeRefused},
	} {
		for name, transport := range duplexTransports {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				leaktest.Check(t)
				x, y := transport(t)
				ctx, cancel := context.WithTimeout(t.Context(), stuckAfter)
				defer cancel()
				finish := begin(ctx, x, &conn.Options{Mode: c.x})
				b, bErr := conn.New(ctx, y, &conn.Options{Mode: c.y})
				if b != nil {
					defer b.Close()
				}
				a, err := finish()
				if a != nil {
					defer a.Close()
				}
				if !errors.Is(err, c.err) || c.y == conn.Pipelined && !errors.Is(bErr, c.err) {
					t.Fatalf("New returned %v and %v, expected %v", err, bErr, c.err)
				}
				if err != nil {
					return
				}
				go a.Send(ctx, []byte("hello")) // ends with the connection
				if got, err := b.Receive(ctx); err != nil || string(got) != "hello" {
					t.Errorf("received %q, %v", got, err)
				}
				if x, y := a.Stats().Pipelined, b.Stats().Pipelined; x != c.agreed || y != c.agreed {
					t.Errorf("pipelined: %t and %t, expected %t", x, y, c.agreed)
				}
			})
		}
	}
}

// requestInClassic is what the request is to a peer that takes it for a size.
var requestInClassic = &wire.ProtocolError{Violation: wire.OversizeOffer, Seen: request[0]}

func TestAClassicEndRefusesLikeALegacyPeer(t *testing.T) {
	for _, offering := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			nc, peer := memPair(t, 1<<10)
			s := newStage(t, nc, peer, conn.Options{Mode: conn.Classic})
			heard, want := []byte{0}, requestInClassic
			if offering { // 00 could be the beginning of a size, and F1 is the answer
				s.send("ours")
				s.peer.hears(offerOf(4)...)
				heard, want = nil, &wire.ProtocolError{Violation: wire.UnknownAnswer, Seen: request[0]}
			}
			s.peer.says(request...)
			got, _ := io.ReadAll(s.peer)
			if string(got) != string(heard) {
				t.Errorf("offering: %t; the peer heard % x, expected % x", offering, got, heard)
			}
			<-s.ended
			checkError(t, s.c.Err(), want)
		})
	}
}

// Behind the hello it is a request. Anywhere else it is an offer that is too large.
func TestARequestThatIsNotTheFirstItemBreaksTheProtocol(t *testing.T) {
	for name, first := range map[string]func(*stage){
		"behind a message": func(s *stage) { s.peer.saysMessage("first") },
		"behind an offer that is refused": func(s *stage) {
			s.peer.says(offerOf(11)...)
			s.peer.hears(tooLarge)
		},
		"behind an answer": func(s *stage) {
			s.send("first")
			s.peer.hearsMessage("first")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newStage(t, nc, peer, conn.Options{InboxBuffer: 1, MaxMessage: 10})
				first(s)
				s.peer.says(request...)
				s.peer.hears(0)
				<-s.c.Done()
				s.received()
				v, ok := errors.AsType[*wire.ProtocolError](s.c.Err())
				if !ok || v.Violation != wire.OversizeOffer || s.c.Stats().Pipelined {
					t.Errorf("Err is %v, pipelined: %t", s.c.Err(), s.c.Stats().Pipelined)
				}
			})
		})
	}
}
