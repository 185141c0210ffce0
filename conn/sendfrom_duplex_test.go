package conn_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// A numbered message says who sent it and which of the sender's it is; the rest
// follows from that.
func numbered(sender, number int) []byte {
	sizes := []int{8, 9, 100, 2000, streamPiece - 1, 10, streamPiece + 1, 8, 200_000}
	size := sizes[(sender+number)%len(sizes)]
	msg := bytes.Clone(content(size + sender)[sender:])
	binary.BigEndian.PutUint32(msg, uint32(sender))
	binary.BigEndian.PutUint32(msg[4:], uint32(number))
	return msg
}

// attendance is what came, by sender: every message whole, and in order among
// those that come in the same way, as the Inbox's wait to be taken.
type attendance struct {
	mu      sync.Mutex
	came    map[int]int // by sender
	newest  map[[2]int]int
	strange []error
}

func newAttendance() *attendance {
	return &attendance{came: map[int]int{}, newest: map[[2]int]int{}}
}

func (a *attendance) check(msg []byte, way int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(msg) < 8 {
		a.strange = append(a.strange, fmt.Errorf("a message of %d bytes that nobody sent", len(msg)))
		return
	}
	sender, number := int(binary.BigEndian.Uint32(msg)), int(binary.BigEndian.Uint32(msg[4:]))
	before, any := a.newest[[2]int{sender, way}]
	if any && number <= before {
		a.strange = append(a.strange, fmt.Errorf("sender %d: message %d came after %d", sender, number, before))
	}
	a.newest[[2]int{sender, way}] = number
	a.came[sender]++
	if !bytes.Equal(msg, numbered(sender, number)) {
		a.strange = append(a.strange, fmt.Errorf("sender %d: message %d is damaged", sender, number))
	}
}

// Streams in both directions, and whatever else is sent meanwhile, from many
// goroutines at either end; half of the sizes is received by streaming too.
func TestStreamsInBothDirectionsAtOnce(t *testing.T) { eachMode(t, testStreamsInBothDirectionsAtOnce) }

func testStreamsInBothDirectionsAtOnce(t *testing.T) {
	for name, transport := range streamTransports {
		for _, buffer := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s, buffers %d", name, buffer), func(t *testing.T) {
				leaktest.Check(t)
				const senders, messages = 6, 6
				x, y := transport(t)
				var came [2]*attendance
				var opts [2]conn.Options
				for i := range opts {
					came[i] = newAttendance()
					opts[i] = conn.Options{InboxBuffer: buffer, OutboxBuffer: buffer, Accept: func(size uint32) conn.Placement {
						if size%2 == 0 {
							return conn.Placement{}
						}
						body := new(bytes.Buffer)
						return conn.Placement{Writer: body, Done: func(_ int64, err error) {
							if err != nil {
								t.Error(err)
							}
							came[i].check(body.Bytes(), 1)
						}}
					}}
				}
				a, b := joinBounded(t, x, y, &opts[0], &opts[1])
				var sending, receiving sync.WaitGroup
				for i, c := range []*conn.Conn{a, b} {
					receiving.Go(func() { // ends with the connection
						for m := range c.Inbox() {
							came[i].check(m, 0)
						}
					})
					for sender := range senders {
						sending.Go(func() { // ends with the last message
							for number := range messages {
								if err := sendSomehow(c, sender, numbered(sender, number)); err != nil {
									t.Errorf("sender %d, message %d: %v", sender, number, err)
									return
								}
							}
						})
					}
				}
				sending.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				for _, c := range []*conn.Conn{a, b} { // behind what is in the Outbox
					sending.Go(func() { // ends with the message
						if err := c.Send(ctx, numbered(senders, 0)); err != nil {
							t.Error(err)
						}
					})
				}
				sending.Wait()
				shutDown(t, a, b)
				receiving.Wait()
				for i := range came {
					for _, err := range came[i].strange {
						t.Errorf("end %d: %v", i, err)
					}
					for sender := range senders {
						if came[i].came[sender] != messages {
							t.Errorf("end %d: %d messages of sender %d came, expected %d", i, came[i].came[sender], sender, messages)
						}
					}
				}
			})
		}
	}
}

// sendSomehow sends in the way of the sender: two use Send, one the Outbox, the
// others SendFrom.
func sendSomehow(c *conn.Conn, sender int, msg []byte) error {
	switch sender {
	case 0, 1:
		return c.Send(context.Background(), msg)
	case 2:
		return put(c, msg)
	}
	return c.SendFrom(context.Background(), io.MultiReader(bytes.NewReader(msg[:3]), bytes.NewReader(msg[3:])), int64(len(msg)))
}
