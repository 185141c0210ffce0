package conn_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/wire"
)

// Of the messages that are queued, so many go out at once, and so many more with
// each answer.
func TestThePeersWindowIsKept(t *testing.T) {
	for _, c := range []struct {
		name     string
		messages uint32
		bytes    uint32
		queued   []string
		flights  []int // how many messages go out: at first, and with each answer
	}{
		{"messages", 3, 100, []string{"1", "2", "3", "4", "5"}, []int{3, 1, 1}},
		{"messages, empty ones too", 2, 100, []string{"", "", ""}, []int{2, 1}},
		{"bytes", 100, 10, []string{"four", "four", "four", "1", "1", "1"}, []int{2, 3, 1}},
		{"bytes, to the last", 100, 8, []string{"four", "four", "1", ""}, []int{2, 2}},
		{"an empty one takes no bytes", 100, 4, []string{"four", "", "", "1"}, []int{3, 1}},
		{"a large one goes alone", 100, 4, []string{"larger", "1", "larger", "larger", "1", "1"}, []int{1, 1, 1, 1, 2}},
		{"a large one waits", 100, 4, []string{"1", "2", "larger", "3"}, []int{2, 0, 1, 1}},
		{"one at a time", 100, 0, []string{"larger", "1", "", "", "2"}, []int{1, 1, 1, 1, 1}},
		{"one message", 1, 100, []string{"larger", "1", "", ""}, []int{1, 1, 1, 1}},
		{"all that there can be", math.MaxUint32, math.MaxUint32, []string{"larger", "1", ""}, []int{3}},
	} {
		for _, answer := range []byte{ok, tooLarge} {
			t.Run(c.name+"/"+wire.Signal(answer).String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					nc, peer := memPair(t, 1<<10)
					s := newPipelined(t, nc, peer, conn.Options{OutboxBuffer: 10, MaxRefused: 10},
						wire.Terms{MaxMessage: 100, WindowMessages: c.messages, WindowBytes: c.bytes})
					s.queue(c.queued...)
					sent := 0
					for i, n := range c.flights {
						if i > 0 {
							s.peer.says(answer)
						}
						s.peer.hears(dataOf(c.queued[sent : sent+n]...)...)
						s.peer.hearsNothing()
						sent += n
					}
					s.peer.says(times(len(c.queued)+1-len(c.flights), answer)...)
					synctest.Wait()
					got := s.c.Stats()
					if n := int(got.MessagesSent + got.Refused); n != len(c.queued) || s.isDone() {
						t.Errorf("%d messages are through, expected %d; Err: %v", n, len(c.queued), s.c.Err())
					}
				})
			})
		}
	}
}

// What is unanswered is kept, and a peer does not decide how much that may be.
func TestAGreedyPeersWindowIsAsLargeAsOurs(t *testing.T) {
	for _, c := range []struct {
		name   string
		ours   conn.Options
		queued []string
		flight int
	}{
		{"messages", conn.Options{WindowMessages: 2}, []string{"1", "2", "3"}, 2},
		{"bytes", conn.Options{WindowBytes: 8}, []string{"four", "four", "1"}, 2},
		{"one at a time", conn.Options{WindowBytes: -1}, []string{"larger", "1"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				c.ours.OutboxBuffer = len(c.queued)
				s := newPipelined(t, nc, peer, c.ours,
					wire.Terms{MaxMessage: math.MaxInt32, WindowMessages: math.MaxUint32, WindowBytes: math.MaxUint32})
				s.queue(c.queued...)
				s.peer.hears(dataOf(c.queued[:c.flight]...)...)
				s.peer.hearsNothing()
				s.peer.says(ok)
				s.peer.hears(dataOf(c.queued[c.flight])...)
			})
		})
	}
}

