package conn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// Nobody calls anything, so nobody reads but the connection itself, after a while.
func TestDoneClosesSoonAfterThePeersEndWhileNobodyReceives(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		for _, c := range []struct {
			name string
			// before is what the application has done, and will not do again.
			before func(*stage)
			end    func(*stage)
			err    []string // nil for a clean end
		}{
			{"nothing, end of stream", func(*stage) {}, peersFIN, nil},
			{"nothing, reset", func(*stage) {}, peersRST, []string{"reset"}},
			{"a Receive, end of stream", (*stage).receivesOne, peersFIN, nil},
			{"a Receive, reset", (*stage).receivesOne, peersRST, []string{"reset"}},
			{"a Send, end of stream", (*stage).sendsOne, peersFIN, nil},
			{"a Receive that gave up, reset", (*stage).receivesNone, peersRST, []string{"reset"}},
		} {
			t.Run(c.name, func(t *testing.T) {
				leaktest.Check(t)
				best := time.Hour
				for range 5 {
					s := newShared(t, conn.Options{})
					c.before(s)
					begun := time.Now()
					c.end(s)
					if !closesWithin(s.c.Done(), patience) {
						t.Fatal("Done does not close")
					}
					best = min(best, time.Since(begun))
					s.c.Close()
					want := c.err
					if inPipelined() { // there was no BYE
						want = append([]string{"incomplete"}, want...)
					}
					if diff := cmp.Diff(want, traits(s.c.Err())); diff != "" {
						t.Errorf("Err (-want +got):\n%s\n%v", diff, s.c.Err())
					}
				}
				if best > 50*time.Millisecond {
					t.Errorf("Done closed after %v at best", best)
				}
			})
		}
	})
}

func peersFIN(s *stage) { s.peer.Conn.(*net.TCPConn).CloseWrite() }

func peersRST(s *stage) {
	s.peer.Conn.(*net.TCPConn).SetLinger(0)
	s.peer.Close()
}

func (s *stage) receivesOne() {
	s.t.Helper()
	s.delivers("in")
	s.receives("in")
	if inPipelined() {
		s.peer.hears(ok)
	}
}

func (s *stage) sendsOne() {
	s.t.Helper()
	sent := make(chan error, 1)
	go func() { sent <- sendSoon(s.c, "out") }() // ends with the message
	s.takes("out")
	if inPipelined() {
		s.peer.says(ok)
	}
	if err := <-sent; err != nil {
		s.t.Fatalf("Send returned %v", err)
	}
}

func (s *stage) receivesNone() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if msg, err := s.c.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) {
		s.t.Fatalf("Receive returned %q, %v", msg, err)
	}
}

// waits are calls that wait for the peer, reading or for others to read.
var waits = map[string]func(ctx context.Context, c *conn.Conn) error{
	"Receive": func(ctx context.Context, c *conn.Conn) error {
		_, err := c.Receive(ctx)
		return err
	},
	"Send": func(ctx context.Context, c *conn.Conn) error { return c.Send(ctx, []byte("never answered")) },
	"SendFrom": func(ctx context.Context, c *conn.Conn) error {
		return c.SendFrom(ctx, io.LimitReader(noEnd{}, 100), 100)
	},
	"Messages": func(ctx context.Context, c *conn.Conn) error {
		for _, err := range c.Messages(ctx) {
			if err != nil {
				return err
			}
		}
		return io.EOF
	},
}

type noEnd struct{}

func (noEnd) Read(p []byte) (int, error) { return len(p), nil }

func TestEveryEndEndsEveryCallThatWaits(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		random := newRandom(t)
		for name, end := range map[string]func(s *stage){
			"Close":   func(s *stage) { s.c.Close() },
			"context": func(s *stage) { s.cancel() },
			"Shutdown": func(s *stage) {
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
				defer cancel()
				s.c.Shutdown(ctx)
			},
			"peer's end of stream": peersFIN,
			"peer's reset":         peersRST,
			"a violation":          func(s *stage) { s.peer.says(0xf9) },
		} {
			t.Run(name, func(t *testing.T) {
				leaktest.Check(t)
				for range 15 {
					s := newShared(t, conn.Options{Grace: time.Millisecond, StallTimeout: time.Second})
					ended, n := make(chan string, 8), 0
					for kind, wait := range waits {
						if random.IntN(3) == 0 {
							continue
						}
						for range 1 + random.IntN(2) {
							n++
							ctx := context.Background()
							if random.IntN(2) == 0 {
								var cancel func()
								ctx, cancel = context.WithTimeout(ctx, time.Minute)
								defer cancel()
							}
							go func() { // ends with the connection
								err := wait(ctx, s.c)
								if err == nil || errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, conn.ErrClosed) && name != "Shutdown" {
									t.Errorf("%s returned %v", kind, err)
								}
								ended <- kind
							}()
						}
					}
					aMoment(random)
					end(s)
					for range n {
						select {
						case <-ended:
						case <-time.After(patience):
							t.Fatal("a call does not return")
						}
					}
					if !closesWithin(s.c.Done(), patience) {
						t.Fatal("Done does not close")
					}
					within(t, "Close", func() { s.c.Close() })
				}
			})
		}
	})
}

// The context of one call is not that of the connection, nor of another call.
func TestAContextThatEndsACallLeavesTheOthersAndTheConnectionAlone(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		leaktest.Check(t)
		random := newRandom(t)
		s := newShared(t, conn.Options{})
		const n = 100
		got := make(chan string, n)
		go func() { // ends with the last message
			for range n {
				msg, err := receiveSoon(s.c)
				if err != nil {
					t.Errorf("Receive returned %v", err)
				}
				got <- string(msg)
			}
		}()
		for i := range n {
			cause := errors.New("enough")
			ctx, cancel := context.WithCancelCause(context.Background())
			ended := make(chan error, 3)
			for range cap(ended) {
				go func() { // ends with its context
					msg, err := s.c.Receive(ctx)
					if err == nil {
						got <- string(msg)
					}
					ended <- err
				}()
			}
			aMoment(random)
			cancel(cause)
			for range cap(ended) {
				if err := <-ended; err != nil && !errors.Is(err, cause) {
					t.Errorf("Receive returned %v, expected %v", err, cause)
				}
			}
			msg := fmt.Sprint(i)
			s.delivers(msg)
			if inPipelined() {
				s.peer.hears(ok)
			}
			if m := <-got; m != msg {
				t.Fatalf("received %q, expected %q", m, msg)
			}
		}
	})
}

func TestReceiveHasWhatCameBeforeAViolation(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		leaktest.Check(t)
		for range 20 {
			s := newShared(t, conn.Options{})
			received := make(chan string, 1)
			go func() { // ends with the message
				msg, _ := receiveSoon(s.c)
				received <- string(msg)
			}()
			if inPipelined() {
				s.peer.says(append(dataOf("last"), 0xf9)...)
			} else {
				s.peer.says(offerOf(4)...)
				s.peer.hears(ok)
				s.peer.says(append([]byte("last"), 0xf9)...)
			}
			if got := <-received; got != "last" {
				t.Errorf("received %q", got)
			}
			peersFIN(s)
			if msg, err := receiveSoon(s.c); !errors.Is(err, conn.ErrProtocol) {
				t.Errorf("then Receive returned %q, %v, expected a protocol error", msg, err)
			}
		}
	})
}
