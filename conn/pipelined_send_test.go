package conn_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/wire"
)

// Each returns when its own message is answered, and none waits for another to be sent.
func TestSendReturnsWhenItsMessageIsHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{PeerTimeout: -1}, generous)
		sent := s.sends("one", "", "three")
		s.peer.hears(dataOf("one", "", "three")...)
		want := conn.Stats{Pipelined: true}
		for i, c := range []struct {
			answer byte
			err    error
			bytes  uint64
		}{{ok, nil, 3}, {tooLarge, conn.ErrTooLarge, 0}, {ok, nil, 5}} {
			time.Sleep(time.Hour)
			if len(sent[i]) > 0 {
				t.Fatalf("Send %d returned before its answer", i)
			}
			s.peer.says(c.answer)
			if err := <-sent[i]; !errors.Is(err, c.err) {
				t.Errorf("Send %d returned %v, expected %v", i, err, c.err)
			}
			if want.BytesSent += c.bytes; c.err == nil {
				want.MessagesSent++
			} else {
				want.Refused++
			}
			if diff := cmp.Diff(want, s.c.Stats(), cmpopts.IgnoreFields(conn.Stats{}, "LastActivity")); diff != "" {
				t.Errorf("Stats (-want +got):\n%s", diff)
			}
		}
	})
}

