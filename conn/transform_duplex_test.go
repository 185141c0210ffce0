package conn_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// numbering is a Transform with a state, as an encryption has: it numbers what it
// encodes, and takes only the next number. It notices if two of its methods run at once.
type numbering struct {
	busy              atomic.Bool
	encoded, decoded  uint64
	overlaps, strange atomic.Int64
}

func (n *numbering) enter() (leave func()) {
	if !n.busy.CompareAndSwap(false, true) {
		n.overlaps.Add(1)
	}
	return func() { n.busy.Store(false) }
}

func (n *numbering) Encode(dst, src []byte) ([]byte, error) {
	defer n.enter()()
	n.encoded++
	return append(binary.BigEndian.AppendUint64(dst, n.encoded), src...), nil
}

func (n *numbering) Decode(dst, src []byte, _ int) ([]byte, error) {
	defer n.enter()()
	n.decoded++
	if len(src) < 8 || binary.BigEndian.Uint64(src) != n.decoded {
		n.strange.Add(1)
		return nil, fmt.Errorf("%.8x, expected number %d", src, n.decoded)
	}
	return append(dst, src[8:]...), nil
}

// An echo of many messages in both directions, sent in every way, through two
// transforms that keep count.
func TestAStatefulTransformSeesEveryMessageOnceAndInOrder(t *testing.T) {
	eachMode(t, testAStatefulTransformSeesEveryMessageOnceAndInOrder)
}

func testAStatefulTransformSeesEveryMessageOnceAndInOrder(t *testing.T) {
	const messages = 150
	for name, transport := range streamTransports {
		for _, buffer := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s, buffers %d", name, buffer), func(t *testing.T) {
				leaktest.Check(t)
				var counters []*numbering
				var making sync.Mutex // New runs at both ends at once
				opts := &conn.Options{InboxBuffer: buffer, OutboxBuffer: buffer, Transforms: func() []conn.Transform {
					making.Lock()
					defer making.Unlock()
					x, y := new(numbering), new(numbering)
					counters = append(counters, x, y)
					return []conn.Transform{x, y}
				}}
				x, y := transport(t)
				a, b := joinBounded(t, x, y, opts, opts)
				var all sync.WaitGroup
				for _, c := range []*conn.Conn{a, b} {
					var own [3]int // echoes of each of our senders
					for sender := range own {
						all.Go(func() { // ends with its messages
							for i := range messages / 3 {
								msg := fmt.Appendf(nil, "%d/%d?", sender, i)
								var err error
								if sender == 2 {
									err = put(c, msg)
								} else {
									err = c.Send(context.Background(), msg)
								}
								if err != nil {
									t.Error(err)
									return
								}
							}
						})
					}
					echoes := make(chan []byte, messages) // so that nobody waits for the echo's sender
					all.Go(func() {                       // ends with the last message and its echo
						defer close(echoes)
						for range 2 * messages {
							msg, err := c.Receive(context.Background())
							if err != nil {
								t.Error(err)
								return
							}
							if msg[len(msg)-1] == '?' {
								msg[len(msg)-1] = '!'
								echoes <- msg
								continue
							}
							sender := int(msg[0] - '0')
							if want := fmt.Sprintf("%d/%d!", sender, own[sender]); string(msg) != want {
								t.Errorf("received %q, expected the echo %q", msg, want)
							}
							own[sender]++
						}
					})
					all.Go(func() { // ends with echoes
						for msg := range echoes {
							if err := c.Send(context.Background(), msg); err != nil {
								t.Error(err)
							}
						}
					})
				}
				all.Wait()
				shutDown(t, a, b)
				for _, n := range counters {
					if n.encoded != 2*messages || n.decoded != 2*messages || n.overlaps.Load() != 0 || n.strange.Load() != 0 {
						t.Errorf("a transform encoded %d and decoded %d messages, expected %d; %d calls overlapped, %d were out of order",
							n.encoded, n.decoded, 2*messages, n.overlaps.Load(), n.strange.Load())
					}
				}
			})
		}
	}
}

// BenchmarkTransforms measures what it costs to pass messages through
// transforms that do nothing but copy: one way, over TCP.
func BenchmarkTransforms(b *testing.B) {
	for _, transforms := range []int{0, 1, 2} {
		for _, size := range []int{16, 1 << 10, 64 << 10} {
			b.Run(strconv.Itoa(transforms)+"/"+strconv.Itoa(size), func(b *testing.B) {
				opts := &conn.Options{InboxBuffer: 1, OutboxBuffer: 1, Transforms: func() []conn.Transform {
					all := make([]conn.Transform, transforms)
					for i := range all {
						all[i] = codec{}
					}
					return all
				}}
				x, y := tcpPair(b)
				sender, receiver := join(b, x, y, opts, opts)
				received := make(chan bool)
				go func() { // ends with the connection
					defer close(received)
					for range receiver.Inbox() {
					}
				}()
				msg := content(size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					sender.Outbox() <- msg
				}
				if err := sender.Shutdown(context.Background()); err != nil {
					b.Error(err)
				}
				<-received
			})
		}
	}
}
