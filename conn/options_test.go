package conn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
)

func TestInboxBufferIsHowManyMessagesWaitBeforeThePeerHasTo(t *testing.T) {
	for _, buffer := range []int{0, 1, 8} {
		t.Run(fmt.Sprint(buffer), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newStage(t, nc, peer, conn.Options{InboxBuffer: buffer})
				var want []string
				for i := range buffer + 1 { // one more is held
					want = append(want, fmt.Sprint(i))
					s.peer.saysMessage(fmt.Sprint(i))
				}
				s.peer.says(offerOf(4)...)
				s.peer.SetReadDeadline(time.Now().Add(24 * time.Hour))
				if n, err := s.peer.Read(make([]byte, 1)); n != 0 || s.isDone() {
					t.Errorf("with a full Inbox the peer heard %d bytes, %v; Err: %v", n, err, s.c.Err())
				}
				s.peer.SetReadDeadline(time.Time{})
				want = append(want, "last")
				got := []string{string(<-s.c.Inbox())}
				s.peer.hears(ok) // room for one is enough
				s.peer.says([]byte("last")...)
				s.peerEnds()
				if diff := cmp.Diff(want, append(got, s.received()...)); diff != "" {
					t.Errorf("received (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestOutboxBufferIsTheCapacityOfTheOutbox(t *testing.T) {
	for _, buffer := range []int{0, 1, 8} {
		nc, peer := memPair(t, 1)
		c, _ := greetPlayed(t, t.Context(), nc, peer, &conn.Options{OutboxBuffer: buffer})
		if n := cap(c.Outbox()); n != buffer {
			t.Errorf("with OutboxBuffer %d the Outbox has room for %d", buffer, n)
		}
	}
}

func TestGraceBoundsTheFlushAfterTheContextsEnd(t *testing.T) {
	for _, c := range []struct {
		grace, after time.Duration
		err          []string
	}{
		{0, 5 * time.Second, []string{"canceled", "unsent", "grace"}},
		{time.Hour, time.Hour, []string{"canceled", "unsent", "grace"}},
		{-1, 0, []string{"canceled", "unsent"}},
	} {
		t.Run(c.grace.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newStage(t, nc, peer, conn.Options{Grace: c.grace, OutboxBuffer: 1})
				s.queue("unsent")
				s.peer.hears(offerOf(6)...)
				start := time.Now()
				s.cancel()
				if took := (<-s.ended).Sub(start); took != c.after {
					t.Errorf("ended after %v, expected %v", took, c.after)
				}
				if diff := cmp.Diff(c.err, traits(s.c.Err())); diff != "" {
					t.Errorf("Err is %v (-want +got):\n%s", s.c.Err(), diff)
				}
				if diff := cmp.Diff([]string{"unsent"}, s.unsent()); diff != "" {
					t.Errorf("Unsent (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// probed is a transport that keeps its connection alive.
type probed struct {
	*memConn
	config *net.KeepAliveConfig
}

func (p probed) SetKeepAliveConfig(c net.KeepAliveConfig) error {
	*p.config = c
	return nil
}

func TestKeepAliveIsThePeriodOfProbes(t *testing.T) {
	for period, want := range map[time.Duration]net.KeepAliveConfig{
		0:           {Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second},
		time.Minute: {Enable: true, Idle: time.Minute, Interval: time.Minute},
	} {
		nc, peer := memPair(t, 1)
		var got net.KeepAliveConfig
		greetPlayed(t, t.Context(), probed{nc, &got}, peer, &conn.Options{KeepAlive: period})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("with KeepAlive %v (-want +got):\n%s", period, diff)
		}
	}
	nc, peer := memPair(t, 1)
	got := net.KeepAliveConfig{Enable: true}
	greetPlayed(t, t.Context(), probed{nc, &got}, peer, &conn.Options{KeepAlive: -1})
	if got.Enable {
		t.Error("a negative KeepAlive does not switch probes off")
	}
}

func TestNewCopiesItsOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		opts := conn.Options{MaxMessage: 10}
		_, p := greetPlayed(t, t.Context(), nc, peer, &opts)
		opts.MaxMessage = 20
		p.says(offerOf(11)...)
		p.hears(tooLarge)
	})
}

// callingBack is a slog.Handler that uses the connection whose end it is told.
type callingBack struct {
	endRecorder
	c **conn.Conn
	t testing.TB
}

func (h callingBack) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h callingBack) Handle(ctx context.Context, r slog.Record) error {
	c := *h.c
	c.Close()
	if err := c.Shutdown(ctx); err != nil {
		h.t.Errorf("Shutdown in the Logger returned %v", err)
	}
	if _, err := c.Receive(ctx); err != io.EOF {
		h.t.Errorf("Receive in the Logger returned %v", err)
	}
	if err := c.Send(ctx, nil); !errors.Is(err, conn.ErrClosed) {
		h.t.Errorf("Send in the Logger returned %v", err)
	}
	c.Unsent()
	c.Stats()
	if r.Level != slog.LevelDebug {
		h.t.Errorf("the Logger received a record of level %v", r.Level)
	}
	return h.endRecorder.Handle(ctx, r)
}

func TestLoggerLearnsOfTheEndOnceAndMayCallBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		var c *conn.Conn
		h := callingBack{make(endRecorder, 2), &c, t}
		c, p := greetPlayed(t, t.Context(), nc, peer, &conn.Options{Logger: slog.New(h)})
		p.Conn.(*memConn).CloseWrite()
		<-h.endRecorder
		c.Close()
		synctest.Wait()
		if len(h.endRecorder) > 0 {
			t.Error("the Logger received a second record")
		}
	})
}
