package conn_test

import (
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/wire"
)

// hearsAt has the peer hear this after exactly that time.
func (p played) hearsAt(start time.Time, after time.Duration, want ...byte) {
	p.t.Helper()
	p.hears(want...)
	if took := time.Since(start); took != after {
		p.t.Fatalf("the peer heard % x after %v, expected %v", want, took, after)
	}
}

// After half the time the peer is asked for a sign of life, after all of it the
// connection ends.
func TestAPeerThatGivesNoSignOfLifeEndsTheConnection(t *testing.T) {
	for _, c := range []struct {
		name    string
		timeout time.Duration
		half    time.Duration
		signs   []byte // each a byte that the peer says when it has heard PING
		pinged  bool   // the last PING still waits for its PONG, so there is no other
	}{
		{"default", 0, 15 * time.Second, nil, false},
		{"given", time.Second, time.Second / 2, nil, false},
		{"after PONGs", 0, 15 * time.Second, []byte{pong, pong, pong}, false},
		{"an answer is a sign, too, and stands for no PONG", 0, 15 * time.Second, []byte{ok}, true},
		{"half a size is a sign, too", 0, 15 * time.Second, []byte{0}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newPipelined(t, nc, peer, conn.Options{PeerTimeout: c.timeout, StallTimeout: time.Minute}, generous)
				start := time.Now()
				if slices.Contains(c.signs, ok) {
					s.send("ours")
					s.peer.hears(dataOf("ours")...)
				}
				for _, sign := range c.signs {
					s.peer.hearsAt(start, c.half, ping)
					time.Sleep(c.half / 2)
					start = time.Now()
					s.peer.says(sign)
				}
				if !c.pinged {
					s.peer.hearsAt(start, c.half, ping)
				}
				s.peer.hearsEnd()
				if took := time.Since(start); took != 2*c.half {
					t.Errorf("it ended after %v, expected %v", took, 2*c.half)
				}
				<-s.ended
				checkError(t, s.c.Err(), &conn.StallError{Doing: "waiting for a sign of life", After: 2 * c.half})
			})
		})
	}
}

func TestANegativePeerTimeoutLetsAPeerBeSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{PeerTimeout: -1}, generous)
		s.send("ours")
		s.peer.hears(dataOf("ours")...)
		peer.SetReadDeadline(time.Now().Add(24 * time.Hour))
		if n, _ := s.peer.Read(make([]byte, 1)); n > 0 || s.isDone() {
			t.Errorf("the peer heard %d bytes; Err: %v", n, s.c.Err())
		}
	})
}

// PINGs are answered whatever this end does, if the peer reads.
func TestAPingIsAnsweredAtOnce(t *testing.T) {
	for _, state := range pipelinedStates {
		switch state.name {
		case readingPipelined.name, writingPipelined.name: // it would be payload; the peer does not hear it
			continue
		case saidByes.name: // the end of the stream follows
			continue
		}
		t.Run(state.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := state.stage(t)
				for range 3 {
					start := time.Now()
					s.peer.says(ping)
					s.peer.hearsAt(start, 0, pong)
				}
			})
		})
	}
}

// It is in nobody's way: neither in a message, nor before what is due.
func TestAPingAmongMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{InboxBuffer: 2}, generous)
		s.peer.says(slices.Concat(dataOf("one"), []byte{ping}, dataOf("two"))...)
		s.peer.hears(pong, ok, ok)
		s.send(large)
		s.peer.hears(offerOf(len(large))...)
		s.peer.says(ping)
		s.peer.hears([]byte(large)...)
		s.peer.hears(pong)
	})
}

func TestPingsAndPongsThatNobodyMaySay(t *testing.T) {
	for name, c := range map[string]struct {
		says []byte
		err  *wire.ProtocolError
	}{
		"PONG":          {[]byte{pong}, &wire.ProtocolError{Violation: wire.UnaskedPong, Seen: pong}},
		"two PINGs":     {[]byte{ping, ping}, &wire.ProtocolError{Violation: wire.SecondPing, Seen: ping, Offset: 1}},
		"PONG for PING": {[]byte{ping, pong}, &wire.ProtocolError{Violation: wire.UnaskedPong, Seen: pong, Offset: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newPipelined(t, nc, peer, conn.Options{}, generous)
				s.peer.says(c.says...)
				<-s.ended
				checkError(t, s.c.Err(), c.err)
			})
		})
	}
}

// While the application is asked nothing is read, so the peer can give no sign.
func TestTheTimeThatAcceptTakesIsNotThePeers(t *testing.T) {
	for name, took := range map[string]time.Duration{"less than half": 10 * time.Second, "more than half": 20 * time.Second, "more than all": time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newPipelined(t, nc, peer, conn.Options{InboxBuffer: 1, Accept: func(uint32) conn.Placement {
					time.Sleep(took)
					return conn.Placement{}
				}}, generous)
				s.peer.says(dataOf("message")...)
				s.peer.hears(ok)
				if s.isDone() {
					t.Fatalf("the connection ended: %v", s.c.Err())
				}
				// From here on it is: a peer that has gone is noticed.
				start := time.Now()
				s.peer.hearsAt(start, 15*time.Second, ping)
				s.peer.hearsEnd()
				if took := time.Since(start); took != 30*time.Second {
					t.Errorf("it ended after %v, expected 30s", took)
				}
			})
		})
	}
}

func TestAPeerThatSendsIsNotAskedForASign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{InboxBuffer: 100}, generous)
		for range 100 {
			time.Sleep(14 * time.Second)
			s.peer.says(dataOf("message")...)
			s.peer.hears(ok)
		}
		s.c.Close()
		if rest, _ := io.ReadAll(s.peer); len(rest) > 0 {
			t.Errorf("the peer heard % x", rest)
		}
	})
}

// It hears us all the time, so it has no reason to ask, and a PING of ours has
// to stand behind the message.
func TestAPeerThatReadsALargeMessageSlowlyIsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{}, generous)
		s.send(large)
		s.peer.hears(offerOf(len(large))...)
		s.peer.hearsSlowly(large)
		s.peer.hears(ping)
		s.peer.says(pong, ok)
		if err := <-s.sent; err != nil {
			t.Error(err)
		}
	})
}

// hearsSlowly takes well over a minute.
func (p played) hearsSlowly(msg string) {
	p.t.Helper()
	for left := msg; len(left) > 0; {
		time.Sleep(10 * time.Second)
		piece := left[:min(len(left), 1<<20)]
		left = left[len(piece):]
		got := make([]byte, len(piece))
		if n, err := io.ReadFull(p, got); err != nil || string(got) != piece {
			p.t.Fatalf("the peer heard %d of the %d bytes that were left: %v", n, len(piece)+len(left), err)
		}
	}
}

// While it does, nothing can be written, and so a peer that only receives says nothing.
func TestAReaderMayTakeLongerThanThePeerTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{}, generous)
		from, to := io.Pipe()
		sent := make(chan error, 1)
		go func() { sent <- s.c.SendFrom(t.Context(), from, 10) }() // ends with the answer
		s.peer.hears(offerOf(10)...)
		for range 10 {
			time.Sleep(20 * time.Second)
			to.Write([]byte{'x'})
			s.peer.hears('x')
		}
		s.peer.hears(ping)
		s.peer.says(pong, ok)
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}
