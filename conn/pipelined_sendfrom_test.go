package conn_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/wire"
)

// beginSendFrom begins a SendFrom, and returns how it ends.
func (s *stage) beginSendFrom(ctx context.Context, r io.Reader, size int64) <-chan error {
	sent := make(chan error, 1)
	go func() { sent <- s.c.SendFrom(ctx, r, size) }() // ends with the answer, or with the connection
	return sent
}

func TestSendFromReturnsWhenItsMessageIsAnswered(t *testing.T) {
	for name, c := range map[string]struct {
		msg    string
		answer byte
		err    error
	}{
		"taken":          {"message", ok, nil},
		"refused":        {"message", tooLarge, conn.ErrTooLarge},
		"empty, taken":   {"", ok, nil},
		"empty, refused": {"", tooLarge, conn.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newPipelined(t, nc, peer, conn.Options{PeerTimeout: -1}, generous)
				sent := s.beginSendFrom(t.Context(), strings.NewReader(c.msg), int64(len(c.msg)))
				s.peer.hears(dataOf(c.msg)...)
				time.Sleep(time.Hour)
				if len(sent) > 0 || s.c.Stats().MessagesSent > 0 {
					t.Fatal("it is sent before its answer")
				}
				s.peer.says(c.answer)
				if err := <-sent; !errors.Is(err, c.err) {
					t.Errorf("SendFrom returned %v, expected %v", err, c.err)
				}
				if n := s.c.Stats().MessagesSent; (n == 1) != (c.err == nil) {
					t.Errorf("MessagesSent is %d", n)
				}
			})
		})
	}
}

// Nothing stands in it or overtakes it, and it waits for no answer itself.
func TestAMessageOfAReaderKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{OutboxBuffer: 2, InboxBuffer: 2}, generous)
		s.queue("before")
		from, to := io.Pipe()
		synctest.Wait()
		sent := s.beginSendFrom(t.Context(), from, 6)
		synctest.Wait()
		s.queue("behind")
		s.peer.says(append(dataOf("theirs"), ping)...)
		s.peer.hears(append(dataOf("before"), offerOf(6)...)...)
		s.peer.hearsNothing()
		to.Write([]byte("rea"))
		s.peer.hears([]byte("rea")...)
		s.peer.hearsNothing()
		to.Write([]byte("der"))
		s.peer.hears([]byte("der")...)
		s.peer.hears(append([]byte{pong, ok}, dataOf("behind")...)...)
		s.peer.says(ok)
		s.peer.hearsNothing()
		if len(sent) > 0 {
			t.Error("it is sent before its answer")
		}
		s.peer.says(ok, ok)
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

