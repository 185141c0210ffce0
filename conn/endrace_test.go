package conn_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/wire"
)

var allStates = []endState{idle, inDoubt, unanswered, writing, reading, full, withheld}

// Whichever of two comes first, the connection ends once, and loses nothing.
func TestTwoEndsAtOnceInEveryState(t *testing.T) {
	leaktest.Check(t)
	ways := []end{byContext, byClose, byShutdown, byPeer, byReset}
	for _, state := range allStates {
		for i, first := range ways {
			for _, second := range ways[i:] {
				t.Run(state.name+"/"+first.name+" and "+second.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						nc, peer := memPair(t, 1<<10)
						s := newStage(t, nc, peer, state.options)
						state.reach(s)
						go first.do(s)  // ends with the connection
						go second.do(s) // ends with the connection
						// Both have begun before anything is received.
						synctest.Wait()
						if !s.isDone() {
							t.Error("Done is not closed")
						}
						s.received()
						if bound := 2 * time.Minute; !s.endsWithin(bound) {
							t.Fatalf("the connection lives on after %v", bound)
						}
						if diff := cmp.Diff(state.unsent, s.unsent()); diff != "" {
							t.Errorf("Unsent (-want +got):\n%.1000s", diff)
						}
						if s.sent != nil {
							if err := <-s.sent; !errors.Is(err, conn.ErrClosed) {
								t.Errorf("the Send in progress returned %v, expected ErrClosed", err)
							}
						}
					})
				})
			}
		}
	}
}

// A reset of the kernel's loses what a reset in memory can't.
func TestPeersResetOverTCPInEveryState(t *testing.T) {
	for _, state := range allStates {
		t.Run(state.name, func(t *testing.T) {
			leaktest.Check(t)
			nc, peer := tcpPair(t)
			s := newStage(t, nc, peer, state.options)
			state.reach(s)
			tcp := peer.(*net.TCPConn)
			if err := errors.Join(tcp.SetLinger(0), tcp.Close()); err != nil {
				t.Fatal(err)
			}
			if !closesWithin(s.c.Done(), 10*time.Second) {
				t.Fatal("Done is not closed")
			}
			s.received()
			if !s.endsWithin(10 * time.Second) {
				t.Fatal("the connection lives on")
			}
			if err := s.c.Err(); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Errorf("Err is %v, expected a reset", err)
			}
			if diff := cmp.Diff(state.unsent, s.unsent()); diff != "" {
				t.Errorf("Unsent (-want +got):\n%.1000s", diff)
			}
			if s.sent != nil {
				if err := <-s.sent; !errors.Is(err, conn.ErrClosed) {
					t.Errorf("the Send in progress returned %v, expected ErrClosed", err)
				}
			}
		})
	}
}

// Close may come at any moment of a write that the socket takes in part.
func TestCloseDuringAWriteOverTCP(t *testing.T) {
	leaktest.Check(t)
	msg := []byte(large)
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		nc, peer := tcpPair(t)
		s := newStage(t, nc, peer, conn.Options{})
		s.sent = make(chan error, 1)
		go func() { s.sent <- s.c.Send(context.Background(), msg) }() // ends with Close
		s.peer.hears(offerOf(len(msg))...)
		s.peer.says(ok)
		s.peer.hears(msg[0]) // so the write has begun
		begun := time.Now()
		for moment := time.Duration(random.IntN(300)) * time.Microsecond; time.Since(begun) < moment; {
		}
		closed := make(chan struct{})
		go func() { defer close(closed); s.c.Close() }() // ends with the connection
		if !closesWithin(closed, 10*time.Second) {
			t.Fatal("Close does not return")
		}
		if err := <-s.sent; !errors.Is(err, conn.ErrClosed) {
			t.Errorf("Send returned %v, expected ErrClosed", err)
		}
	}
}

// endsWithin reports whether the connection ends wholly within d.
func (s *stage) endsWithin(d time.Duration) bool {
	select {
	case <-s.ended:
		return true
	case <-time.After(d):
		return false
	}
}

