package conn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/wire"
)

// refuse plays the receiver of one message that is too large for it.
func (p played) refuses(size int) {
	p.t.Helper()
	p.hears(offerOf(size)...)
	p.says(tooLarge)
}

func TestMessagesOfTheOutboxMayBeRefusedMaxRefusedTimes(t *testing.T) {
	for _, c := range []struct {
		maxRefused int
		refuse     []bool // of the messages "0", "1", ...
		unsent     []string
	}{
		{0, []bool{true, false, false}, []string{"0", "1", "2"}},
		{0, []bool{false, true, false, false}, []string{"1", "2", "3"}},
		{1, []bool{true, false, false, true, false}, []string{"0", "3", "4"}},
		{2, []bool{true, true, false, true}, []string{"0", "1", "3"}},
	} {
		t.Run(fmt.Sprintf("%d of %v", c.maxRefused, c.refuse), func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newStage(t, nc, peer, conn.Options{OutboxBuffer: len(c.refuse), MaxRefused: c.maxRefused})
				for i := range c.refuse {
					s.queue(fmt.Sprint(i))
				}
				var refused []string
				for i, refuse := range c.refuse {
					if !refuse {
						s.peer.hearsMessage(fmt.Sprint(i))
						continue
					}
					s.peer.refuses(1)
					refused = append(refused, fmt.Sprint(i))
					synctest.Wait()
					if len(refused) > c.maxRefused {
						break
					}
					if s.isDone() || s.c.Err() != nil {
						t.Fatalf("the connection ended after %d refusals: %v", len(refused), s.c.Err())
					}
					if diff := cmp.Diff(refused, s.unsent()); diff != "" {
						t.Errorf("while the connection lives, Unsent (-want +got):\n%s", diff)
					}
				}
				if !s.isDone() {
					t.Fatalf("the connection lives on after %d refusals", len(refused))
				}
				// It ends gracefully: nothing more is offered, and the stream ends.
				if rest, err := io.ReadAll(s.peer); len(rest) > 0 || err != nil {
					t.Errorf("then the peer heard % x, %v, expected the end of the stream", rest, err)
				}
				s.peerEnds()
				if !s.endsWithin(time.Millisecond) {
					t.Error("the connection lives on after the peer ended as well")
				}
				var large *conn.TooLargeError
				if err := s.c.Err(); !errors.As(err, &large) || !large.Peer || large.Size != 1 || !errors.Is(err, conn.ErrTooLarge) {
					t.Errorf("Err is %v, expected a TooLargeError of the peer for 1 byte", err)
				}
				s.checkEnd(endState{unsent: c.unsent}, []string{"unsent", "too large"})
				if n := s.c.Stats().Refused; n != uint64(len(refused)) {
					t.Errorf("Stats counts %d refused, expected %d", n, len(refused))
				}
			})
		})
	}
}

func TestAMessageRefusedToSendFailsThatSendAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{})
		for range 3 {
			s.send("refused")
			s.peer.refuses(7)
			err := <-s.sent
			var large *conn.TooLargeError
			if !errors.As(err, &large) || !large.Peer || large.Size != 7 {
				t.Errorf("Send returned %v, expected a TooLargeError of the peer for 7 bytes", err)
			}
			if !errors.Is(err, conn.ErrTooLarge) || errors.Is(err, conn.ErrClosed) || errors.Is(err, conn.ErrInDoubt) {
				t.Errorf("Send returned %v, expected ErrTooLarge alone", err)
			}
		}
		s.send("good")
		s.peer.hearsMessage("good")
		if err := <-s.sent; err != nil {
			t.Errorf("then Send returned %v", err)
		}
		if diff := cmp.Diff([]string(nil), s.unsent()); diff != "" {
			t.Errorf("Unsent (-want +got):\n%s", diff)
		}
		stats := s.c.Stats()
		stats.LastActivity = time.Time{}
		if diff := cmp.Diff(conn.Stats{MessagesSent: 1, BytesSent: 4, Refused: 3}, stats); diff != "" {
			t.Errorf("Stats (-want +got):\n%s", diff)
		}
	})
}

// largestMessage is what the protocol can carry and a slice can hold.
const largestMessage = uint32(min(wire.MaxSize, math.MaxInt))

func TestMaxMessageIsTheLargestThatIsAccepted(t *testing.T) {
	for _, c := range []struct {
		name    string
		options *conn.Options
		largest uint32
	}{
		{"nil options", nil, 16 << 20},
		{"zero", &conn.Options{}, 16 << 20},
		{"1", &conn.Options{MaxMessage: 1}, 1},
		{"above the protocol's", &conn.Options{MaxMessage: 0xffffffff}, largestMessage},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				conn, p := greetPlayed(t, t.Context(), nc, peer, c.options)
				refused := uint64(0)
				if c.largest < wire.MaxSize {
					for range 3 { // the connection lives on
						p.says(wire.AppendSize(nil, c.largest+1)...)
						p.hears(tooLarge)
						refused++
					}
				}
				p.says(wire.AppendSize(nil, c.largest)...)
				p.hears(ok)
				if n := conn.Stats().PeerRefused; n != refused {
					t.Errorf("Stats counts %d refused of the peer, expected %d", n, refused)
				}
			})
		})
	}
}