// What can still be taken back is; what is written may arrive; and what is in
// between ends the connection.
func TestSendFromEndsWithItsContext(t *testing.T) {
	small := wire.Terms{MaxMessage: 100, WindowMessages: 1, WindowBytes: 100}
	cause := errors.New("enough")
	for name, c := range map[string]struct {
		before  string // a message that takes the window
		written string // how much of "reader" is written
		err     []error
		inDoubt bool
		ends    bool // the connection, too
	}{
		"while it waits for the window":     {"first", "", []error{cause}, false, false},
		"while it is written":               {"", "rea", []error{cause, &conn.PartialError{}}, false, true},
		"while it waits for its answer":     {"", "reader", []error{cause}, true, false},
		"while not a byte of it is written": {"", "", []error{cause, &conn.PartialError{}}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newPipelined(t, nc, peer, conn.Options{PeerTimeout: -1}, small)
				if c.before != "" {
					s.send(c.before)
					s.peer.hears(dataOf(c.before)...)
				}
				ctx, cancel := context.WithCancelCause(context.Background())
				from, to := io.Pipe()
				defer to.Close() // the Reader ends with that
				sent := s.beginSendFrom(ctx, from, 6)
				if c.before == "" {
					s.peer.hears(offerOf(6)...)
					if c.written != "" {
						to.Write([]byte(c.written))
					}
					s.peer.hears([]byte(c.written)...)
				}
				synctest.Wait()
				cancel(cause)
				synctest.Wait()
				to.Close() // SendFrom returns no sooner than its Reader
				select {
				case err := <-sent:
					for _, want := range c.err {
						if partial, ok := want.(*conn.PartialError); ok {
							if !errors.As(err, &partial) || partial.Moved != int64(len(c.written)) {
								t.Errorf("SendFrom returned %v, expected a PartialError of %d bytes", err, len(c.written))
							}
						} else if !errors.Is(err, want) {
							t.Errorf("SendFrom returned %v, expected %v", err, want)
						}
					}
					if inDoubt := errors.Is(err, conn.ErrInDoubt); inDoubt != c.inDoubt {
						t.Errorf("SendFrom returned %v; in doubt: %t, expected %t", err, inDoubt, c.inDoubt)
					}
				case <-time.After(time.Hour):
					t.Error("SendFrom did not return when its context ended")
				}
				if s.isDone() != c.ends {
					t.Errorf("ended: %t, expected %t; Err: %v", s.isDone(), c.ends, s.c.Err())
				}
				if c.ends {
					return
				}
				if c.before != "" {
					s.peer.says(ok)
					if err := <-s.sent; err != nil {
						t.Error(err)
					}
				}
				s.send("next")
				if c.inDoubt {
					s.peer.hearsNothing() // the window is taken
					s.peer.says(ok)
				}
				s.peer.hears(dataOf("next")...)
				s.peer.says(ok)
				if err := <-s.sent; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestSendFromThatTheConnectionsEndInterrupts(t *testing.T) {
	for name, c := range map[string]struct {
		written string
		inDoubt bool // all of it was written
	}{
		"not a byte is written": {"", false},
		"half of it is written": {"rea", false},
		"all of it is written":  {"reader", true},
	} {
		for _, e := range []end{byClose, byReset, byPeer, byContext, byShutdown} {
			t.Run(name+"/"+e.name, func(t *testing.T) {
				leaktest.Check(t)
				synctest.Test(t, func(t *testing.T) {
					nc, peer := memPair(t, 1<<10)
					s := newPipelined(t, nc, peer, conn.Options{PeerTimeout: -1}, generous)
					from, to := io.Pipe()
					sent := s.beginSendFrom(context.Background(), from, 6)
					s.peer.hears(offerOf(6)...)
					to.Write([]byte(c.written))
					s.peer.hears([]byte(c.written)...)
					synctest.Wait()
					e.do(s)
					<-s.c.Done()
					time.Sleep(10 * time.Second) // Grace
					to.Close()
					err := <-sent
					partial, isPartial := errors.AsType[*conn.PartialError](err)
					if !errors.Is(err, conn.ErrClosed) && !isPartial || errors.Is(err, conn.ErrInDoubt) != c.inDoubt {
						t.Errorf("SendFrom returned %v; in doubt: %t, expected %t", err, errors.Is(err, conn.ErrInDoubt), c.inDoubt)
					}
					if !c.inDoubt && (!isPartial || partial.Moved != int64(len(c.written)) || partial.Size != 6) {
						t.Errorf("SendFrom returned %v, expected a PartialError of %d of 6 bytes", err, len(c.written))
					}
					<-s.ended
					if diff := cmp.Diff([]string(nil), s.unsent()); diff != "" {
						t.Errorf("Unsent (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}

// The peer knows that it does not have all of the message.
func TestAReaderThatFailsEndsThePipelinedConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{OutboxBuffer: 2}, generous)
		s.queue("before")
		s.peer.hears(dataOf("before")...)
		from, to := io.Pipe()
		sent := s.beginSendFrom(t.Context(), from, 6)
		s.peer.hears(offerOf(6)...)
		synctest.Wait()
		s.queue("behind")
		to.Write([]byte("rea"))
		to.CloseWithError(errDisk)
		checkPartial(t, <-sent, 6, 3, errDisk)
		<-s.ended
		checkPartial(t, s.c.Err(), 6, 3, errDisk)
		if diff := cmp.Diff([]string{"before", "behind"}, s.unsent()); diff != "" {
			t.Errorf("Unsent (-want +got):\n%s", diff)
		}
	})
}
