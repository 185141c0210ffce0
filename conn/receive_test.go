package conn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
)

// receiving is a stage whose peer has sent first and second.
func receiving(t *testing.T) *stage {
	nc, peer := memPair(t, 1<<10)
	s := newStage(t, nc, peer, conn.Options{InboxBuffer: 2})
	s.peer.saysMessage("first")
	s.peer.saysMessage("second")
	synctest.Wait()
	return s
}

func (s *stage) peerEnds() {
	s.peer.Conn.(*memConn).CloseWrite()
	synctest.Wait()
}

func (s *stage) peerResets() {
	s.peer.Conn.(*memConn).reset()
	synctest.Wait()
}

func TestReceiveEndsWithEOFOrTheReasonAfterTheLastMessage(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*stage)
		err  error
	}{
		{"the peer ended between messages", (*stage).peerEnds, io.EOF},
		{"the peer reset the connection", (*stage).peerResets, syscall.ECONNRESET},
		{"the context ended", func(s *stage) { s.cancel(); <-s.ended }, context.Canceled},
		{"Close", func(s *stage) { s.c.Close() }, conn.ErrClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := receiving(t)
				c.end(s)
				for _, want := range []string{"first", "second"} {
					if msg, err := s.c.Receive(t.Context()); string(msg) != want || err != nil {
						t.Errorf("Receive returned %q, %v, expected %q", msg, err, want)
					}
				}
				for range 2 {
					msg, err := s.c.Receive(t.Context())
					if msg != nil || !errors.Is(err, c.err) {
						t.Errorf("Receive returned %q, %v after the last message, expected %v", msg, err, c.err)
					}
					if c.err == io.EOF && err != io.EOF {
						t.Errorf("Receive returned %v, not io.EOF itself", err)
					}
				}
			})
		})
	}
}

func TestReceiveWithAContextThatEndsTakesNoMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("enough")
		s := receiving(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		for range 100 { // a select that takes either would take one of them
			if msg, err := s.c.Receive(ctx); msg != nil || !errors.Is(err, cause) {
				t.Fatalf("Receive returned %q, %v, expected %v", msg, err, cause)
			}
		}
		for _, want := range []string{"first", "second"} {
			if msg, err := s.c.Receive(t.Context()); string(msg) != want || err != nil {
				t.Errorf("Receive returned %q, %v, expected %q", msg, err, want)
			}
		}
	})
}

func TestReceiveReturnsWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("enough")
		s := receiving(t)
		s.c.Receive(t.Context())
		s.c.Receive(t.Context())
		ctx, giveUp := context.WithCancelCause(t.Context())
		defer giveUp(nil)
		failed := make(chan error, 1)
		go func() { // ends with giveUp
			_, err := s.c.Receive(ctx)
			failed <- err
		}()
		synctest.Wait()
		giveUp(cause)
		if err := <-failed; !errors.Is(err, cause) {
			t.Errorf("Receive returned %v, expected %v", err, cause)
		}
		s.peer.saysMessage("third")
		if msg, err := s.c.Receive(t.Context()); string(msg) != "third" || err != nil {
			t.Errorf("Receive returned %q, %v, expected the third message", msg, err)
		}
	})
}

// pair is what Messages yields at once.
type pair struct {
	Msg string
	Err []string
}

func TestMessagesYieldsAnErrorLastUnlessTheEndIsClean(t *testing.T) {
	first, second := pair{Msg: "first"}, pair{Msg: "second"}
	for _, c := range []struct {
		name string
		end  func(*stage)
		want []pair
	}{
		{"the peer ended between messages", (*stage).peerEnds, []pair{first, second}},
		{"the peer reset the connection", (*stage).peerResets, []pair{first, second, {Err: []string{"reset"}}}},
		{"Close", func(s *stage) { s.c.Close() }, []pair{first, second, {Err: []string{"closed"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := receiving(t)
				c.end(s)
				var got []pair
				for msg, err := range s.c.Messages(t.Context()) {
					got = append(got, pair{string(msg), traits(err)})
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("Messages yields (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestMessagesEndsWithItsContextAndLeavesTheConnectionAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := receiving(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var got []pair
		for msg, err := range s.c.Messages(ctx) {
			got = append(got, pair{string(msg), traits(err)})
			cancel()
		}
		if diff := cmp.Diff([]pair{{Msg: "first"}, {Err: []string{"canceled"}}}, got); diff != "" {
			t.Errorf("Messages yields (-want +got):\n%s", diff)
		}
		if msg, err := s.c.Receive(t.Context()); string(msg) != "second" || err != nil {
			t.Errorf("Receive returned %q, %v, expected the second message", msg, err)
		}
	})
}

func TestBreakingOffMessagesLeavesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := receiving(t)
		for msg, err := range s.c.Messages(t.Context()) {
			if string(msg) != "first" || err != nil {
				t.Errorf("Messages yields %q, %v first", msg, err)
			}
			break
		}
		s.peer.saysMessage("third")
		s.peerEnds()
		if diff := cmp.Diff([]string{"second", "third"}, s.received()); diff != "" {
			t.Errorf("then the Inbox yields (-want +got):\n%s", diff)
		}
	})
}

func TestOfSeveralReceiversEachMessageGoesToOne(t *testing.T) {
	eachMode(t, testOfSeveralReceiversEachMessageGoesToOne)
}

func testOfSeveralReceiversEachMessageGoesToOne(t *testing.T) {
	x, y := tcpPair(t)
	a, b := joinBounded(t, x, y, nil, nil)
	const n = 300
	var mu sync.Mutex
	var got []string
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() { // ends with the connection
			for msg, err := range b.Messages(context.Background()) {
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				got = append(got, string(msg))
				mu.Unlock()
			}
		})
	}
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("%04d", i))
		if err := a.Send(t.Context(), []byte(want[i])); err != nil {
			t.Fatal(err)
		}
	}
	shutDown(t, a, b)
	work.Wait()
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("received (-sent +received):\n%s", diff)
	}
}

// C7: what was received is the receiver's, so appending to it and writing to it
// touch no other message.
func TestAReceivedSliceIsTheReceivers(t *testing.T) { eachMode(t, testAReceivedSliceIsTheReceivers) }

func testAReceivedSliceIsTheReceivers(t *testing.T) {
	x, y := tcpPair(t)
	a, b := joinBounded(t, x, y, nil, &conn.Options{InboxBuffer: 8})
	sizes := []int{0, 1, 5, 4095, 4096, 4097, 65535, 65536, 65537, 300_000, 3, 0, 7}
	failed := make(chan error, 1)
	go func() { // ends with the last message, or with the connection
		defer close(failed)
		for i, size := range sizes {
			if err := a.Send(context.Background(), slices.Repeat([]byte{byte(i)}, size)); err != nil {
				failed <- err
				return
			}
		}
	}()
	for i, size := range sizes {
		msg, err := b.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if msg == nil || !slices.Equal(msg, slices.Repeat([]byte{byte(i)}, size)) {
			t.Errorf("message %d of %d bytes arrived as %d bytes, nil: %t, or others", i, size, len(msg), msg == nil)
		}
		if cap(msg) != len(msg) {
			t.Errorf("message %d of %d bytes has a capacity of %d", i, len(msg), cap(msg))
		}
		clear(append(msg, "behind it"...))
		clear(msg)
	}
	if err := <-failed; err != nil {
		t.Error(err)
	}
}
