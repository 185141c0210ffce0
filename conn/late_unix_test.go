//go:build unix

package conn_test

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// starved is a transport whose reader does not get its turn, as on a machine that
// is busy, or was suspended: Reads wait before they look at the socket.
type starved struct {
	net.Conn
	turn   chan struct{} // closed when Reads may go on
	behind atomic.Bool
	asked  chan struct{} // told when somebody asks for the socket while behind
	taken  int           // bytes; the reader's
}

func (s *starved) NetConn() net.Conn {
	if s.behind.Load() {
		select {
		case s.asked <- struct{}{}:
		default:
		}
	}
	return s.Conn
}

func (s *starved) Read(p []byte) (int, error) {
	if s.behind.Load() && s.taken > 1 { // more than the hello
		<-s.turn
	}
	n, err := s.Conn.Read(p)
	s.taken += n
	return n, err
}

func TestAPeerWhoseBytesWeHaveNotReadIsNoStalledPeer(t *testing.T) {
	for _, opts := range []conn.Options{
		{InboxBuffer: 1, StallTimeout: 200 * time.Millisecond},
		{InboxBuffer: 1, AnswerTimeout: 200 * time.Millisecond},
	} {
		t.Run(fmt.Sprintf("StallTimeout %v, AnswerTimeout %v", opts.StallTimeout, opts.AnswerTimeout), func(t *testing.T) {
			near, far := tcpPair(t)
			nc := &starved{Conn: near, turn: make(chan struct{}), asked: make(chan struct{}, 1)}
			s := newStage(t, nc, far, opts)
			nc.behind.Store(true)
			// More than one Read takes: what is left waits in the socket.
			msg := strings.Repeat("late", 25)
			s.peer.says(append(offerOf(len(msg)), msg...)...)
			s.peer.hears(ok)
			s.send("offered")
			s.peer.hears(offerOf(7)...)
			for range 3 {
				<-nc.asked // the clock was checked, and the timeout had passed
			}
			s.peer.says(ok)
			nc.behind.Store(false)
			close(nc.turn)
			got, err := s.c.Receive(t.Context())
			if string(got) != msg || err != nil {
				t.Errorf("received %q, %v", got, err)
			}
			s.peer.hears([]byte("offered")...)
			if err := <-s.sent; err != nil {
				t.Error(err)
			}
		})
	}
}
