package conn_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/transcript"
	"github.com/tinyproto-go/tinyproto/wire"
)

func TestClaimedSizeTakesNoMemory(t *testing.T) {
	const largest = min(wire.MaxSize, math.MaxInt) // that is accepted
	// Of 1000 connections even the smallest would show, if it was measured at all.
	for _, tt := range []struct{ conns, least, most int64 }{{1, -1 << 20, 1 << 20}, {1000, 1 << 20, 1000 * 24 << 10}} {
		t.Run(fmt.Sprint(tt.conns), func(t *testing.T) {
			before := heapInUse()
			var conns []*conn.Conn
			for range tt.conns {
				near, far := net.Pipe()
				c, peer := greetPlayed(t, t.Context(), near, far, &conn.Options{MaxMessage: wire.MaxSize})
				peer.says(offerOf(largest)...)
				peer.hears(ok)
				conns = append(conns, c)
			}
			grown := heapInUse() - before
			if grown < tt.least || grown >= tt.most {
				t.Errorf("%d connections took %d bytes, expected %d to %d", tt.conns, grown, tt.least, tt.most)
			}
			t.Logf("%d connections take %d bytes each", tt.conns, grown/tt.conns)
			for _, c := range conns {
				c.Close()
				checkError(t, c.Err(), conn.ErrClosed)
			}
		})
	}
}

// flood is a peer that sends messages as fast as the transport takes them,
// without waiting for answers, as a legacy client can.
type flood struct {
	taken    atomic.Int64 // bytes that the Conn has read
	answered atomic.Int64
}

func (f *flood) message(size, i int) []byte { return transcript.Gen(size + i)[i:] }

// start sends so many messages, and ends the stream when all are answered.
func (f *flood) start(t testing.TB, peer net.Conn, messages, size int) {
	var open sync.WaitGroup
	open.Go(func() { // ends with the last answer, or with the Conn
		answer := make([]byte, 1)
		for range messages {
			if _, err := peer.Read(answer); err != nil {
				return
			}
			if answer[0] != ok {
				t.Errorf("answer %x", answer)
			}
			f.answered.Add(1)
		}
	})
	open.Go(func() { // ends with the last message, or with the Conn
		for i := range messages {
			for _, b := range append(offerOf(size), f.message(size, i)...) {
				if _, err := peer.Write([]byte{b}); err != nil { // without a buffer: until it is read
					return
				}
				f.taken.Add(1)
			}
		}
	})
	go func() { // ends with both
		open.Wait()
		peer.(halfCloser).CloseWrite()
	}()
}

func TestFloodIsHeldBackByAFullInbox(t *testing.T) {
	const messages, inbox, little = 20, 3, 16
	for _, size := range []int{0, 1, 2, little, little + 1, 5000} {
		t.Run(fmt.Sprintf("messages of %d bytes", size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := memPair(t, 0)
				c, _ := greetPlayed(t, t.Context(), near, far, &conn.Options{InboxBuffer: inbox})
				var f flood
				f.start(t, far, messages, size)
				time.Sleep(time.Hour)
				if got := f.answered.Load(); got != inbox+1 {
					t.Errorf("%d messages were accepted, expected %d in the Inbox and one held", got, inbox)
				}
				// Of a message that was not accepted, a size and a little more may be read.
				room := int64((inbox+1)*(wire.SizeLen+size) + wire.SizeLen + little)
				if got := f.taken.Load(); got > room {
					t.Errorf("%d bytes were read, expected at most %d", got, room)
				}
				for i := range messages {
					got, err := c.Receive(t.Context())
					if diff := cmp.Diff(summary(f.message(size, i)), summary(got)); err != nil || diff != "" {
						t.Fatalf("message %d (-want +got), error %v:\n%s", i, err, diff)
					}
				}
				_, err := c.Receive(t.Context())
				checkError(t, err, io.EOF)
				checkError(t, c.Err())
				if got := f.answered.Load(); got != messages {
					t.Errorf("%d messages were answered, expected %d", got, messages)
				}
			})
		})
	}
}

