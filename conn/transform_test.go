package conn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// tag is a Transform that puts a byte before every message.
type tag byte

var errTag = errors.New("not my tag")

func (t tag) Encode(dst, src []byte) ([]byte, error) {
	return append(append(dst, byte(t)), src...), nil
}

func (t tag) Decode(dst, src []byte, _ int) ([]byte, error) {
	if len(src) == 0 || src[0] != byte(t) {
		return nil, fmt.Errorf("%w, %q: %.10q", errTag, byte(t), src)
	}
	return append(dst, src[1:]...), nil
}

// codec is a Transform of two funcs; those that are nil copy.
type codec struct {
	encode func(dst, src []byte) ([]byte, error)
	decode func(dst, src []byte, limit int) ([]byte, error)
}

func (c codec) Encode(dst, src []byte) ([]byte, error) {
	if c.encode == nil {
		return append(dst, src...), nil
	}
	return c.encode(dst, src)
}

func (c codec) Decode(dst, src []byte, limit int) ([]byte, error) {
	if c.decode == nil {
		return append(dst, src...), nil
	}
	return c.decode(dst, src, limit)
}

func always(transforms ...conn.Transform) func() []conn.Transform {
	return func() []conn.Transform { return transforms }
}

// transformStage is a stage with these transforms.
func transformStage(t *testing.T, opts conn.Options, transforms ...conn.Transform) *stage {
	opts.Transforms = always(transforms...)
	nc, peer := memPair(t, 1<<10)
	return newStage(t, nc, peer, opts)
}

// The first transform is the innermost on the wire, whichever way a message takes.
func TestTransformsAreAppliedInOrderAndUndoneInReverse(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		s := transformStage(t, conn.Options{OutboxBuffer: 1, InboxBuffer: 1}, tag('a'), tag('b'), tag('c'))
		for _, msg := range []string{"message", "", strings.Repeat("long", 1<<10)} {
			s.send(msg)
			s.peer.hearsMessage("cba" + msg)
			if err := <-s.sent; err != nil {
				t.Errorf("Send returned %v", err)
			}
			s.queue(msg)
			s.peer.hearsMessage("cba" + msg)
			s.peer.saysMessage("cba" + msg)
			if m := <-s.c.Inbox(); string(m) != msg || m == nil {
				t.Errorf("the Inbox has %.20q, expected %.20q", m, msg)
			}
			s.peer.saysMessage("cba" + msg)
			if m, err := s.c.Receive(t.Context()); string(m) != msg || m == nil || err != nil {
				t.Errorf("Receive returned %.20q, %v; expected %.20q", m, err, msg)
			}
		}
		// What is counted is what is on the wire.
		n := uint64(2 * (len("message") + 4<<10 + 3*3))
		want := conn.Stats{MessagesSent: 6, MessagesReceived: 6, BytesSent: n, BytesReceived: n}
		if diff := cmp.Diff(want, s.c.Stats(), cmpopts.IgnoreFields(conn.Stats{}, "LastActivity")); diff != "" {
			t.Errorf("Stats (-want +got):\n%s", diff)
		}
	})
}

// Each connection has transforms of its own, and one that never was has none.
func TestTransformsAreMadeOncePerConnection(t *testing.T) {
	made := 0
	opts := &conn.Options{InboxBuffer: 1, Transforms: func() []conn.Transform {
		made++
		return []conn.Transform{tag('a'), tag('0' + byte(made))}
	}}
	for i := range 3 {
		nc, peer := tcpPair(t)
		c, p := greetPlayed(t, t.Context(), nc, peer, opts)
		for range 2 {
			p.saysMessage(fmt.Sprintf("%damessage", i+1))
			if m := <-c.Inbox(); string(m) != "message" {
				t.Errorf("connection %d: received %q", i, m)
			}
		}
		if made != i+1 {
			t.Errorf("Transforms was called %d times for %d connections", made, i+1)
		}
	}
	nc, peer := tcpPair(t)
	peer.Close()
	if c, err := conn.New(t.Context(), nc, opts); err == nil {
		c.Close()
		t.Error("New succeeded without a peer")
	}
	if made != 3 {
		t.Errorf("Transforms was called %d times for 3 connections and one that failed", made)
	}
}

func TestNoTransformsAreAllTheSame(t *testing.T) { eachMode(t, testNoTransformsAreAllTheSame) }

