package conn_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
)

const (
	free  = 64 << 10 // of a message, what no Budget counts
	whole = 1 << 20
)

// begin has the peer send so many bytes of a message of 1 MiB.
func (p played) begin(bytes int) {
	p.t.Helper()
	p.says(offerOf(whole)...)
	p.hears(ok)
	p.says(make([]byte, bytes)...)
}

// greetMem is greetPlayed over a transport in memory.
func greetMem(t *testing.T, opts *conn.Options) (*conn.Conn, played) {
	t.Helper()
	near, far := memPair(t, 256)
	return greetPlayed(t, t.Context(), near, far, opts)
}

func TestTheSlowestMessagesMakeRoomInABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 2 << 20
		opts := &conn.Options{InboxBuffer: 20, Budget: conn.NewBudget(most), StallTimeout: -1}
		var slow []*conn.Conn
		for range 20 {
			c, peer := greetMem(t, opts)
			peer.begin(free + 1)
			slow = append(slow, c)
			time.Sleep(time.Second) // the first ones are the slowest
			synctest.Wait()
			if used := opts.Budget.Used(); used > most {
				t.Errorf("%d bytes of %d are used", used, most)
			}
		}
		if grown := int64(256<<10 - free); opts.Budget.Used() != most/grown*grown {
			t.Errorf("%d bytes are used, expected all of %d that messages can have", opts.Budget.Used(), most)
		}
		honest, peer := greetMem(t, opts)
		const messages = 10
		for range messages {
			peer.begin(whole)
		}
		for range messages {
			if msg, err := honest.Receive(t.Context()); err != nil || len(msg) != whole {
				t.Fatalf("%d bytes, %v", len(msg), err)
			}
		}
		synctest.Wait()
		var ended []int
		for i, c := range slow {
			select {
			case <-c.Done():
				checkError(t, c.Err(), conn.ErrBudget)
				ended = append(ended, i)
			default:
			}
		}
		// Ten fit in at first, and of those the honest message takes the room of five.
		want := make([]int, 15)
		for i := range want {
			want[i] = i
		}
		if diff := cmp.Diff(want, ended); diff != "" {
			t.Errorf("ended (-want +got):\n%s", diff)
		}
		if used, want := opts.Budget.Used(), int64(5*(256<<10-free)); used != want {
			t.Errorf("%d bytes are used at the end, expected %d", used, want)
		}
	})
}

func TestAMessageThatTakesMoreThanTheBudgetEndsItsOwnConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := &conn.Options{Budget: conn.NewBudget(free)}
		c, peer := greetMem(t, opts)
		peer.saysMessage(string(make([]byte, 2*free))) // 64 KiB are free, and as many there are
		if msg, err := c.Receive(t.Context()); err != nil || len(msg) != 2*free {
			t.Fatalf("%d bytes, %v", len(msg), err)
		}
		peer.begin(free) // and with the next byte it would need more
		_, err := c.Receive(t.Context())
		checkError(t, err, conn.ErrBudget)
		if used := opts.Budget.Used(); used != 0 {
			t.Errorf("%d bytes are used", used)
		}
	})
}

func TestWhateverFitsIntoTheBudgetMayBeSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := &conn.Options{Budget: conn.NewBudget(2 * (whole - free))}
		a, toA := greetMem(t, opts)
		b, toB := greetMem(t, opts)
		toA.begin(0)
		toB.begin(0)
		for range 16 {
			time.Sleep(29 * time.Second)
			toA.says(make([]byte, whole/16)...)
			toB.says(make([]byte, whole/16)...)
		}
		for _, c := range []*conn.Conn{a, b} {
			if msg, err := c.Receive(t.Context()); err != nil || len(msg) != whole {
				t.Errorf("%d bytes, %v", len(msg), err)
			}
		}
	})
}

func TestEveryEndOfAMessageGivesItsBudgetBack(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(c *conn.Conn, peer played, cancel context.CancelFunc)
	}{
		{"it is complete", func(c *conn.Conn, peer played, _ context.CancelFunc) { peer.says(make([]byte, whole-free-1)...) }},
		{"Close", func(c *conn.Conn, _ played, _ context.CancelFunc) { c.Close() }},
		{"the context", func(_ *conn.Conn, _ played, cancel context.CancelFunc) { cancel() }},
		{"a stall", func(*conn.Conn, played, context.CancelFunc) { time.Sleep(conn.DefaultStallTimeout) }},
		{"the end of the stream", func(_ *conn.Conn, peer played, _ context.CancelFunc) { peer.Close() }},
		{"a violation", func(c *conn.Conn, peer played, _ context.CancelFunc) {
			peer.says(append(make([]byte, whole-free-1), ok)...) // an answer that nobody asked for
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts := &conn.Options{InboxBuffer: 1, Grace: -1, Budget: conn.NewBudget(whole)}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				near, far := memPair(t, 256)
				c, peer := greetPlayed(t, ctx, near, far, opts)
				go io.Copy(io.Discard, peer) // ends with the transport
				peer.says(offerOf(whole)...)
				peer.says(make([]byte, free+1)...)
				synctest.Wait()
				if used, want := opts.Budget.Used(), int64(256<<10-free); used != want {
					t.Fatalf("%d bytes are used, expected %d", used, want)
				}
				tt.end(c, peer, cancel)
				synctest.Wait()
				if used := opts.Budget.Used(); used != 0 {
					t.Errorf("%d bytes are used", used)
				}
			})
		})
	}
}

func TestABudgetOfNothingIsAMistake(t *testing.T) {
	defer func() {
		if got, want := fmt.Sprint(recover()), "tinyproto: a Budget of 0 bytes"; got != want {
			t.Errorf("panic %q, expected %q", got, want)
		}
	}()
	conn.NewBudget(0)
}
