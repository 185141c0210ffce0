package hub_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/hub"
	"github.com/tinyproto-go/tinyproto/wire"
)

const benchSize = 64 // bytes of a message

// BenchmarkBroadcast sends broadcasts in bursts, of which a few may be on their way:
// deliveries/s is what to compare, and on a busy machine the processor time of one,
// of both ends. The floor is a single goroutine that writes the same bytes to the
// same kind of sockets by hand, and reads the answers, to the same peers. An
// operation is one broadcast.
func BenchmarkBroadcast(b *testing.B) {
	for _, m := range []struct {
		name string
		mode conn.Mode
	}{{"classic", conn.Classic}, {"pipelined", conn.Pipelined}} {
		for _, members := range []int{500, 5000} {
			for _, burst := range []int{1, 4, 256} {
				mode = m.mode
				b.Run(fmt.Sprintf("floor/%s/%d/%d", m.name, members, burst), func(b *testing.B) { benchFloor(b, members, burst) })
				b.Run(fmt.Sprintf("hub/%s/%d/%d", m.name, members, burst), func(b *testing.B) { benchHub(b, members, burst) })
			}
		}
	}
	mode = conn.Classic
}

func benchFloor(b *testing.B, members, burst int) {
	d := newDeliveries(members, burst)
	var own []net.Conn
	for range members {
		nc, raw := tcpPair(b)
		b.Cleanup(func() { nc.Close(); raw.Close() })
		go d.read(raw) // ends with the connection
		own = append(own, nc)
	}
	out := append(make([]byte, benchSize), 0, 0, 0, benchSize) // a message, and the next offer
	each, answers := 1, make([]byte, 1)
	if inPipelined() {
		each, answers = burst, make([]byte, burst)
		out = bytes.Repeat(append([]byte{0, 0, 0, benchSize}, make([]byte, benchSize)...), burst)
	}
	for _, nc := range own {
		if inPipelined() {
			write(b, nc, out...)
		} else {
			write(b, nc, out[benchSize:]...)
		}
	}
	if inPipelined() { // those are on their way
		d.await(members * each)
	}
	d.begin()
	for b.Loop() {
		if d.sent++; (d.sent-1)%each != 0 {
			continue
		}
		for _, nc := range own {
			if _, err := io.ReadFull(nc, answers); err != nil || answers[0] != byte(wire.OK) {
				b.Fatal(answers, err)
			}
			if _, err := nc.Write(out); err != nil {
				b.Fatal(err)
			}
		}
	}
	d.sent = (d.sent + each - 1) / each * each
	d.end(b)
}

func benchHub(b *testing.B, members, burst int) {
	h := start(b, &hub.Options{QueueMessages: 1 << 20, QueueBytes: 1 << 30})
	go drain(h) // ends with the hub
	d := newDeliveries(members, burst)
	for range members {
		own, raw := tcpPair(b)
		joinRawOver(b, h, own, raw)
		go d.read(raw) // ends with the connection
	}
	body := make([]byte, benchSize)
	for range 3 * burst * benchAhead { // what each member needs once is no cost of a delivery
		if n, err := h.Broadcast(b.Context(), body); n != members || err != nil {
			b.Fatal(n, err)
		}
	}
	d.await(3 * burst * benchAhead * members)
	d.begin()
	for b.Loop() {
		if n, err := h.Broadcast(b.Context(), body); n != members || err != nil {
			b.Fatal(n, err)
		}
		d.sent++
		if d.sent%burst == 0 {
			<-*d.bursts.Load() // the members are at most benchAhead bursts behind
		}
	}
	d.end(b)
	if s := h.Stats(); s.Dropped+s.Evicted > 0 {
		b.Fatalf("%+v", s)
	}
}

const benchAhead = 2 // bursts

// deliveries counts what arrives at the peers.
type deliveries struct {
	members int
	burst   int // broadcasts
	sent    int // broadcasts
	arrived atomic.Int64
	bursts  atomic.Pointer[chan struct{}]
	target  atomic.Int64
	reached chan struct{} // cap 1: target was
	began   time.Time
	mallocs uint64
	cpu     time.Duration
}

func newDeliveries(members, burst int) *deliveries {
	return &deliveries{members: members, burst: burst, reached: make(chan struct{}, 1)}
}

// begin begins to measure; nothing may be under way.
func (d *deliveries) begin() {
	bursts := make(chan struct{}, 1<<16)
	for range benchAhead {
		bursts <- struct{}{}
	}
	d.arrived.Store(0)
	d.bursts.Store(&bursts)
	d.mallocs, d.cpu = mallocs(), cpuTime()
	d.began = time.Now()
}

// await waits until so many have arrived.
func (d *deliveries) await(n int) {
	d.target.Store(int64(n))
	for d.arrived.Load() < int64(n) {
		<-d.reached
	}
}

// read is a peer, as bare as can be: it answers, in pipelined mode all that came
// together, and counts.
func (d *deliveries) read(nc net.Conn) {
	size := 4 * benchSize
	if inPipelined() {
		size = 64 << 10
	}
	in := bufio.NewReaderSize(nc, size)
	ok := bytes.Repeat([]byte{byte(wire.OK)}, size/wire.SizeLen)
	unanswered := 0
	for {
		head, err := in.Peek(wire.SizeLen)
		if err != nil {
			return
		}
		size := int(binary.BigEndian.Uint32(head))
		in.Discard(wire.SizeLen)
		if !inPipelined() {
			nc.Write(ok[:1])
		}
		if _, err := in.Discard(size); err != nil {
			return
		}
		if unanswered++; inPipelined() && in.Buffered() == 0 {
			nc.Write(ok[:unanswered])
			unanswered = 0
		}
		n := d.arrived.Add(1)
		if bursts := d.bursts.Load(); bursts != nil && n%int64(d.burst*d.members) == 0 {
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
	took, cpu := time.Since(d.began), cpuTime()-d.cpu
	b.ReportMetric(float64(all)/took.Seconds(), "deliveries/s")
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(all), "cpu-ns/delivery")
	b.ReportMetric(float64(mallocs()-d.mallocs)/float64(all), "allocs/delivery")
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