func testNoTransformsAreAllTheSame(t *testing.T) {
	for name, transforms := range map[string]func() []conn.Transform{
		"none": nil, "nil": always(), "empty": func() []conn.Transform { return []conn.Transform{} },
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			into := make(catcher, 1)
			x, y := pipePair(t)
			a, b := joinBounded(t, x, y, &conn.Options{Transforms: transforms}, &conn.Options{Transforms: transforms, InboxBuffer: 1, Accept: func(size uint32) conn.Placement {
				if size == 4 {
					return into.accept(size)
				}
				return conn.Placement{}
			}})
			if err := a.SendFrom(t.Context(), strings.NewReader("data"), 4); err != nil {
				t.Errorf("SendFrom returned %v", err)
			}
			(<-into).checkWhole(t, []byte("data"))
			if err := a.Send(t.Context(), []byte("message")); err != nil {
				t.Error(err)
			}
			if m := <-b.Inbox(); string(m) != "message" {
				t.Errorf("received %q", m)
			}
		})
	}
}

// The size of a streamed message would be known only after it was encoded.
func TestWhatIsTransformedCannotBeStreamed(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		into := make(catcher, 1)
		s := transformStage(t, conn.Options{InboxBuffer: 1, Accept: func(size uint32) conn.Placement {
			if size == 8 {
				return conn.Placement{}
			}
			return into.accept(size)
		}}, tag('a'))
		r := &counted{Reader: endless{}}
		for _, size := range []int64{0, 1, 1 << 40} {
			if err := s.c.SendFrom(t.Context(), r, size); !errors.Is(err, conn.ErrTransformed) || r.reads != 0 {
				t.Errorf("SendFrom of %d bytes returned %v after %d Reads, expected ErrTransformed at once", size, err, r.reads)
			}
		}
		for _, size := range []int{5, 0} {
			s.peer.says(offerOf(size)...)
			s.peer.hears(tooLarge)
			c := <-into
			checkPartial(t, c.err, int64(size), 0, conn.ErrTransformed)
			if len(c.body) != 0 {
				t.Errorf("the Writer was given %q", c.body)
			}
		}
		s.peer.saysMessage("amessage")
		if m := <-s.c.Inbox(); string(m) != "message" {
			t.Errorf("received %q", m)
		}
		into.checkNothingMore(t)
		if got := s.c.Stats(); got.PeerRefused != 2 || got.Refused != 0 || got.MessagesSent != 0 {
			t.Errorf("Stats are %+v, expected 2 refused to the peer", got)
		}
	})
}

// The connection gives its slices to no Transform that could change them, and
// a slice may be sent on many connections at once. (The race detector looks on.)
func TestASliceThatIsSentIsNotChanged(t *testing.T) { eachMode(t, testASliceThatIsSentIsNotChanged) }

func testASliceThatIsSentIsNotChanged(t *testing.T) {
	leaktest.Check(t)
	msg := content(1000)
	sent := make(chan error, 8)
	for range 4 {
		x, y := tcpPair(t)
		opts := &conn.Options{InboxBuffer: 2, Transforms: always(codec{}, tag('a'), codec{})}
		a, b := joinBounded(t, x, y, opts, opts)
		for range 2 {
			go func() { sent <- a.Send(context.Background(), msg) }() // ends with the message
		}
		go func() { // ends with the connection
			for m := range b.Inbox() {
				clear(m) // it is the receiver's
			}
		}()
	}
	for range cap(sent) {
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}
	if !bytes.Equal(msg, content(1000)) {
		t.Error("the slice has changed")
	}
}

// Over every transport, in both directions.
func TestTransformsWorkOverEveryTransport(t *testing.T) {
	eachMode(t, testTransformsWorkOverEveryTransport)
}

func testTransformsWorkOverEveryTransport(t *testing.T) {
	for name, transport := range streamTransports {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			opts := &conn.Options{InboxBuffer: 1, OutboxBuffer: 1, Transforms: always(tag('a'), codec{}, tag('b'))}
			x, y := transport(t)
			a, b := joinBounded(t, x, y, opts, opts)
			for _, way := range []func(c *conn.Conn, msg []byte) error{
				func(c *conn.Conn, msg []byte) error { return c.Send(t.Context(), msg) }, put,
			} {
				for _, size := range []int{0, 1, 4095, streamPiece, 100_000} {
					for _, pair := range [][2]*conn.Conn{{a, b}, {b, a}} {
						if err := way(pair[0], content(size)); err != nil {
							t.Fatal(err)
						}
						m, err := pair[1].Receive(t.Context())
						if diff := cmp.Diff(summary(content(size)), summary(m)); diff != "" || err != nil {
							t.Errorf("received (-want +got), %v:\n%s", err, diff)
						}
					}
				}
			}
			shutDown(t, a, b)
		})
	}
}
