package hub_test

import (
	"bufio"
	"context"
	"encoding/binary"
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

const benchSize = 64 // bytes of a message

// BenchmarkBroadcast sends one broadcast after the other: deliveries/s is what
// to compare. The floor is a single goroutine that writes the same bytes to the
// same kind of sockets by hand, and reads the answers, to the same peers. An
// operation is one broadcast.
func BenchmarkBroadcast(b *testing.B) {
	for _, members := range []int{500, 5000} {
		b.Run(fmt.Sprintf("floor/%d", members), func(b *testing.B) { benchFloor(b, members) })
		b.Run(fmt.Sprintf("hub/%d", members), func(b *testing.B) { benchHub(b, members) })
	}
}

func benchFloor(b *testing.B, members int) {
	d := deliveries{members: members, reached: make(chan struct{}, 1)}
	var own []net.Conn
	for range members {
		nc, raw := tcpPair(b)
		b.Cleanup(func() { nc.Close(); raw.Close() })
		go d.read(raw) // ends with the connection
		own = append(own, nc)
	}
	out := append(make([]byte, benchSize), 0, 0, 0, benchSize) // a message, and the next offer
	answer := []byte{0}
	for _, nc := range own {
		write(b, nc, out[benchSize:]...)
	}
	d.begin()
	for b.Loop() {
		for _, nc := range own {
			if _, err := nc.Read(answer); err != nil || answer[0] != byte(wire.OK) {
				b.Fatal(answer, err)
			}
			if _, err := nc.Write(out); err != nil {
				b.Fatal(err)
			}
		}
		d.sent++
	}
	d.end(b)
}

func benchHub(b *testing.B, members int) {
	h := start(b, &hub.Options{QueueMessages: 1 << 20, QueueBytes: 1 << 30})
	go drain(h) // ends with the hub
	d := deliveries{members: members, reached: make(chan struct{}, 1)}
	for range members {
		own, raw := tcpPair(b)
		joinRawOver(b, h, own, raw)
		go d.read(raw) // ends with the connection
	}
	body := make([]byte, benchSize)
	for range 3 * benchBurst * benchAhead { // what each member needs once is no cost of a delivery
		if n, err := h.Broadcast(b.Context(), body); n != members || err != nil {
			b.Fatal(n, err)
		}
	}
	d.await(3 * benchBurst * benchAhead * members)
	d.begin()
	for b.Loop() {
		if n, err := h.Broadcast(b.Context(), body); n != members || err != nil {
			b.Fatal(n, err)
		}
		d.sent++
		if d.sent%benchBurst == 0 {
			<-*d.bursts.Load() // the members are at most benchAhead bursts behind
		}
	}
	d.end(b)
	if s := h.Stats(); s.Dropped+s.Evicted > 0 {
		b.Fatalf("%+v", s)
	}
}

const (
	benchBurst = 4 // broadcasts
	benchAhead = 2 // bursts
)

// deliveries counts what arrives at the peers.
type deliveries struct {
	members int
	sent    int // broadcasts
	arrived atomic.Int64
	bursts  atomic.Pointer[chan struct{}]
	target  atomic.Int64
	reached chan struct{} // cap 1: target was
	began   time.Time
	mallocs uint64
}

// begin begins to measure; nothing may be under way.
func (d *deliveries) begin() {
	bursts := make(chan struct{}, 1<<16)
	for range benchAhead {
		bursts <- struct{}{}
	}
	d.arrived.Store(0)
	d.bursts.Store(&bursts)
	d.mallocs = mallocs()
	d.began = time.Now()
}

// await waits until so many have arrived.
func (d *deliveries) await(n int) {
	d.target.Store(int64(n))
	for d.arrived.Load() < int64(n) {
		<-d.reached
	}
}

// read is a peer, as bare as can be: it answers each offer, and counts.
func (d *deliveries) read(nc net.Conn) {
	in := bufio.NewReaderSize(nc, 4*benchSize)
	ok := []byte{byte(wire.OK)}
	for {
		head, err := in.Peek(wire.SizeLen)
		if err != nil {
			return
		}
		size := int(binary.BigEndian.Uint32(head))
		in.Discard(wire.SizeLen)
		if _, err := nc.Write(ok); err != nil {
			return
		}
		if _, err := in.Discard(size); err != nil {
			return
		}
		n := d.arrived.Add(1)
		if bursts := d.bursts.Load(); bursts != nil && n%int64(benchBurst*d.members) == 0 {
			*bursts <- struct{}{}
		}
		if n == d.target.Load() {
			select {
			case d.reached <- struct{}{}:
			default:
			}
		}
	}
}

// end waits until all has arrived, and reports.
func (d *deliveries) end(b *testing.B) {
	all := d.sent * d.members
	d.await(all)
	took := time.Since(d.began)
	b.ReportMetric(float64(all)/took.Seconds(), "deliveries/s")
	b.ReportMetric(float64(mallocs()-d.mallocs)/float64(all), "allocs/delivery")
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

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
