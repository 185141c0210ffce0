package conn_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// The Done of an empty message is not the reader's, which goes on meanwhile:
// but not as far as to accept what follows.
func TestAnOfferWaitsForAcceptBehindTheDoneOfAnEmptyMessage(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		into := make(catcher, 1)
		inDone, proceed := make(chan bool), make(chan bool)
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{InboxBuffer: 1, Accept: func(size uint32) conn.Placement {
			if size > 0 {
				return into.accept(size)
			}
			return conn.Placement{Writer: calls(func() {}), Done: func(int64, error) {
				close(inDone)
				<-proceed
			}}
		}})
		s.peer.saysMessage("")
		<-inDone
		s.peer.says(offerOf(4)...)
		synctest.Wait()
		s.send("ours") // whoever writes now, may not accept yet
		synctest.Wait()
		close(proceed)
		var heard [5]byte
		for i := range heard {
			s.peer.Read(heard[i : i+1])
		}
		want := append(offerOf(4), ok)
		slices.Sort(want) // the two may come in any order
		slices.Sort(heard[:])
		if diff := cmp.Diff(want, heard[:]); diff != "" {
			t.Fatalf("the peer heard (-want +got):\n%s", diff)
		}
		s.peer.says([]byte{ok, 'd', 'a', 't', 'a'}...)
		s.peer.hears([]byte("ours")...)
		(<-into).checkWhole(t, []byte("data"))
		if err := <-s.sent; err != nil {
			t.Error(err)
		}
		s.c.Close()
		if m := s.received(); m != nil {
			t.Errorf("received %q, expected nothing", m)
		}
	})
}

// steps records what happens to a sequence of messages, which each end of the
// test goes through at once.
type steps struct {
	t    testing.TB
	log  []string
	kind func(size uint32) bool // to a Writer?
}

func (r *steps) accept(size uint32) conn.Placement {
	r.log = append(r.log, fmt.Sprintf("Accept %d", size))
	if !r.kind(size) {
		return conn.Placement{}
	}
	var moved int
	return conn.Placement{
		Writer: count(func(n int) { moved += n }),
		Done: func(n int64, err error) {
			if n != int64(size) || moved != int(size) || err != nil {
				r.t.Errorf("Done of %d bytes: %d moved, %d written, %v", size, n, moved, err)
			}
			r.log = append(r.log, fmt.Sprintf("Done %d", size))
		},
	}
}

// count is a Writer that drops what it is given.
type count func(int)

func (c count) Write(p []byte) (int, error) {
	c(len(p))
	return len(p), nil
}

// Sizes 0, 2, 4 and 300000 go to a Writer, odd ones into the Inbox. They are
// sent by Send, by SendFrom or through the Outbox: neither makes a difference.
func TestDoneComesBeforeAnythingThatFollowsIsAccepted(t *testing.T) {
	eachMode(t, testDoneComesBeforeAnythingThatFollowsIsAccepted)
}

func testDoneComesBeforeAnythingThatFollowsIsAccepted(t *testing.T) {
	sequence := []int{0, 0, 4, 0, 1, 0, 300_000, 0, 0, 3, 2, 300_001, 0, 1, 1, 0, 300_000, 300_000, 0}
	for name, transport := range streamTransports {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			const rounds = 2
			x, y := transport(t)
			var records [2]*steps
			var opts [2]conn.Options
			for i := range records {
				records[i] = &steps{t: t, kind: func(size uint32) bool { return size%2 == 0 }}
				// With room for all, as what is put off is offered again.
				opts[i] = conn.Options{InboxBuffer: rounds * len(sequence), Accept: records[i].accept}
			}
			a, b := joinBounded(t, x, y, &opts[0], &opts[1])
			var wantLog []string
			wantInbox := 0
			for range rounds {
				for _, size := range sequence {
					wantLog = append(wantLog, fmt.Sprintf("Accept %d", size))
					if size%2 == 0 {
						wantLog = append(wantLog, fmt.Sprintf("Done %d", size))
					} else {
						wantInbox++
					}
				}
			}
			sent := make(chan error, 2)
			for _, c := range []*conn.Conn{a, b} {
				go func() { // ends with the sequence
					var failed error
					for round := range rounds {
						for i, size := range sequence {
							failed = errors.Join(failed, sendAnyhow(c, round+i, content(size)))
						}
					}
					sent <- failed
				}()
			}
			received := make(chan int, 2)
			for _, c := range []*conn.Conn{a, b} {
				go func() { // ends with the connection
					n := 0
					for range c.Inbox() {
						n++
					}
					received <- n
				}()
			}
			for range 2 {
				if err := <-sent; err != nil {
					t.Error(err)
				}
			}
			shutDown(t, a, b)
			for i := range 2 {
				if n := <-received; n != wantInbox {
					t.Errorf("%d messages were in an Inbox, expected %d", n, wantInbox)
				}
				if diff := cmp.Diff(wantLog, records[i].log); diff != "" {
					t.Errorf("what happened at end %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

// sendAnyhow sends a message in one of the ways to do so.
func sendAnyhow(c *conn.Conn, way int, msg []byte) error {
	switch way % 3 {
	case 0:
		return c.Send(context.Background(), msg)
	case 1:
		return c.SendFrom(context.Background(), strings.NewReader(string(msg)), int64(len(msg)))
	}
	return put(c, msg)
}

// Both ends write a large message that the other's application takes its time
// to read, and the empty one behind it is no reason for either to wait.
func TestEmptyMessagesPassWhileBothEndsWriteLargeOnes(t *testing.T) {
	eachMode(t, testEmptyMessagesPassWhileBothEndsWriteLargeOnes)
}

func testEmptyMessagesPassWhileBothEndsWriteLargeOnes(t *testing.T) {
	for name, transport := range streamTransports {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			x, y := transport(t)
			var opts [2]conn.Options
			var into [2]catcher
			proceed := make(chan bool) // a token for each Write
			for i := range opts {
				into[i] = make(catcher, 4)
				opts[i].Accept = func(size uint32) conn.Placement {
					p := into[i].accept(size)
					if size > 0 {
						p.Writer = calls(func() { <-proceed })
					}
					return p
				}
			}
			a, b := joinBounded(t, x, y, &opts[0], &opts[1])
			sent := make(chan error, 4)
			for _, c := range []*conn.Conn{a, b} {
				go func() { sent <- c.Send(context.Background(), nil) }()            // ends with the message
				go func() { sent <- c.Send(context.Background(), content(4<<20)) }() // ends with the message
			}
			for range 2 { // each waits in the first Write
				proceed <- true
			}
			close(proceed)
			for range 4 {
				if err := <-sent; err != nil {
					t.Error(err)
				}
			}
			for i := range into {
				for range 2 {
					if c := <-into[i]; c.err != nil || c.moved != int64(c.size) {
						t.Errorf("of %d bytes %d came, %v", c.size, c.moved, c.err)
					}
				}
			}
		})
	}
}
