package conn_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// laggard is a Writer that takes a millisecond for each 64 KiB.
type laggard struct {
	bytes.Buffer
	due int
}

func (l *laggard) Write(p []byte) (int, error) {
	for l.due += len(p); l.due >= streamPiece; l.due -= streamPiece {
		time.Sleep(time.Millisecond)
	}
	return l.Buffer.Write(p)
}

// Both ends stream large messages to a slow Writer of the other, while one of
// them has its small messages echoed by a single goroutine: what a slow Writer
// delays, it does not stop, with any buffers.
func TestEchoesPassBetweenStreamsToSlowWriters(t *testing.T) {
	eachMode(t, testEchoesPassBetweenStreamsToSlowWriters)
}

func testEchoesPassBetweenStreamsToSlowWriters(t *testing.T) {
	const streams, streamSize, echoes = 3, 300_000, 50
	for name, transport := range map[string]func(testing.TB) (net.Conn, net.Conn){
		"tcp":                   tcpPair,
		"pipe":                  pipePair,
		"memory without buffer": func(t testing.TB) (net.Conn, net.Conn) { return memPair(t, 0) },
		"memory":                func(t testing.TB) (net.Conn, net.Conn) { return memPair(t, 1000) },
	} {
		for buffer := range 2 {
			for _, echo := range []struct {
				name string
				send func(*conn.Conn, []byte) error
			}{
				{"Send", func(c *conn.Conn, m []byte) error { return c.Send(context.Background(), m) }},
				{"Outbox", put},
			} {
				t.Run(fmt.Sprintf("%s, buffers %d, echo by %s", name, buffer, echo.name), func(t *testing.T) {
					leaktest.Check(t)
					var into [2]catcher
					var opts [2]conn.Options
					for i := range opts {
						into[i] = make(catcher, streams)
						opts[i] = conn.Options{InboxBuffer: buffer, OutboxBuffer: buffer, Accept: func(size uint32) conn.Placement {
							if size < streamSize {
								return conn.Placement{}
							}
							body := new(laggard)
							p := into[i].with(size, &body.Buffer)
							p.Writer = body
							return p
						}}
					}
					x, y := transport(t)
					a, b := joinBounded(t, x, y, &opts[0], &opts[1])
					var all sync.WaitGroup
					for _, c := range []*conn.Conn{a, b} {
						all.Go(func() { // ends with its streams
							for i := range streams {
								if err := c.SendFrom(context.Background(), bytes.NewReader(content(streamSize+i)), streamSize+int64(i)); err != nil {
									t.Error(err)
								}
							}
						})
					}
					all.Go(func() { // ends with the last echo
						for range echoes {
							m, err := b.Receive(context.Background())
							if err != nil {
								t.Error(err)
								return
							}
							if err := echo.send(b, m); err != nil {
								t.Error(err)
							}
						}
					})
					all.Go(func() { // ends with the last message
						for i := range echoes {
							if err := a.Send(context.Background(), fmt.Append(nil, "message ", i)); err != nil {
								t.Error(err)
								return
							}
						}
					})
					all.Go(func() { // ends with the last echo
						for i := range echoes {
							m, err := a.Receive(context.Background())
							if want := fmt.Sprint("message ", i); err != nil || string(m) != want {
								t.Errorf("received %q, %v; expected the echo of %q", m, err, want)
								return
							}
						}
					})
					all.Wait()
					for end := range into {
						for i := range streams {
							(<-into[end]).checkWhole(t, content(streamSize+i))
						}
						into[end].checkNothingMore(t)
					}
					shutDown(t, a, b)
				})
			}
		}
	}
}