func TestFloodedConnectionCanBeEnded(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(*conn.Conn, context.CancelFunc)
		want error
	}{
		"by Close":       {func(c *conn.Conn, _ context.CancelFunc) { c.Close() }, conn.ErrClosed},
		"by its context": {func(_ *conn.Conn, cancel context.CancelFunc) { cancel() }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				near, far := memPair(t, 0)
				c, _ := greetPlayed(t, ctx, near, far, nil)
				var f flood
				f.start(t, far, 10, 100)
				time.Sleep(time.Hour)
				start := time.Now()
				tt.end(c, cancel)
				for range c.Inbox() {
				}
				checkError(t, c.Err(), tt.want)
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("the end took %v", took)
				}
			})
		})
	}
}

func TestFloodOfEmptyMessagesIsReceivedWhole(t *testing.T) {
	for name, transport := range transports {
		t.Run(name, func(t *testing.T) {
			const messages = 5000
			near, far := transport(t)
			c, peer := greetPlayed(t, t.Context(), near, far, nil)
			go peer.Write(make([]byte, messages*wire.SizeLen)) // ends when all of it is read
			answers := make(chan []byte, 1)
			go func() { // ends with the last answer, or with c
				p := make([]byte, messages)
				n, _ := io.ReadFull(peer, p)
				answers <- p[:n]
			}()
			for i := range messages {
				if msg, err := c.Receive(t.Context()); err != nil || msg == nil || len(msg) > 0 {
					t.Fatalf("message %d is %v, error %v, expected an empty one", i, msg, err)
				}
			}
			if diff := cmp.Diff(summary(bytes.Repeat([]byte{ok}, messages)), summary(<-answers)); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOfferThatCameWithTheHelloIsAnsweredBeforeOurOwn(t *testing.T) {
	for range 50 {
		near, far := tcpPair(t)
		peer := played{far, t}
		peer.says(ok, 0, 0, 0, 3) // all of it is there before New looks
		c, err := conn.New(t.Context(), near, nil)
		if err != nil {
			t.Fatal(err)
		}
		go c.Send(context.Background(), []byte("mine!")) // ends with c
		peer.hears(ok, ok, 0, 0, 0, 5)
		c.Close()
	}
}

func TestViolationLeavesTheLastMessageInDoubt(t *testing.T) {
	near, far := tcpPair(t)
	s := newStage(t, near, far, conn.Options{})
	s.send("abc")
	s.peer.hears(offerOf(3)...)
	s.peer.says(ok)
	checkError(t, <-s.sent) // it is written; the peer never reads it
	s.peer.says(0xf1)
	far.(*net.TCPConn).CloseWrite()
	if got := s.received(); len(got) > 0 {
		t.Errorf("received %q", got)
	}
	checkError(t, s.c.Err(), conn.ErrProtocol, conn.ErrInDoubt)
}

func TestAnswerIsWrittenAlthoughThePeerHasEndedItsStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := memPair(t, 0) // a write ends when it has been read
		s := newStage(t, near, far, conn.Options{InboxBuffer: 1})
		s.peer.says(offerOf(0)...)
		far.CloseWrite()
		synctest.Wait()
		s.peer.hears(ok)
		if diff := cmp.Diff([]string{""}, s.received()); diff != "" {
			t.Errorf("received (-want +got):\n%s", diff)
		}
		checkError(t, s.c.Err())
	})
}

// lateConn is a transport whose Write returns only when late is closed, long
// after the peer has read what was written.
type lateConn struct {
	net.Conn
	late chan struct{}
}

func (c lateConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if len(p) == wire.SizeLen {
		<-c.late
	}
	return n, err
}

func TestWhatThePeerAcceptedBeforeItEndedIsWrittenAndInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := memPair(t, 64)
		late := make(chan struct{})
		s := newStage(t, lateConn{near, late}, far, conn.Options{})
		s.send("abc")
		s.peer.hears(offerOf(3)...)
		s.peer.says(ok)
		far.CloseWrite()
		synctest.Wait() // the end is read while the offer is still being written
		close(late)
		s.peer.hears([]byte("abc")...)
		checkError(t, <-s.sent)
		if got := s.received(); len(got) > 0 {
			t.Errorf("received %q", got)
		}
		checkError(t, s.c.Err(), io.ErrUnexpectedEOF, conn.ErrInDoubt)
	})
}