// What waits for the window is taken back. What is written can't be: it may
// still arrive, and is unsent if it does not.
func TestSendEndsWithItsContext(t *testing.T) {
	for _, c := range []struct {
		name    string
		nth     int // of three messages, of which the peer's window takes one
		inDoubt bool
	}{{"written", 0, true}, {"next", 1, false}, {"queued", 2, false}} {
		for _, answered := range []bool{true, false} {
			t.Run(c.name, func(t *testing.T) {
				leaktest.Check(t)
				synctest.Test(t, func(t *testing.T) {
					nc, peer := memPair(t, 1<<10)
					s := newPipelined(t, nc, peer, conn.Options{PeerTimeout: -1}, wire.Terms{MaxMessage: 100, WindowMessages: 1, WindowBytes: 100})
					msgs := []string{"one", "two", "three"}
					cause := errors.New("enough")
					var sent []chan error
					var cancels []context.CancelCauseFunc
					for _, m := range msgs {
						ctx, cancel := context.WithCancelCause(context.Background())
						defer cancel(nil)
						ended := make(chan error, 1)
						go func() { ended <- s.c.Send(ctx, []byte(m)) }() // ends with its context, or the connection
						synctest.Wait()
						sent, cancels = append(sent, ended), append(cancels, cancel)
					}
					s.peer.hears(dataOf("one")...)
					cancels[c.nth](cause)
					err := <-sent[c.nth]
					if !errors.Is(err, cause) || errors.Is(err, conn.ErrInDoubt) != c.inDoubt {
						t.Errorf("Send returned %v; in doubt: %t, expected %t", err, errors.Is(err, conn.ErrInDoubt), c.inDoubt)
					}
					var want []string
					if answered {
						s.peer.says(ok)
						for i, m := range msgs[1:] {
							if i+1 != c.nth {
								s.peer.hears(dataOf(m)...)
								s.peer.says(ok)
							}
						}
						for i := range msgs {
							if i != c.nth {
								if err := <-sent[i]; err != nil {
									t.Error(err)
								}
							}
						}
					} else if c.inDoubt {
						want = msgs[:1]
					}
					s.c.Close()
					if diff := cmp.Diff(want, s.unsent()); diff != "" {
						t.Errorf("Unsent (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}

// As in classic mode: what was in the Outbox before a Send goes first, and Sends
// go in their order.
func TestOutboxAndSendsKeepTheirOrderInPipelinedMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{OutboxBuffer: 10}, wire.Terms{MaxMessage: 100, WindowMessages: 1, WindowBytes: 100})
		const n = 5
		for i := range n {
			s.queue(fmt.Sprint("outbox ", i))
			synctest.Wait()
			s.sends(fmt.Sprint("send ", i))
		}
		at := make(map[string]int)
		for i := range 2 * n {
			head := make([]byte, 4)
			s.peer.reads(head)
			msg := make([]byte, head[3])
			s.peer.reads(msg)
			at[string(msg)] = i
			s.peer.says(ok)
		}
		if len(at) != 2*n {
			t.Fatalf("the peer received %v", at)
		}
		for i := range n {
			out, send := at[fmt.Sprint("outbox ", i)], at[fmt.Sprint("send ", i)]
			if send < out || i > 0 && (out < at[fmt.Sprint("outbox ", i-1)] || send < at[fmt.Sprint("send ", i-1)]) {
				t.Errorf("the peer received, in this order: %v", at)
			}
		}
	})
}

// Unsent is all that was not answered, in its order: written, waiting, or in the Outbox.
func TestUnsentIsAllThatWasNotAnswered(t *testing.T) {
	for answered := range 4 {
		synctest.Test(t, func(t *testing.T) {
			nc, peer := memPair(t, 1<<10)
			s := newPipelined(t, nc, peer, conn.Options{OutboxBuffer: 10}, wire.Terms{MaxMessage: 100, WindowMessages: 3, WindowBytes: 100})
			msgs := []string{"0", "1", "2", "3", "4", "5", "6", "7"}
			s.queue(msgs...)
			s.peer.hears(dataOf(msgs[:3]...)...)
			s.peer.says(times(answered, ok)...)
			s.peer.hears(dataOf(msgs[3 : 3+answered]...)...)
			s.peerEnds()
			s.received()
			<-s.ended
			if diff := cmp.Diff(msgs[answered:], s.unsent()); diff != "" {
				t.Errorf("Unsent (-want +got):\n%s", diff)
			}
			var end *conn.Error
			if err := s.c.Err(); !errors.As(err, &end) || end.Unsent != len(msgs)-answered || end.InDoubt {
				t.Errorf("Err is %v, expected %d unsent and none in doubt", err, len(msgs)-answered)
			}
		})
	}
}

// The slices stay as they are, whichever way they go out.
func TestWhatIsSentInPipelinedModeIsWhatArrives(t *testing.T) {
	for name, transport := range duplexTransports {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			x, y := transport(t)
			a, b := joinBounded(t, x, y, &conn.Options{Mode: conn.Pipelined, OutboxBuffer: 4}, &conn.Options{WindowBytes: 200_000})
			// Around each size at which messages are copied, carved or read another way.
			var sizes []int
			for _, edge := range []int{0, 16, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 100_000, 200_000, 1 << 20} {
				for d := -4; d <= 4; d++ {
					sizes = append(sizes, max(edge+d, 0))
				}
			}
			go func() { // ends with the last message
				for _, n := range sizes {
					put(a, content(n))
				}
				close(a.Outbox())
			}()
			i := 0
			for m := range b.Inbox() {
				if diff := cmp.Diff(summary(content(sizes[i])), summary(m)); diff != "" {
					t.Fatalf("message %d, of %d bytes (-want +got):\n%s", i, sizes[i], diff)
				}
				clear(append(m, "more"...)) // it is the receiver's
				i++
			}
			if i != len(sizes) {
				t.Errorf("received %d messages of %d; Err: %v", i, len(sizes), b.Err())
			}
		})
	}
}

// A message that was received is its receiver's, all its capacity included.
func TestMessagesOfOneReadDoNotOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<20)
		s := newPipelined(t, nc, peer, conn.Options{InboxBuffer: 100}, generous)
		var msgs []string
		for i := range 100 {
			msgs = append(msgs, strings.Repeat(string(rune('0'+i)), i*20))
		}
		s.peer.says(dataOf(msgs...)...)
		s.peer.hears(times(100, ok)...)
		var got [][]byte
		for range msgs {
			got = append(got, <-s.c.Inbox())
		}
		for i, m := range got {
			m = m[:cap(m)]
			for j := range m {
				m[j] = byte(i)
			}
		}
		for i, m := range got {
			if len(m) != len(msgs[i]) || strings.Trim(string(m), string([]byte{byte(i)})) != "" {
				t.Errorf("message %d was written to by another's receiver", i)
			}
		}
	})
}

// An answer may overtake the return of the write that it answers, so one that
// comes too early can't be told from it. It does nobody else harm.
func TestAnAnswerThatComesTooEarlyLeavesTheMessageWhole(t *testing.T) {
	for name, transforms := range map[string][]conn.Transform{"plain": nil, "encoded": {codec{}}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 16)
				s := newPipelined(t, nc, peer, conn.Options{Transforms: always(transforms...)}, generous)
				first, second := large[:30_000], strings.Repeat("x", 30_000)
				s.send(first)
				s.peer.hears(offerOf(len(first))...)
				s.peer.says(ok)
				if err := <-s.sent; err != nil {
					t.Errorf("Send returned %v", err)
				}
				s.send(second)
				synctest.Wait()
				s.peer.hears(append([]byte(first), dataOf(second)...)...)
				s.peer.says(ok)
				if err := <-s.sent; err != nil {
					t.Errorf("then Send returned %v", err)
				}
			})
		})
	}
}
