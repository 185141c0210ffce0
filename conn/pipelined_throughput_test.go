package conn_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/tinytest"
	"github.com/tinyproto-go/tinyproto/wire"
)

// farAway is the delay each way of a link with a round trip of 50 ms.
const farAway = 25 * time.Millisecond

// stretch is a link with a delay, and a window to fill it with.
type stretch struct {
	bandwidth int // bytes per second; 0 means any number
	window    int // bytes
	messages  uint32
	size      int
}

// The windows of bytes are filled with few messages and with many; where messages
// are small, the window of messages binds.
func stretches() []stretch {
	var all []stretch
	for _, bandwidth := range []int{0, 10e6, 100e6} {
		for _, window := range []int{64 << 10, 1 << 20, 8 << 20} {
			for _, size := range []int{1 << 10, 64 << 10} {
				all = append(all, stretch{bandwidth, window, 1 << 20, size})
			}
		}
		all = append(all,
			stretch{bandwidth, conn.DefaultWindowBytes, conn.DefaultWindowMessages, 16},
			stretch{bandwidth, 8 << 20, 100, 1 << 10},
			stretch{bandwidth, 8 << 20, 1 << 15, 16},
			stretch{bandwidth, 0, conn.DefaultWindowMessages, 64 << 10}, // one at a time
		)
	}
	return all
}

func (s stretch) String() string {
	link := "unlimited"
	if s.bandwidth > 0 {
		link = fmt.Sprintf("%dMB", s.bandwidth/1e6)
	}
	return fmt.Sprintf("link=%s/window=%d,%d/size=%d", link, s.window, s.messages, s.size)
}

// fill is how many messages may be unanswered.
func (s stretch) fill() int {
	return max(1, min(s.window/s.size, int(s.messages)))
}

// bound is the payload per second that nothing can exceed: the window per round
// trip, or what the link carries. The round trip of a message is twice the delay
// and the time it takes the link to carry it, as its answer comes behind it.
func (s stretch) bound() float64 {
	const item = wire.SizeLen // what goes with each payload
	roundTrip := 2 * farAway.Seconds()
	link := 0.0
	if s.bandwidth > 0 {
		roundTrip += float64(s.size+item) / float64(s.bandwidth)
		link = float64(s.bandwidth) * float64(s.size) / float64(s.size+item)
	}
	window := float64(s.fill()*s.size) / roundTrip
	if link > 0 && link < window {
		return link
	}
	return window
}

// flow has messages flow over the link, as many as there can be, to an application
// that takes each at once. It must be ended.
func (s stretch) flow(t testing.TB) (messages <-chan []byte, end func()) {
	net := tinytest.NewNetwork(tinytest.Config{Conditions: tinytest.Conditions{
		Latency: farAway, Bandwidth: s.bandwidth, Buffer: 64 << 20,
	}})
	x, y := net.Pair("near", "far")
	window := int64(s.window)
	if window == 0 {
		window = -1
	}
	ctx, cancel := context.WithCancel(t.Context())
	opts := conn.Options{WindowBytes: window, WindowMessages: s.messages, InboxBuffer: 64, OutboxBuffer: 64}
	asking := opts
	asking.Mode = conn.Pipelined
	from, to := joinContext(t, ctx, ctx, x, y, &asking, &opts)
	produced := make(chan struct{})
	go func() { // ends with the connection
		defer close(produced)
		msg := benchMessage(s.size)
		for put(from, msg) == nil {
		}
	}()
	return to.Inbox(), func() {
		from.Close()
		to.Close()
		cancel()
		<-produced
	}
}

// Over a link with a round trip of 50 ms, pipelined mode moves a window per round
// trip, or as much as the link carries, whichever is less. By the clock of the
// bubble it does so exactly: what it may be off is for the pieces in which a
// limited link carries what is written.
func TestOverALongWayAWindowPerRoundTripArrivesOrAllThatTheLinkCarries(t *testing.T) {
	const tolerance = 0.05
	for _, s := range stretches() {
		t.Run(s.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				messages, end := s.flow(t)
				defer end()
				for range s.fill() { // until it is steady
					<-messages
				}
				// From one message to the one that stands where it stood in its window.
				n := 2 * s.fill()
				<-messages
				began := time.Now()
				for range n {
					<-messages
				}
				rate := float64(n*s.size) / time.Since(began).Seconds()
				ratio := rate / s.bound()
				t.Logf("%.3f MB/s, %.4f of the bound", rate/1e6, ratio)
				if ratio < 1-tolerance || ratio > 1+1e-3 {
					t.Errorf("%.0f bytes/s are %.3f of what can be", rate, ratio)
				}
			})
		})
	}
}

// BenchmarkLongWay is the same by the real clock: each operation is a message, and
// beside the rate it reports how much of the bound that is.
func BenchmarkLongWay(b *testing.B) {
	for _, s := range stretches() {
		b.Run(s.String(), func(b *testing.B) {
			messages, end := s.flow(b)
			defer end()
			for range 2 * s.fill() {
				<-messages
			}
			n := 0
			for b.Loop() {
				<-messages
				n++
			}
			rate := float64(n*s.size) / b.Elapsed().Seconds()
			b.SetBytes(int64(s.size))
			b.ReportMetric(rate/s.bound(), "of-the-bound")
		})
	}
}
