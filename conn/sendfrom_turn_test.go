package conn_test

import (
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/wire"
)

// counted is a Reader that counts how often it is asked.
type counted struct {
	io.Reader
	reads int
}

func (c *counted) Read(p []byte) (int, error) {
	c.reads++
	return c.Reader.Read(p)
}

func TestSendFromTakesItsTurnAsSendDoes(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{OutboxBuffer: 2})
		sent := make(chan error, 5)
		next := func(send func() error) {
			go func() { sent <- send() }() // ends when it is sent
			synctest.Wait()
		}
		sendFrom := func(msg string) func() error {
			return func() error {
				return s.c.SendFrom(context.Background(), strings.NewReader(msg), int64(len(msg)))
			}
		}
		send := func(msg string) func() error {
			return func() error { return s.c.Send(context.Background(), []byte(msg)) }
		}
		next(sendFrom("0"))
		s.queue("1", "2")
		next(sendFrom("3"))
		next(send("4"))
		next(sendFrom(""))
		next(sendFrom("6"))
		for _, want := range []string{"0", "1", "2", "3", "4", "", "6"} {
			s.peer.hearsMessage(want)
		}
		for range 5 {
			if err := <-sent; err != nil {
				t.Error(err)
			}
		}
	})
}

// What others send while a SendFrom streams waits for its end, and what the
// peer sends arrives; its next offer is answered behind the stream.
func TestAStreamHasTheConnectionToItself(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{InboxBuffer: 2, OutboxBuffer: 1})
		r, w := io.Pipe()
		s.sendFrom(r, 6)
		s.peer.hears(offerOf(6)...)
		s.peer.saysFrom(3, []byte{ok})
		io.WriteString(w, "str")
		s.peer.hears([]byte("str")...)
		s.queue("queued")
		later := make(chan error, 1)
		go func() { later <- s.c.Send(context.Background(), []byte("sent")) }() // ends with the message
		s.peer.says([]byte("one")...)
		s.peer.says(offerOf(3)...)
		if m := <-s.c.Inbox(); string(m) != "one" {
			t.Errorf("received %q", m)
		}
		synctest.Wait()
		if n := peer.in.length(); n != 0 {
			t.Fatalf("%d bytes were written inside the payload", n)
		}
		io.WriteString(w, "eam")
		s.peer.hears([]byte("eam")...)
		if err := <-s.sent; err != nil {
			t.Error(err)
		}
		s.peer.hears(ok)
		s.peer.hears(offerOf(6)...)
		s.peer.says(append([]byte("two"), ok)...) // R2: what was asked for first goes first
		if m := <-s.c.Inbox(); string(m) != "two" {
			t.Errorf("received %q", m)
		}
		s.peer.hears([]byte("queued")...)
		s.peer.hearsMessage("sent")
		if err := <-later; err != nil {
			t.Error(err)
		}
	})
}

// CONFLICT takes nothing from the Reader: the message is offered again.
func TestSendFromOffersAgainAfterAConflict(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{InboxBuffer: 3})
		r := &counted{Reader: strings.NewReader("stream")}
		s.sendFrom(r, 6)
		for range 3 {
			s.peer.hears(offerOf(6)...)
			s.peer.says(offerOf(1)...)
			s.peer.hears(ok)
			s.peer.says(conflict, 'x')
		}
		s.peer.hears(offerOf(6)...)
		if r.reads != 0 {
			t.Errorf("the Reader was read %d times before the message was accepted", r.reads)
		}
		s.peer.says(ok)
		s.peer.hears([]byte("stream")...)
		if err := <-s.sent; err != nil {
			t.Error(err)
		}
		if got := s.c.Stats().Conflicts; got != 3 {
			t.Errorf("%d conflicts were counted, expected 3", got)
		}
	})
}

