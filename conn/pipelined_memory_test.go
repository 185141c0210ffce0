package conn_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/wire"
)

func TestAClaimedSizeTakesNoMemoryInPipelinedMode(t *testing.T) {
	const conns, most = 200, 40 << 10 // each, the connection and its buffers included
	before := heapInUse()
	var stages []*stage
	for range conns {
		nc, peer := memPair(t, 64)
		s := newPipelined(t, nc, peer, conn.Options{MaxMessage: wire.MaxSize, WindowBytes: 1<<32 - 1}, generous)
		s.peer.says(offerOf(1 << 30)...)
		s.peer.says(make([]byte, 100)...)
		stages = append(stages, s)
	}
	if grown := (heapInUse() - before) / conns; grown > most {
		t.Errorf("each connection took %d bytes, expected at most %d", grown, most)
	}
	for _, s := range stages {
		s.c.Close()
		checkError(t, s.c.Err(), conn.ErrClosed)
	}
}

func TestEveryEndOfAPipelinedMessageGivesItsBudgetBack(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*stage)
	}{
		{"it is complete", func(s *stage) { s.peer.says(make([]byte, whole-free-1)...) }},
		{"Close", func(s *stage) { s.c.Close() }},
		{"the context", func(s *stage) { s.cancel() }},
		{"a stall", func(*stage) { time.Sleep(conn.DefaultStallTimeout) }},
		{"the end of the stream", func(s *stage) { s.peerEnds() }},
		{"a violation", func(s *stage) { s.peer.says(append(make([]byte, whole-free-1), ok)...) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts := conn.Options{InboxBuffer: 1, Grace: -1, Budget: conn.NewBudget(whole)}
				nc, peer := memPair(t, 256)
				s := newPipelined(t, nc, peer, opts, generous)
				go io.Copy(io.Discard, peer) // ends with the transport
				s.peer.says(dataOf(string(make([]byte, whole)))[:4+free+1]...)
				synctest.Wait()
				if used := opts.Budget.Used(); used == 0 {
					t.Fatal("nothing is used")
				}
				c.end(s)
				synctest.Wait()
				if used := opts.Budget.Used(); used != 0 {
					t.Errorf("%d bytes are used", used)
				}
			})
		})
	}
}

func TestAPipelinedMessageThatTakesMoreThanTheBudgetEndsItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 256)
		s := newPipelined(t, nc, peer, conn.Options{Budget: conn.NewBudget(free)}, generous)
		s.peer.Write(dataOf(large))
		<-s.ended
		checkError(t, s.c.Err(), conn.ErrBudget)
	})
}

// The reader never waits for a peer that does not read: all that the window allows
// is received, and the answers wait.
func TestAPeerThatDoesNotReadIsReadAllTheSame(t *testing.T) {
	for _, size := range []int{0, 10, 5000} {
		synctest.Test(t, func(t *testing.T) {
			const n = 100
			nc, peer := memPair(t, 16)
			s := newPipelined(t, nc, peer, conn.Options{InboxBuffer: n, PeerTimeout: -1}, generous)
			ours := large[:100_000]
			s.send(ours)
			s.peer.hears(offerOf(len(ours))...)
			for range n {
				s.peer.says(dataOf(string(make([]byte, size)))...)
			}
			for i := range n {
				if m := <-s.c.Inbox(); len(m) != size {
					t.Fatalf("message %d: %d bytes, expected %d", i, len(m), size)
				}
			}
			if s.isDone() {
				t.Fatal(s.c.Err())
			}
			s.peer.hears([]byte(ours)...)
			s.peer.hears(times(n, ok)...)
			s.peer.says(ok)
			if err := <-s.sent; err != nil {
				t.Error(err)
			}
		})
	}
}

// However small the messages are, what is kept of them is in proportion to the window.
func TestTheWindowBoundsWhatWaitsForTheApplication(t *testing.T) {
	for _, size := range []int{0, 1, 1 << 10, 4 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			nc, peer := memPair(t, 1<<20)
			s := newPipelined(t, nc, peer, conn.Options{}, generous)
			before := heapInUse()
			n := 4096
			if size > 0 {
				n = min(n, 1<<20/size)
			}
			msg := dataOf(string(make([]byte, size)))
			for range n {
				s.peer.says(msg...)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for s.c.Stats().MessagesReceived < uint64(n) && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			if n, most := heapInUse()-before, int64(4<<20); n > most {
				t.Errorf("%d bytes wait, expected at most %d", n, most)
			}
			s.c.Close()
		})
	}
}