func TestAMessageOverTheLimitIsRefusedWhileTheInboxIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{MaxMessage: 10})
		s.peer.saysMessage("held")
		s.peer.says(offerOf(11)...)
		s.peer.hears(tooLarge)
		s.peer.says(offerOf(4)...)
		synctest.Wait()
		if msg, err := s.c.Receive(t.Context()); string(msg) != "held" || err != nil {
			t.Errorf("Receive returned %q, %v", msg, err)
		}
		s.peer.hears(ok)
		s.peer.says([]byte("next")...)
		if msg, err := s.c.Receive(t.Context()); string(msg) != "next" || err != nil {
			t.Errorf("Receive returned %q, %v", msg, err)
		}
	})
}

func TestARefusedMessageBetweenOthersLosesNone(t *testing.T) {
	eachMode(t, testARefusedMessageBetweenOthersLosesNone)
}

func testARefusedMessageBetweenOthersLosesNone(t *testing.T) {
	for name, transport := range transports {
		t.Run(name, func(t *testing.T) {
			x, y := transport(t)
			a, b := joinBounded(t, x, y, &conn.Options{MaxRefused: 100, OutboxBuffer: 8}, &conn.Options{MaxMessage: 100})
			var sent [][]byte
			for i := range 200 {
				sent = append(sent, slices.Repeat([]byte{byte(i)}, i))
			}
			go func() { // ends with the last message, or with the connection
				for _, m := range sent {
					if put(a, m) != nil {
						return
					}
				}
				close(a.Outbox())
			}()
			var got [][]byte
			for m := range b.Inbox() {
				got = append(got, m)
			}
			<-a.Done()
			a.Shutdown(t.Context()) // waits for the end
			if diff := cmp.Diff(sent[:101], got); diff != "" {
				t.Errorf("received (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(sent[101:], a.Unsent()); diff != "" {
				t.Errorf("Unsent (-want +got):\n%s", diff)
			}
			if err := a.Err(); !errors.Is(err, conn.ErrUnsent) {
				t.Errorf("Err is %v, expected ErrUnsent", err)
			}
			want := uint64(99)
			if r := a.Stats().Refused; r != want {
				t.Errorf("one end counts %d refused, expected %d", r, want)
			}
			if inPipelined() { // it knows the other's limit, and does not even send them
				want = 0
			}
			if p := b.Stats().PeerRefused; p != want {
				t.Errorf("the other end counts %d refused, expected %d", p, want)
			}
		})
	}
}

// The peer has greeted already, so that closing at once would destroy CONLIMIT.
func TestRefuseTellsThePeerWhy(t *testing.T) {
	for name, transport := range transports {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			x, y := transport(t)
			failed := make(chan error, 1)
			go func() { // ends with the hello
				_, err := conn.New(t.Context(), x, nil)
				failed <- err
			}()
			if err := conn.Refuse(t.Context(), y); err != nil {
				t.Errorf("Refuse returned %v", err)
			}
			var hello *wire.HelloError
			if err := <-failed; !errors.Is(err, conn.ErrConnLimit) || !errors.Is(err, conn.ErrRefused) || !errors.As(err, &hello) {
				t.Errorf("New returned %v, expected ErrConnLimit", err)
			}
		})
	}
}

func TestRefuseIsBounded(t *testing.T) {
	for _, c := range []struct {
		name  string
		peer  func(*memConn, context.CancelFunc)
		after time.Duration
	}{
		{"the peer closes", func(p *memConn, _ context.CancelFunc) { p.Close() }, 0},
		{"the peer never closes", func(*memConn, context.CancelFunc) {}, time.Second},
		{"the context ends", func(_ *memConn, cancel context.CancelFunc) { cancel() }, 0},
	} {
		for name, buffer := range map[string]int{"": 8, ", and reads nothing": 0} {
			t.Run(c.name+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					nc, peer := memPair(t, buffer)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					start := time.Now()
					refused := make(chan struct{})
					go func() { // ends within a second
						defer close(refused)
						conn.Refuse(ctx, nc)
					}()
					synctest.Wait()
					c.peer(peer, cancel)
					<-refused
					if took := time.Since(start); took != c.after {
						t.Errorf("Refuse took %v, expected %v", took, c.after)
					}
					if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
						t.Errorf("the transport is not closed: %v", err)
					}
				})
			})
		}
	}
}