// Each oversteps it with its last byte that is said.
func TestAPeerThatOverstepsOurWindowBreaksTheProtocol(t *testing.T) {
	for _, c := range []struct {
		name string
		opts conn.Options
		fits []string
		over string
	}{
		{"messages", conn.Options{WindowMessages: 3}, []string{"1", "2", "3"}, "4"},
		{"messages, empty ones", conn.Options{WindowMessages: 2}, []string{"", ""}, ""},
		{"bytes", conn.Options{WindowBytes: 8}, []string{"four", "four"}, "1"},
		{"bytes, with a large one", conn.Options{WindowBytes: 8}, []string{"1"}, "too large"},
		{"behind a large one", conn.Options{WindowBytes: 4}, []string{"larger"}, "1"},
		{"one at a time", conn.Options{WindowBytes: -1}, []string{"1"}, ""},
		{"what is refused counts, too", conn.Options{WindowMessages: 2, MaxMessage: 4}, []string{"1", "larger"}, "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newPipelined(t, nc, peer, c.opts, generous)
				fits := dataOf(c.fits...)
				s.peer.says(fits...)
				s.peer.hearsNothing()
				if s.isDone() {
					t.Fatalf("the window was kept; Err: %v", s.c.Err())
				}
				s.peer.says(offerOf(len(c.over))...)
				<-s.c.Done()
				if m := s.received(); len(m) == 0 {
					t.Error("what came before can't be received")
				}
				<-s.ended
				checkError(t, s.c.Err(), &wire.ProtocolError{Violation: wire.WindowOverrun, Offset: int64(len(fits))})
			})
		})
	}
}

// The peer may use the room as soon as it reads the answer, or before that:
// nothing is overstepped by a message that crosses an answer of ours.
func TestWithEachAnswerTheWindowHasRoomAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{WindowMessages: 2}, generous)
		s.peer.says(dataOf("0", "1")...)
		for i := range 100 {
			want := string(rune('0' + i))
			if got := <-s.c.Inbox(); string(got) != want {
				t.Fatalf("received %q, expected %q", got, want)
			}
			s.peer.hears(ok)
			s.peer.says(dataOf(string(rune('0' + i + 2)))...)
		}
	})
}

// Whatever is in front of a message, its answer comes when it was taken, or
// skipped, and those before it have theirs.
func TestAnswersComeInTheOrderOfTheMessages(t *testing.T) {
	const large = "too large"
	for _, c := range []struct {
		name   string
		buffer int
		says   []string
		hears  []string // at first, and with each message that is taken
	}{
		{"taken", 0, []string{"1", "2"}, []string{"", "O", "O"}},
		{"buffered", 2, []string{"1", "2", "3"}, []string{"OO", "O", ""}},
		{"refused", 0, []string{large, large}, []string{"LL"}},
		{"refused behind one that is not taken", 0, []string{"1", large, "2", large, large, "3"}, []string{"", "OL", "OLL", "O"}},
		{"refused behind a buffer", 1, []string{"1", large, "2", large}, []string{"OL", "OL", ""}},
		{"empty", 0, []string{"", "", large, ""}, []string{"", "O", "OL", "O"}},
	} {
		for name, piece := range map[string]int{"in one": 1 << 10, "in bytes": 1} {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					nc, peer := memPair(t, 1<<10)
					s := newPipelined(t, nc, peer, conn.Options{MaxMessage: 5, InboxBuffer: c.buffer}, generous)
					for says := dataOf(c.says...); len(says) > 0; {
						n := min(piece, len(says))
						s.peer.says(says[:n]...)
						says = says[n:]
						synctest.Wait()
					}
					var want []string
					refused := 0
					for _, m := range c.says {
						if m == large {
							refused++
						} else {
							want = append(want, m)
						}
					}
					for i, answers := range c.hears {
						if i > 0 {
							if got := string(<-s.c.Inbox()); got != want[i-1] {
								t.Errorf("received %q, expected %q", got, want[i-1])
							}
						}
						for _, a := range answers {
							s.peer.hears(map[rune]byte{'O': ok, 'L': tooLarge}[a])
						}
						s.peer.hearsNothing()
					}
					got := s.c.Stats()
					if int(got.PeerRefused) != refused || int(got.MessagesReceived) != len(want) {
						t.Errorf("%d refused and %d received, expected %d and %d", got.PeerRefused, got.MessagesReceived, refused, len(want))
					}
				})
			})
		}
	}
}

