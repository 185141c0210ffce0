package conn_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// labour is a Transform that takes until proceed is closed.
func labour(encode, decode bool) (transform conn.Transform, proceed chan bool) {
	proceed = make(chan bool)
	copyWhen := func(slow bool, dst, src []byte) ([]byte, error) {
		if slow {
			<-proceed
		}
		return append(dst, src...), nil
	}
	return codec{
		encode: func(dst, src []byte) ([]byte, error) { return copyWhen(encode, dst, src) },
		decode: func(dst, src []byte, _ int) ([]byte, error) { return copyWhen(decode, dst, src) },
	}, proceed
}

// The end waits for a transform, as it reads the caller's slice, and then loses
// nothing silently.
func TestAnEndWhileAMessageIsEncoded(t *testing.T) {
	for _, e := range []struct {
		end  end
		err  []string
		sent []string
	}{
		{byClose, []string{"closed", "unsent"}, []string{"closed"}},
		{byReset, []string{"unsent", "reset"}, []string{"closed", "reset"}},
		{byPeer, []string{"unsent"}, []string{"closed"}},
	} {
		for _, by := range []string{"Send", "Outbox"} {
			t.Run(e.end.name+"/"+by, func(t *testing.T) {
				leaktest.Check(t)
				synctest.Test(t, func(t *testing.T) {
					slow, proceed := labour(true, false)
					s := transformStage(t, conn.Options{OutboxBuffer: 2}, slow)
					var unsent []string
					if by == "Send" {
						s.send("first")
						s.queue("second")
						unsent = []string{"second"}
					} else {
						s.queue("first", "second")
						unsent = []string{"first", "second"}
					}
					synctest.Wait()
					go e.end.do(s) // ends with the connection
					synctest.Wait()
					if !s.isDone() {
						t.Error("Done is not closed")
					}
					if len(s.sent) != 0 {
						t.Error("Send returned while its slice was in use")
					}
					if len(s.ended) != 0 {
						t.Error("the connection has ended while a transform was at work")
					}
					close(proceed)
					s.received()
					<-s.ended
					if diff := cmp.Diff(e.err, traits(s.c.Err())); diff != "" {
						t.Errorf("Err is %v (-want +got):\n%s", s.c.Err(), diff)
					}
					if diff := cmp.Diff(unsent, s.unsent()); diff != "" {
						t.Errorf("Unsent (-want +got):\n%s", diff)
					}
					if s.sent != nil {
						err := <-s.sent
						if diff := cmp.Diff(e.sent, traits(err)); diff != "" {
							t.Errorf("Send returned %v (-want +got):\n%s", err, diff)
						}
					}
				})
			})
		}
	}
}

// A graceful end waits for what is encoded, and sends it.
func TestAGracefulEndSendsWhatIsEncoded(t *testing.T) {
	for _, e := range []end{byShutdown, byContext} {
		t.Run(e.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				slow, proceed := labour(true, false)
				s := transformStage(t, conn.Options{OutboxBuffer: 2}, slow)
				s.queue("first", "second")
				s.send("third")
				synctest.Wait()
				go e.do(s) // ends with the connection
				time.Sleep(time.Second)
				close(proceed)
				s.peer.hearsMessage("first")
				s.peer.hearsMessage("second")
				s.peer.hearsMessage("third")
				if err := <-s.sent; err != nil {
					t.Errorf("Send returned %v", err)
				}
				byPeer.do(s)
				<-s.ended
				if unsent := s.unsent(); unsent != nil {
					t.Errorf("Unsent lists %q", unsent)
				}
			})
		})
	}
}

// The context of a Send ends its wait, not the work on its slice.
func TestASendMayGiveUpWhileItsMessageIsEncoded(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		slow, proceed := labour(true, false)
		s := transformStage(t, conn.Options{}, slow)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := s.c.Send(ctx, []byte("may arrive"))
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, conn.ErrInDoubt) {
			t.Errorf("Send returned %v, expected that it is in doubt", err)
		}
		close(proceed)
		s.peer.hearsMessage("may arrive")
	})
}

// While a message is decoded, what the peer ended has not ended.
func TestAnEndWhileAMessageIsDecoded(t *testing.T) {
	for _, c := range []struct {
		end      end
		received []string
		err      []string
	}{
		{byPeer, []string{"message"}, nil},
		{byReset, []string{"message"}, []string{"reset"}},
		{byShutdown, []string{"message"}, nil},
		{byContext, []string{"message"}, []string{"canceled"}},
		{byClose, nil, []string{"closed"}},
	} {
		t.Run(c.end.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				slow, proceed := labour(false, true)
				s := transformStage(t, conn.Options{InboxBuffer: 1}, slow)
				s.peer.saysMessage("message")
				synctest.Wait()
				go c.end.do(s) // ends with the connection
				synctest.Wait()
				if len(s.ended) != 0 {
					t.Error("the connection has ended while a transform was at work")
				}
				close(proceed)
				if diff := cmp.Diff(c.received, s.received()); diff != "" {
					t.Errorf("received (-want +got):\n%s", diff)
				}
				<-s.ended
				if diff := cmp.Diff(c.err, traits(s.c.Err())); diff != "" {
					t.Errorf("Err is %v (-want +got):\n%s", s.c.Err(), diff)
				}
			})
		})
	}
}
