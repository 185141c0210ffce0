//go:build unix

package faults

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
)

// clientOrders are what a client is started with.
type clientOrders struct {
	Address string
	Conns   int           // at once
	Largest int           // bytes of a request, about
	Pause   time.Duration // between requests
	Trickle bool          // a request is sent byte by byte, and takes its time
	Redial  bool          // when a connection has ended or can't be had
	Mode    conn.Mode     // pipelined: several requests are sent before the first reply is read
	Timeout time.Duration // for a reply, and of the connection; 0 means patience
	Seed    uint64
}

// clientReport is what a client says of itself.
type clientReport struct {
	Mode      conn.Mode
	Connected int64            // connections
	Sent      int64            // requests: each was replied to, or is lost, or in progress
	Replied   int64            // with what was sent
	Lost      int64            // no reply, or another
	Answered  int64            // requests of connections that are over that the server's application has, by its answers
	Ends      map[string]int64 // errors by their names
	Unnamed   []string         // errors without a name, and books that don't balance

	ClockSteps int64 // of a wall clock that has to jump
}

// client are connections that ask for echoes.
type client struct {
	clientOrders
	connected, sent, replied, lost, answered atomic.Int64
	ends                                     tally
}

// beClient asks until ctx ends.
func beClient(ctx context.Context, o clientOrders) (report func() any, wait func() error, err error) {
	if o.Timeout == 0 {
		o.Timeout = patience
	}
	c := &client{clientOrders: o}
	var conns sync.WaitGroup
	for i := range o.Conns {
		conns.Go(func() { c.keep(ctx, uint64(i)) }) // ends with ctx
	}
	report = func() any {
		r := clientReport{Mode: c.Mode, Connected: c.connected.Load(), Sent: c.sent.Load(), Replied: c.replied.Load(), Lost: c.lost.Load(),
			Answered: c.answered.Load(), ClockSteps: wallClock.steps()}
		r.Ends, r.Unnamed = c.ends.copy()
		return r
	}
	return report, func() error { conns.Wait(); return nil }, nil
}

// keep has a connection, and asks on it.
func (c *client) keep(ctx context.Context, number uint64) {
	random := rand.New(rand.NewPCG(c.Seed, number))
	opts := &tinyproto.DialOptions{Timeout: c.Timeout, Conn: tinyproto.Options{
		Mode: c.Mode, HelloTimeout: c.Timeout, StallTimeout: c.Timeout, AnswerTimeout: c.Timeout, PeerTimeout: c.Timeout,
	}}
	for ctx.Err() == nil {
		// Its life is not ctx: what was begun is brought to its end.
		nc, err := tinyproto.Dial(context.Background(), c.Address, opts)
		if err == nil {
			c.connected.Add(1)
			err = c.asks(ctx, nc, random)
		}
		c.ends.note(err)
		if err != nil && !c.Redial {
			return
		}
		pause(ctx, 5*time.Millisecond)
	}
}

// asks asks on a connection until ctx ends, or something goes wrong.
func (c *client) asks(ctx context.Context, nc *tinyproto.Conn, random *rand.Rand) error {
	defer func() { c.answered.Add(int64(nc.Stats().MessagesSent)) }()
	for ctx.Err() == nil {
		var err error
		if c.Mode == conn.Pipelined && !c.Trickle {
			err = c.askAhead(nc, random)
		} else {
			c.sent.Add(1)
			if err = c.ask(nc, c.request(random)); err != nil {
				c.lost.Add(1)
			} else {
				c.replied.Add(1)
			}
		}
		if err != nil {
			nc.Close()
			return err
		}
		pause(ctx, c.Pause)
	}
	ending, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	return nc.Shutdown(ending)
}

// ask sends a request and receives its reply.
func (c *client) ask(nc *tinyproto.Conn, msg []byte) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), c.Timeout, errNoReply)
	defer cancel()
	var err error
	if c.Trickle {
		err = nc.SendFrom(ctx, &trickle{msg}, int64(len(msg)))
	} else {
		err = nc.Send(ctx, msg)
	}
	if err != nil {
		return err
	}
	return receive(ctx, nc, msg)
}

// receive receives the reply to a request.
func receive(ctx context.Context, nc *tinyproto.Conn, msg []byte) error {
	reply, err := nc.Receive(ctx)
	switch {
	case err != nil:
		return err
	case bytes.Equal(reply, msg):
		return nil
	case len(reply) >= 4 && crc32.ChecksumIEEE(reply[4:]) == binary.BigEndian.Uint32(reply):
		return errors.New("the reply is to another request") // which no fault of a network explains
	}
	return fmt.Errorf("reply of %d bytes to %d: %w", len(reply), len(msg), errContent)
}

// trickle reads a byte at a time.
type trickle struct{ rest []byte }

func (r *trickle) Read(p []byte) (int, error) {
	<-time.After(5 * time.Millisecond)
	n := copy(p[:min(1, len(p))], r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// request is like no other: its checksum, a random number, and zeros. Most are
// small, but those that trickle.
func (c *client) request(random *rand.Rand) []byte {
	const head = 4 + 8
	size := c.Largest
	if !c.Trickle {
		size = random.IntN(max(1, size>>random.IntN(10)))
	}
	msg := make([]byte, head+size)
	binary.BigEndian.PutUint64(msg[4:], random.Uint64())
	binary.BigEndian.PutUint32(msg, crc32.ChecksumIEEE(msg[4:]))
	return msg
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
