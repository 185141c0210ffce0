package conn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
)

// The benchmarks run both ends in this process, over TCP on loopback, and
// compare ways to do the same: two loops written by hand (floor_test.go) and
// what package conn offers. Names are Benchmark<workload>/<way>/<payload
// bytes>; internal/benchratio sets them in relation.

var roundTripSizes = []int{16, 1 << 10, 64 << 10}

var oneWaySizes = []int{16, 1 << 10, 64 << 10, 1 << 20}

// oneWayBuffers are the capacities of both Inbox and Outbox to compare where
// messages follow each other.
var oneWayBuffers = []int{0, 1, 16}

// BenchmarkRoundTrip measures a message and its echo: one at a time, so what it
// shows is latency.
func BenchmarkRoundTrip(b *testing.B) {
	ways := []struct {
		name string
		// start starts the end that echoes and returns the other one.
		start func(b *testing.B) echoed
	}{
		{"floor-reuse", func(b *testing.B) echoed { return floorRoundTrip(b, false) }},
		{"floor-fresh", func(b *testing.B) echoed { return floorRoundTrip(b, true) }},
		{"send", sendRoundTrip},
		{"outbox", outboxRoundTrip},
	}
	for _, way := range ways {
		for _, size := range roundTripSizes {
			b.Run(way.name+"/"+strconv.Itoa(size), func(b *testing.B) {
				measureRoundTrips(b, size, way.start(b))
			})
		}
	}
}

// BenchmarkOneWay measures messages that follow each other in one direction:
// what it shows is throughput, as far as one offer at a time allows it.
func BenchmarkOneWay(b *testing.B) {
	floors := []struct {
		name  string
		fresh bool
	}{{"floor-reuse", false}, {"floor-fresh", true}}
	for _, floor := range floors {
		for _, size := range oneWaySizes {
			b.Run(floor.name+"/"+strconv.Itoa(size), func(b *testing.B) {
				x, y := tcpPair(b)
				measureOneWay(b, size, newFloor(x, floor.fresh).produce, newFloor(y, floor.fresh).receive)
			})
		}
	}
	for _, size := range oneWaySizes {
		for _, buffer := range oneWayBuffers {
			b.Run(fmt.Sprintf("outbox/%d/buffer=%d", size, buffer), func(b *testing.B) {
				produce, receive := outboxOneWay(b, &conn.Options{InboxBuffer: buffer, OutboxBuffer: buffer})
				measureOneWay(b, size, produce, receive)
			})
		}
	}
}

// echoed is a connection whose other end echoes.
type echoed struct {
	// exchange sends a message and returns the reply.
	exchange func([]byte) ([]byte, error)
	// end ends the connection and returns how many messages the other end
	// sent back.
	end func() (int, error)
}

func measureRoundTrips(b *testing.B, size int, c echoed) {
	msg := benchMessage(size)
	if reply, err := c.exchange(msg); err != nil || !bytes.Equal(reply, msg) {
		b.Fatalf("first echo: error %v, %d bytes, equal: %v", err, len(reply), bytes.Equal(reply, msg))
	}
	exchanged := 1
	b.ReportAllocs()
	b.SetBytes(2 * int64(size)) // there and back
	for b.Loop() {
		reply, err := c.exchange(msg)
		if err != nil {
			b.Fatal(err)
		}
		if len(reply) != size {
			b.Fatalf("reply of %d bytes to a message of %d", len(reply), size)
		}
		exchanged++
	}
	n, err := c.end()
	if err != nil {
		b.Fatal(err)
	}
	if n != exchanged {
		b.Errorf("%d messages echoed, %d exchanged", n, exchanged)
	}
}

// measureOneWay counts where messages arrive. Nothing is on its way when the
// clock starts: what buffers had taken before would look as if it took no time.
// What is on its way when the time is over is received after that, for the count.
func measureOneWay(b *testing.B, size int,
	produce func(msg []byte, stop *atomic.Bool) (sent int, err error), receive func() ([]byte, error)) {
	msg := benchMessage(size)
	var stop atomic.Bool
	start := make(chan struct{})
	produced := make(chan benchOutcome, 1)
	go func() { // ends with stop, or with the connection
		<-start
		produced <- benchOutcomeOf(produce(msg, &stop))
	}()
	received := 0
	var last []byte
	one := func() error {
		got, err := receive()
		if err != nil {
			return err
		}
		if len(got) != size {
			b.Fatalf("message of %d bytes, expected %d", len(got), size)
		}
		last = got
		received++
		return nil
	}
	b.ReportAllocs()
	b.SetBytes(int64(size))
	for b.Loop() {
		if received == 0 {
			close(start)
		}
		if err := one(); err != nil {
			b.Fatal(err)
		}
	}
	stop.Store(true)
	var err error
	for err == nil {
		err = one()
	}
	if err != io.EOF {
		b.Fatal(err)
	}
	if p := <-produced; p.err != nil || p.n != received {
		b.Errorf("%d messages sent (error %v), %d received", p.n, p.err, received)
	}
	if !bytes.Equal(last, msg) {
		b.Error("the last message is not what was sent")
	}
}