func closesWithin(c <-chan struct{}, d time.Duration) bool {
	select {
	case <-c:
		return true
	case <-time.After(d):
		return false
	}
}

func TestAnEndInsideAPayloadNamesThePayload(t *testing.T) {
	for name, behind := range map[string][]string{"nothing behind it": nil, "a message behind it": {"second"}} {
		for _, e := range []end{byReset, silence} {
			t.Run(name+"/"+e.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					nc, peer := memPair(t, 1<<10)
					s := newStage(t, nc, peer, conn.Options{OutboxBuffer: 2})
					s.queue(append([]string{large}, behind...)...)
					s.peer.hears(offerOf(len(large))...)
					s.peer.says(ok)
					synctest.Wait()
					e.do(s)
					<-s.c.Done()
					s.received()
					var what *wire.IncompleteError
					if err := s.c.Err(); !errors.As(err, &what) || !what.Owed || what.Offered != uint32(len(large)) || what.Unanswered {
						t.Errorf("Err is %v, expected the %d bytes that were not written", err, len(large))
					}
				})
			})
		}
	}
}

func TestNewEndsWithinItsBound(t *testing.T) {
	cause := errors.New("enough")
	for _, c := range []struct {
		name    string
		options *conn.Options
		do      func(cancel context.CancelCauseFunc, nc, peer *memConn)
		after   time.Duration
		err     error
	}{
		{"context", nil, func(cancel context.CancelCauseFunc, _, _ *memConn) { cancel(cause) }, 0, cause},
		{"peer's end of stream", nil, func(_ context.CancelCauseFunc, _, peer *memConn) { peer.CloseWrite() }, 0, conn.ErrRefused},
		{"peer's reset", nil, func(_ context.CancelCauseFunc, _, peer *memConn) { peer.reset() }, 0, conn.ErrRefused},
		{"transport closed", nil, func(_ context.CancelCauseFunc, nc, _ *memConn) { nc.Close() }, 0, net.ErrClosed},
		{"peer's silence", nil, func(context.CancelCauseFunc, *memConn, *memConn) {}, 10 * time.Second, os.ErrDeadlineExceeded},
		{"peer's silence, HelloTimeout given", &conn.Options{HelloTimeout: time.Second},
			func(context.CancelCauseFunc, *memConn, *memConn) {}, time.Second, os.ErrDeadlineExceeded},
		{"context, no HelloTimeout", &conn.Options{HelloTimeout: -1},
			func(cancel context.CancelCauseFunc, _, _ *memConn) { time.Sleep(time.Hour); cancel(cause) }, time.Hour, cause},
	} {
		// Without a buffer our own hello is stuck as well.
		for name, buffer := range map[string]int{"": 1, ", no buffer": 0} {
			t.Run(c.name+name, func(t *testing.T) {
				leaktest.Check(t)
				synctest.Test(t, func(t *testing.T) {
					nc, peer := memPair(t, buffer)
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					failed := make(chan error, 1)
					go func() { // ends as the test says
						_, err := conn.New(ctx, nc, c.options)
						failed <- err
					}()
					synctest.Wait()
					start := time.Now()
					c.do(cancel, nc, peer)
					if err := <-failed; !errors.Is(err, c.err) {
						t.Errorf("New returned %v, expected %v", err, c.err)
					}
					if took := time.Since(start); took != c.after {
						t.Errorf("New took %v, expected %v", took, c.after)
					}
					// The transport is closed: nothing is left for the caller to do.
					if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
						t.Errorf("the transport is not closed: %v", err)
					}
				})
			})
		}
	}
}

func TestNewWithAContextThatHasEndedFails(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	nc, peer := memPair(t, 1)
	if _, err := conn.New(ctx, nc, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("New returned %v, expected the context's end", err)
	}
	peer.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadAll(peer); err != nil {
		t.Errorf("the peer reads %v, expected the end of the stream", err)
	}
}