// Sizes that can't be sent cost nothing but the call.
func TestASizeThatIsTooLargeLeavesTheReaderAndTheConnectionAlone(t *testing.T) {
	for _, c := range []struct {
		name    string
		size    int64
		offered bool
		want    error
	}{
		{"for the peer", 1 << 20, true, &conn.TooLargeError{Size: 1 << 20, Peer: true}},
		{"for the peer, the largest that can be offered", wire.MaxSize, true, &conn.TooLargeError{Size: wire.MaxSize, Peer: true}},
		{"for the protocol", wire.MaxSize + 1, false, &conn.TooLargeError{Size: wire.MaxSize + 1}},
		{"for the protocol by far", math.MaxInt64, false, &conn.TooLargeError{Size: math.MaxInt64}},
		{"negative", -1, false, nil},
		{"negative by far", math.MinInt64, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newStage(t, nc, peer, conn.Options{})
				r := &counted{Reader: endless{}}
				s.sendFrom(r, c.size)
				var want conn.Stats
				if c.offered {
					s.peer.hears(offerOf(int(c.size))...)
					s.peer.says(tooLarge)
					want.Refused++
				}
				err := <-s.sent
				switch want := c.want.(type) {
				case *conn.TooLargeError:
					if diff := diffError(err, want); diff != "" {
						t.Errorf("SendFrom returned %v (-want +got):\n%s", err, diff)
					}
					if !errors.Is(err, conn.ErrTooLarge) {
						t.Errorf("%v does not match ErrTooLarge", err)
					}
				default:
					if err == nil || !strings.Contains(err.Error(), " -") {
						t.Errorf("SendFrom returned %v, expected that it names the size", err)
					}
				}
				if errors.Is(err, conn.ErrClosed) || errors.Is(err, conn.ErrInDoubt) {
					t.Errorf("SendFrom returned %v, but nothing happened to the connection", err)
				}
				if r.reads != 0 {
					t.Errorf("the Reader was read %d times", r.reads)
				}
				s.sendFrom(strings.NewReader("next"), 4)
				s.peer.hearsMessage("next")
				if err := <-s.sent; err != nil {
					t.Error(err)
				}
				want.MessagesSent, want.BytesSent = 1, 4
				if diff := cmp.Diff(want, s.c.Stats(), cmpopts.IgnoreFields(conn.Stats{}, "LastActivity")); diff != "" {
					t.Errorf("Stats (-want +got):\n%s", diff)
				}
				if unsent := s.unsent(); unsent != nil {
					t.Errorf("Unsent lists %q", unsent)
				}
			})
		})
	}
}

// What can't be begun costs nothing.
func TestSendFromDoesNothingIfItsContextOrTheConnectionHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{})
		r := &counted{Reader: endless{}}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errDisk)
		if err := s.c.SendFrom(ctx, r, 10); !errors.Is(err, errDisk) || errors.Is(err, conn.ErrClosed) {
			t.Errorf("SendFrom returned %v, expected the context's cause", err)
		}
		if n := peer.in.length(); n != 0 || s.isDone() {
			t.Errorf("the peer got %d bytes; ended: %t", n, s.isDone())
		}
		s.c.Close()
		if err := s.c.SendFrom(t.Context(), r, 10); !errors.Is(err, conn.ErrClosed) || errors.Is(err, conn.ErrInDoubt) {
			t.Errorf("SendFrom returned %v, expected ErrClosed", err)
		}
		if r.reads != 0 {
			t.Errorf("the Reader was read %d times", r.reads)
		}
	})
}

func TestASendFromThatThePeerHasPutOffCanBeTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		sent := make(chan error, 1)
		go func() { sent <- s.c.SendFrom(ctx, strings.NewReader("never read"), 10) }() // ends with ctx
		s.peer.hears(offerOf(10)...)
		s.peer.says(offerOf(4)...)
		s.peer.hears(ok)
		s.peer.says(conflict)
		synctest.Wait()
		cancel()
		if err := <-sent; !errors.Is(err, context.Canceled) || errors.Is(err, conn.ErrClosed) {
			t.Errorf("SendFrom returned %v, expected that ctx was cancelled and nothing else", err)
		}
		s.peer.says([]byte("data")...)
		if got := <-s.c.Inbox(); string(got) != "data" {
			t.Errorf("received %q", got)
		}
		s.send("next")
		s.peer.hearsMessage("next")
		if err := <-s.sent; err != nil {
			t.Error(err)
		}
	})
}