func floorRoundTrip(b *testing.B, fresh bool) echoed {
	x, y := tcpPair(b)
	near, far := newFloor(x, fresh), newFloor(y, fresh)
	done := make(chan benchOutcome, 1)
	go func() { done <- benchOutcomeOf(far.echo()) }() // ends with the stream
	return echoed{
		exchange: func(msg []byte) ([]byte, error) {
			if err := near.send(msg); err != nil {
				return nil, err
			}
			return near.receive()
		},
		end: func() (int, error) {
			if err := near.end(); err != nil {
				return 0, err
			}
			o := <-done
			return o.n, o.err
		},
	}
}

// sendRoundTrip uses Send and Receive at both ends, with a context that can
// end, as everybody's can.
func sendRoundTrip(b *testing.B) echoed {
	near, far := benchPair(b, nil)
	ctx := b.Context()
	done := make(chan benchOutcome, 1)
	go func() { done <- benchOutcomeOf(sendBack(ctx, far)) }() // ends with the connection
	return echoed{
		exchange: func(msg []byte) ([]byte, error) {
			if err := near.Send(ctx, msg); err != nil {
				return nil, err
			}
			return near.Receive(ctx)
		},
		end: func() (int, error) { return endOfEcho(ctx, near, done) },
	}
}

// sendBack echoes what it receives until the connection ends.
func sendBack(ctx context.Context, c *conn.Conn) (int, error) {
	for n := 0; ; n++ {
		msg, err := c.Receive(ctx)
		if err == io.EOF {
			return n, nil
		}
		if err == nil {
			err = c.Send(ctx, msg)
		}
		if err != nil {
			return n, err
		}
	}
}

// outboxRoundTrip uses Outbox and Inbox at both ends, without buffers.
func outboxRoundTrip(b *testing.B) echoed {
	near, far := benchPair(b, nil)
	out, in := near.Outbox(), near.Inbox()
	done := make(chan benchOutcome, 1)
	go func() { // ends with the connection
		n := 0
		replies := far.Outbox()
		for msg := range far.Inbox() {
			replies <- msg
			n++
		}
		done <- benchOutcome{n, far.Err()}
	}()
	return echoed{
		exchange: func(msg []byte) ([]byte, error) {
			out <- msg
			reply, ok := <-in
			if !ok {
				return nil, errors.Join(errors.New("the inbox was closed"), near.Err())
			}
			return reply, nil
		},
		end: func() (int, error) { return endOfEcho(b.Context(), near, done) },
	}
}

// outboxOneWay sends as most programs do, with a select on Done.
func outboxOneWay(b *testing.B, opts *conn.Options) (produce func([]byte, *atomic.Bool) (int, error), receive func() ([]byte, error)) {
	from, to := benchPair(b, opts)
	produce = func(msg []byte, stop *atomic.Bool) (int, error) {
		out := from.Outbox()
		n := 0
		for !stop.Load() {
			select {
			case out <- msg:
				n++
			case <-from.Done():
				return n, errors.Join(errors.New("the connection ended"), from.Err())
			}
		}
		return n, from.Shutdown(b.Context())
	}
	in := to.Inbox()
	receive = func() ([]byte, error) {
		if msg, ok := <-in; ok {
			return msg, nil
		}
		if err := to.Err(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	return produce, receive
}

// endOfEcho ends c gracefully and returns what became of the echo at the other end.
func endOfEcho(ctx context.Context, c *conn.Conn, echo <-chan benchOutcome) (int, error) {
	if err := c.Shutdown(ctx); err != nil {
		return 0, err
	}
	o := <-echo
	return o.n, o.err
}

func benchPair(b *testing.B, opts *conn.Options) (near, far *conn.Conn) {
	x, y := tcpPair(b)
	return join(b, x, y, opts, opts)
}

// benchOutcome is how many messages a goroutine saw to, and why it ended.
type benchOutcome struct {
	n   int
	err error
}

func benchOutcomeOf(n int, err error) benchOutcome { return benchOutcome{n, err} }

// benchMessage returns a message of size bytes, no two neighbours of which are equal.
func benchMessage(size int) []byte {
	msg := make([]byte, size)
	for i := range msg {
		msg[i] = byte(i % 251)
	}
	return msg
}
