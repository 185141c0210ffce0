package hub_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/hub"
	"github.com/tinyproto-go/tinyproto/wire"
)

// BenchmarkStuckMember compares how long a broadcast takes to arrive at 499
// members with and without one more that never reads, in turn, so that both
// meet the same machine. An operation is a broadcast to each of the two hubs.
func BenchmarkStuckMember(b *testing.B) {
	const fast = 499
	type side struct {
		name    string
		h       *hub.Hub
		arrived chan struct{}
		times   []time.Duration // until the last has it
	}
	sides := []*side{{name: "without"}, {name: "with"}}
	var began atomic.Int64
	origin := time.Now()
	samples := map[string]*[fast][]time.Duration{"without": {}, "with": {}}
	for _, s := range sides {
		s.h = start(b, &hub.Options{Full: hub.DropOldest})
		go drain(s.h) // ends with the hub
		s.arrived = make(chan struct{}, fast)
		for i := range fast {
			own, raw := tcpPair(b)
			joinRawOver(b, s.h, own, raw)
			times := &samples[s.name][i]
			go readTimed(raw, func() { // ends with the connection
				*times = append(*times, time.Since(origin)-time.Duration(began.Load()))
				s.arrived <- struct{}{}
			})
		}
	}
	stuck, _ := join(b, sides[1].h)
	for stuck.Stats().QueuedMessages < hub.DefaultQueueMessages { // it is behind by as much as it can be
		if err := sides[1].h.Send(b.Context(), stuck.ID(), make([]byte, benchSize)); err != nil {
			b.Fatal(err)
		}
	}
	body := make([]byte, benchSize)
	first := 0
	for b.Loop() {
		for i := range sides {
			s := sides[(first+i)%2]
			began.Store(int64(time.Since(origin)))
			s.h.Broadcast(b.Context(), body)
			for range fast {
				<-s.arrived
			}
			s.times = append(s.times, time.Since(origin)-time.Duration(began.Load()))
		}
		first++
	}
	if s := stuck.Stats(); s.Dropped == 0 || s.Delivered > 1 {
		b.Fatalf("the stuck member: %+v", s)
	}
	for _, s := range sides {
		var each []time.Duration
		for _, times := range samples[s.name] {
			each = append(each, times...)
		}
		for _, kind := range []struct {
			name  string
			times []time.Duration
		}{{"", each}, {"-last", s.times}} {
			slices.Sort(kind.times)
			for _, p := range []int{50, 99} {
				at := kind.times[(len(kind.times)-1)*p/100]
				b.ReportMetric(float64(at.Microseconds()), fmt.Sprintf("p%d%s-%s-µs", p, kind.name, s.name))
			}
		}
	}
}

// readTimed is a peer that calls arrived for each message.
func readTimed(nc net.Conn, arrived func()) {
	in := bufio.NewReaderSize(nc, 4*benchSize)
	message := make([]byte, benchSize)
	for {
		if _, err := io.ReadFull(in, message[:wire.SizeLen]); err != nil {
			return
		}
		if _, err := nc.Write([]byte{byte(wire.OK)}); err != nil {
			return
		}
		if _, err := io.ReadFull(in, message); err != nil {
			return
		}
		arrived()
	}
}

// BenchmarkMemory reports what an idle member costs, on the hub's side alone:
// in the hub, and with its connection and its socket.
func BenchmarkMemory(b *testing.B) {
	const members = 1000
	for b.Loop() {
		h := hub.New(nil)
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.Run(ctx) }() // ends with ctx
		go drain(h)                         // ends with the hub
		var sockets, theirs []net.Conn
		for range members {
			own, raw := tcpPair(b)
			write(b, raw, byte(wire.OK))
			sockets, theirs = append(sockets, own), append(theirs, raw)
		}
		bare := memory()
		var conns []*conn.Conn
		for _, own := range sockets {
			c, err := conn.New(b.Context(), own, nil)
			if err != nil {
				b.Fatal(err)
			}
			conns = append(conns, c)
		}
		connected := memory()
		for _, c := range conns {
			if _, err := h.Join(c); err != nil {
				b.Fatal(err)
			}
		}
		joined := memory()
		runtime.KeepAlive(conns)
		b.ReportMetric(float64(joined-connected)/members, "hub-B/member")
		b.ReportMetric(float64(joined-bare)/members, "hub+conn-B/member")
		cancel()
		for _, nc := range theirs {
			nc.Close()
		}
		<-ended
	}
}

// memory returns the bytes in use, of the heap and of stacks.
func memory() int64 {
	var m runtime.MemStats
	for range 3 { // what was just freed, and the goroutines that just began
		runtime.GC()
		runtime.Gosched()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
