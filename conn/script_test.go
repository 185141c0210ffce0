package conn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/transcript"
)

// A script is both ends of a session: a peer that does exactly what was
// recorded, and a Conn whose application sends and expects what it says.
type script struct {
	items      []item
	opts       conn.Options
	breaks     bool // the Conn is to end with an error; what the peer does is all in items
	byteByByte bool // each byte of the peer is a write of its own

	// drained is closed when the Conn has read all that the peer writes. It is
	// for a peer that resets: a reset destroys what is unread.
	drained chan struct{}
}

// drain returns nc, in a guise that closes drained, if the peer is to reset.
func (s *script) drain(nc net.Conn) net.Conn {
	left := 0
	for _, it := range s.items {
		switch {
		case !it.mine && it.end == transcript.RST:
			s.drained = make(chan struct{})
			return &drain{nc.(*net.TCPConn), left, s.drained}
		case !it.mine:
			left += len(it.data)
		}
	}
	return nc
}

type drain struct {
	*net.TCPConn
	left    int
	drained chan struct{}
}

func (d *drain) Read(p []byte) (int, error) {
	n, err := d.TCPConn.Read(p)
	if d.left -= n; d.left == 0 && n > 0 {
		close(d.drained)
	}
	return n, err
}

// playPeer does the peer's items and compares the Conn's, byte by byte. What
// it can't tell by itself, that nothing follows, it sees at the end of stream.
func (s *script) playPeer(ctx context.Context, nc halfCloser) error {
	deadline, _ := ctx.Deadline()
	nc.SetDeadline(deadline)
	ended := s.breaks
	for i, it := range s.items {
		var err error
		for _, a := range it.then {
			if a.gate != nil {
				close(a.gate)
			}
		}
		switch {
		case it.mine && it.kind == itemEnd:
			err, ended = expectEnd(nc), true
		case it.mine:
			got := make([]byte, len(it.data))
			var n int
			n, err = io.ReadFull(nc, got)
			if diff := cmp.Diff(summary(it.data), summary(got[:n])); diff != "" {
				return fmt.Errorf("item %d: the Conn's bytes differ (-recorded +got), %v:\n%s", i, err, diff)
			}
		case it.end == transcript.FIN:
			ended, err = true, nc.CloseWrite()
		case it.end == transcript.RST:
			select {
			case <-s.drained:
			case <-ctx.Done():
			}
			nc.(*net.TCPConn).SetLinger(0)
			return nc.Close()
		case i > 0 && !s.items[i-1].mine && s.items[i-1].end == transcript.NoEnd:
			// Written with the item before.
		default:
			err = s.write(nc, s.items[i:])
		}
		if err != nil {
			return fmt.Errorf("item %d: %w", i, err)
		}
	}
	if !ended {
		if err := nc.CloseWrite(); err != nil {
			return err
		}
	}
	return expectEnd(nc)
}

// write writes the peer's items up to the Conn's next one, or to the end.
func (s *script) write(nc net.Conn, items []item) error {
	var p []byte
	for _, it := range items {
		if it.mine || it.end != transcript.NoEnd {
			break
		}
		p = append(p, it.data...)
	}
	n := len(p)
	if s.byteByByte {
		n = 1
	}
	for ; len(p) > 0; p = p[n:] {
		if _, err := nc.Write(p[:n]); errors.Is(err, syscall.EPIPE) && s.breaks {
			return nil // the Conn has seen enough
		} else if err != nil {
			return err
		}
	}
	return nil
}

// expectEnd reads the end of the Conn's stream, and nothing before it. At the
// end it can be called again.
func expectEnd(in io.Reader) error {
	p, err := io.ReadAll(io.LimitReader(in, 64))
	if len(p) > 0 {
		return fmt.Errorf("the Conn wrote %x, expected its end of stream", p)
	}
	if errors.Is(err, syscall.ECONNRESET) {
		err = nil // the Conn closed at once, with bytes of ours unread
	}
	return err
}

// playConn greets and does the application's actions. It returns the error of
// the greeting or of the connection.
func (s *script) playConn(ctx context.Context, t testing.TB, nc net.Conn) error {
	c, err := conn.New(ctx, nc, &s.opts)
	if err != nil {
		return err
	}
	defer c.Close()
	var unsent [][]byte
	for _, it := range s.items {
		for _, a := range it.then {
			if a.gate != nil {
				select {
				case <-a.gate:
				case <-ctx.Done():
					t.Error("the peer did not get as far as the application's next action")
					return c.Err()
				}
			}
			switch a.kind {
			case toReceive:
				got, err := c.Receive(ctx)
				if diff := cmp.Diff(summary(a.msg.body), summary(got)); err != nil || diff != "" {
					t.Errorf("received (-recorded +got), error %v:\n%s", err, diff)
				}
			case toSend:
				if err := put(c, a.msg.sent()); err != nil {
					t.Errorf("a message of %d bytes: %v", a.msg.size, err)
				}
				if !a.msg.complete() {
					unsent = append(unsent, a.msg.sent())
				}
			case toShutdown:
				if !s.breaks {
					c.Shutdown(ctx)
				}
			case toClose:
				c.Close()
			}
		}
	}
	for msg := range c.Inbox() {
		t.Errorf("received %s, expected nothing more", summary(msg))
	}
	if diff := cmp.Diff(summaries(unsent), summaries(c.Unsent())); diff != "" {
		t.Errorf("unsent (-recorded +got):\n%s", diff)
	}
	return c.Err()
}