// Nothing in a message that is skipped is taken for an item.
func TestWhatIsRefusedIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{MaxMessage: 5, InboxBuffer: 1}, generous)
		var all []byte
		for b := range 1 << 16 {
			all = append(all, byte(b>>8), byte(b))
		}
		for _, size := range []int{6, 1000, 5000, 1 << 17} {
			s.peer.says(dataOf(string(all[:size]))...)
			s.peer.hears(tooLarge)
		}
		s.peer.says(dataOf("small")...)
		s.peer.hears(ok)
		if got := <-s.c.Inbox(); string(got) != "small" {
			t.Errorf("received %q", got)
		}
	})
}

func TestAMessageAboveThePeersLimitIsRefusedHereAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{OutboxBuffer: 3, MaxRefused: 1}, wire.Terms{MaxMessage: 5, WindowMessages: 10, WindowBytes: 100})
		s.send("larger")
		var refused *conn.TooLargeError
		if err := <-s.sent; !errors.As(err, &refused) || *refused != (conn.TooLargeError{Size: 6, Peer: true}) {
			t.Errorf("Send returned %v", err)
		}
		if err := s.c.SendFrom(t.Context(), strings.NewReader("larger"), 6); !errors.Is(err, conn.ErrTooLarge) {
			t.Errorf("SendFrom returned %v", err)
		}
		s.queue("too large", "right")
		s.peer.hears(dataOf("right")...)
		s.peer.says(ok)
		synctest.Wait()
		if diff := cmp.Diff([]string{"too large"}, s.unsent()); diff != "" {
			t.Errorf("Unsent (-want +got):\n%s", diff)
		}
		if got := s.c.Stats(); got.Refused != 3 || got.MessagesSent != 1 {
			t.Errorf("%d refused and %d sent, expected 3 and 1", got.Refused, got.MessagesSent)
		}
	})
}

// One refusal too many ends the connection, whoever refuses, but not the messages
// before it.
func TestARefusalTooManyEndsThePipelinedConnection(t *testing.T) {
	for name, atOnce := range map[string]bool{"by its terms": true, "by its answer": false} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				theirs := generous
				if atOnce {
					theirs.MaxMessage = 5
				}
				s := newPipelined(t, nc, peer, conn.Options{OutboxBuffer: 4, InboxBuffer: 1}, theirs)
				s.queue("first")
				s.peer.hears(dataOf("first")...)
				s.queue("larger", "after")
				if !atOnce {
					s.peer.hears(dataOf("larger", "after")...)
				}
				s.peer.says(dataOf("theirs")...) // which has an answer, all the same
				s.peer.says(ok)
				unsent := []string{"larger", "after"}
				if !atOnce {
					s.peer.says(tooLarge, ok)
					unsent = unsent[:1]
				}
				synctest.Wait()
				if !s.isDone() {
					t.Fatal("the connection goes on")
				}
				s.peer.says(bye)
				heard := make([]byte, 10)
				s.peer.SetReadDeadline(time.Now().Add(10 * time.Second))
				n := 0
				for {
					m, err := s.peer.Read(heard[n:])
					if n += m; err != nil {
						break
					}
				}
				if got := strings.Count(string(heard[:n]), string([]byte{ok})); got != 1 {
					t.Errorf("the peer heard % x, expected one answer", heard[:n])
				}
				if got := strings.Count(string(heard[:n]), string([]byte{bye})); got != 1 {
					t.Errorf("the peer heard % x, expected one BYE", heard[:n])
				}
				s.peerEnds()
				if !s.endsWithin(time.Second) {
					t.Fatal("the connection lives on")
				}
				s.received()
				s.checkEnd(endState{unsent: unsent}, []string{"unsent", "too large"})
			})
		})
	}
}
