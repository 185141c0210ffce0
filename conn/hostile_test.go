package conn_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/transcript"
	"github.com/tinyproto-go/tinyproto/wire"
)

// An outcome is what becomes of a connection in which a byte arrives.
type outcome struct {
	alive    bool // silence ends nothing
	late     bool // the byte is seen when the application has taken a message, not before
	cut      bool // what the Conn is writing may not go out wholly
	wrote    []byte
	received []string
	send     []error // of the Send in progress; none if it succeeds
	err      []error // of the connection, after the peer has ended
}

// A situation is a state of a Conn in which a byte can arrive.
type situation struct {
	name string
	// reach brings the Conn there.
	reach func(*stage)
	// deaf: the peer does not read any more.
	deaf bool
	// outcome says what has to happen, if the peer is silent after the byte or
	// else ends its stream.
	outcome func(b byte, silent bool) outcome
}

// stalledOr is what an item that remains incomplete makes of the connection.
func stalledOr(silent bool, state error) []error {
	if silent {
		return []error{&conn.StallError{Doing: "reading", After: conn.DefaultStallTimeout}, state}
	}
	return []error{state}
}

func violation(v wire.Violation, seen byte, offset int64) []error {
	return []error{conn.ErrProtocol, &wire.ProtocolError{Violation: v, Seen: seen, Offset: offset}}
}

// unasked is the outcome of a byte where only a size can come.
func unasked(b byte, silent bool, offset int64) outcome {
	switch {
	case b >= byte(wire.TooLarge):
		return outcome{wrote: []byte{0x00}, err: violation(wire.UnaskedAnswer, b, offset)}
	case b > 0xf0:
		return outcome{wrote: []byte{0x00}, err: violation(wire.OversizeOffer, b, offset)}
	}
	return outcome{err: stalledOr(silent, &wire.IncompleteError{SizeBytes: 1})}
}

// fillInbox has the Conn hold a message x that its application does not take,
// and the offer of one more, of 1 byte, behind it.
func fillInbox(s *stage) {
	s.peer.saysMessage("x")
	s.peer.says(offerOf(1)...)
}

// unread is a message that does not fit into the buffers of these tests, for a
// peer that does not read it.
var unread = string(transcript.Gen(256 << 10))

var situations = []situation{
	{
		name:  "idle",
		reach: func(*stage) {},
		outcome: func(b byte, silent bool) outcome {
			o := unasked(b, silent, 0)
			if b == request[0] { // it may be asking for pipelined mode
				o.wrote = nil
				if silent {
					o.err = stalledOr(silent, nil)[:1]
				}
			}
			return o
		},
	},
	{
		name: "our offer is unanswered",
		reach: func(s *stage) {
			s.send("abc")
			s.peer.hears(offerOf(3)...)
		},
		outcome: func(b byte, silent bool) outcome {
			failed := outcome{send: []error{conn.ErrClosed}}
			switch {
			case b == ok:
				return outcome{alive: true, wrote: []byte("abc")}
			case b == tooLarge:
				return outcome{alive: true, send: []error{conn.ErrTooLarge}}
			case b == conflict:
				failed.err = violation(wire.BaselessConflict, b, 0)
			case b == request[0] && silent: // it may be asking for pipelined mode
				failed.err = stalledOr(silent, &wire.IncompleteError{Unanswered: true, Offered: 3})
			case b > 0xf0:
				failed.err = violation(wire.UnknownAnswer, b, 0)
			case b == 0x00:
				failed.err = stalledOr(silent, &wire.ProtocolError{Violation: wire.ErrorAnswer, Seen: b})
			default:
				failed.err = stalledOr(silent, &wire.IncompleteError{SizeBytes: 1, Unanswered: true, Offered: 3})
			}
			return failed
		},
	},
	{
		name:  "the Inbox is full and the peer's offer is held",
		reach: fillInbox,
		outcome: func(b byte, silent bool) outcome {
			// It is the early payload of a legacy client (R3).
			return outcome{alive: true, late: true, wrote: []byte{ok}, received: []string{"x", string([]byte{b})}}
		},
	},
	{
		name: "the Inbox is full, the peer's offer is held and ours is unanswered",
		reach: func(s *stage) {
			fillInbox(s)
			s.send("abc")
			s.peer.hears(offerOf(3)...)
		},
		outcome: func(b byte, silent bool) outcome {
			const offset = 9 // behind a size, x and a size
			o := outcome{received: []string{"x"}}
			switch {
			case b == ok: // R4
				o.alive, o.wrote = true, []byte("\xfdabc")
				return o
			case b == tooLarge && silent: // the application makes room before the peer ends
				o.alive, o.wrote, o.send = true, []byte{ok}, []error{conn.ErrTooLarge}
				o.err = []error{&wire.IncompleteError{Accepted: true, Payload: 1}}
				return o
			case b == tooLarge:
				o.send = []error{conn.ErrTooLarge}
				o.err = []error{&wire.IncompleteError{PeerUnanswered: true, PeerOffered: 1}}
				return o
			case b == conflict:
				o.err = violation(wire.BaselessConflict, b, offset)
			case b > 0xf0:
				o.err = violation(wire.UnknownAnswer, b, offset)
			default:
				o.err = violation(wire.SecondOffer, b, offset)
			}
			o.send = []error{conn.ErrClosed}
			return o
		},
	},
	{
		name: "the peer's payload is half here",
		reach: func(s *stage) {
			s.peer.says(offerOf(2)...)
			s.peer.hears(ok)
			s.peer.says('x')
		},
		outcome: func(b byte, silent bool) outcome {
			return outcome{alive: true, received: []string{string([]byte{'x', b})}}
		},
	},
	{
		name: "our payload is half there",
		deaf: true,
		reach: func(s *stage) {
			s.send(unread)
			s.peer.hears(offerOf(len(unread))...)
			s.peer.says(ok)
			s.peer.hears(unread[0])
		},
		outcome: func(b byte, silent bool) outcome {
			o := unasked(b, silent, 1)
			if !silent { // the peer reads again
				o.cut = len(o.wrote) > 0
				o.wrote = append([]byte(unread[1:]), o.wrote...)
				return o
			}
			o.wrote, o.send = nil, []error{conn.ErrClosed}
			if b <= 0xf0 {
				o.err = stalledOr(silent, &wire.IncompleteError{SizeBytes: 1, Owed: true, Offered: uint32(len(unread))})
			}
			return o
		},
	},
}

func TestEveryByteInEveryStateHasItsOutcome(t *testing.T) {
	dir, err := os.MkdirTemp("", "") // a test's own is too long for the address of a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	// So many connections over TCP would use up its ports.
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, situation := range situations {
		for b := range 256 {
			t.Run(fmt.Sprintf("%s/%02x and silence", situation.name, b), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { situation.silence(t, byte(b)) })
			})
			t.Run(fmt.Sprintf("%s/%02x and the end", situation.name, b), func(t *testing.T) {
				situation.end(t, l, byte(b))
			})
		}
	}
}

// silence lets the byte arrive and nothing behind it, for an hour.
func (w *situation) silence(t *testing.T, b byte) {
	buffer := 64
	if w.deaf {
		buffer = 0
	}
	near, far := memPair(t, buffer)
	s := newStage(t, near, far, conn.Options{})
	w.reach(s)
	want := w.outcome(b, true)
	s.peer.says(b)
	time.Sleep(time.Hour)
	if s.isDone() == want.alive {
		t.Errorf("the connection has ended: %v, with %v", s.isDone(), s.c.Err())
	}
	var received []string
	for range want.received {
		msg, err := s.c.Receive(t.Context())
		checkError(t, err)
		received = append(received, string(msg))
	}
	synctest.Wait() // for what the Conn writes when it has room
	far.CloseWrite()
	w.check(s, want, received)
}

// end lets the byte arrive and the end of stream behind it.
func (w *situation) end(t *testing.T, l net.Listener, b byte) {
	near, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	far := accepted.(*net.UnixConn)
	defer far.Close()
	if w.deaf { // or the sockets take all that the peer doesn't read
		near.(*net.UnixConn).SetWriteBuffer(32 << 10)
		far.SetReadBuffer(32 << 10)
	}
	far.SetDeadline(time.Now().Add(patience))
	s := newStage(t, near, far, conn.Options{})
	w.reach(s)
	want := w.outcome(b, false)
	s.peer.says(b)
	if want.alive && !want.late { // a peer that accepted a message reads it before it ends
		s.peer.hears(want.wrote...)
		want.wrote = nil
	}
	far.CloseWrite()
	if want.late {
		if s.isDone() {
			t.Errorf("the connection ended with %v", s.c.Err())
		}
	} else if !w.deaf {
		<-s.c.Done()
	}
	w.check(s, want, nil)
}

// check compares all that came of it, at the end of the connection.
func (w *situation) check(s *stage, want outcome, received []string) {
	s.t.Helper()
	reading := make(chan []byte, 1)
	go func() { // ends with the connection
		p, _ := io.ReadAll(s.peer)
		reading <- p
	}()
	received = append(received, s.received()...)
	if diff := cmp.Diff(want.received, received); diff != "" {
		s.t.Errorf("received (-want +got):\n%s", diff)
	}
	checkError(s.t, s.c.Err(), want.err...)
	wrote := <-reading
	if s.sent != nil {
		err := <-s.sent
		if want.cut {
			if !bytes.HasPrefix(want.wrote, wrote) || err == nil && len(wrote) < len(unread)-1 {
				s.t.Errorf("the Conn wrote %s, expected a part of %s; Send: %v", summary(wrote), summary(want.wrote), err)
			}
			want.wrote = wrote
			if err != nil {
				want.send = []error{conn.ErrClosed, conn.ErrProtocol}
			}
		}
		checkError(s.t, err, want.send...)
	}
	if diff := cmp.Diff(summary(want.wrote), summary(wrote)); diff != "" {
		s.t.Errorf("the Conn wrote (-want +got):\n%s", diff)
	}
}

func TestEveryFirstByteIsAHelloOrANamedError(t *testing.T) {
	for name, transport := range transports {
		for b := range 256 {
			t.Run(fmt.Sprintf("%s/%02x", name, b), func(t *testing.T) {
				near, far := transport(t)
				go func() { // ends with the Conn
					far.Write([]byte{byte(b)})
					io.Copy(io.Discard, far)
				}()
				c, err := conn.New(t.Context(), near, nil)
				switch b {
				case 0xff:
					checkError(t, err)
					c.Close()
					return
				case 0xfe:
					checkError(t, err, conn.ErrConnLimit, conn.ErrRefused)
				case 0x00:
					checkError(t, err, conn.ErrRefused)
				default:
					checkError(t, err, conn.ErrNotTinyproto)
				}
				checkError(t, err, &wire.HelloError{Seen: byte(b)})
			})
		}
	}
}

func TestHelloThatDoesNotComeIsARefusal(t *testing.T) {
	for name, greet := range map[string]struct {
		peer func(*net.TCPConn)
		want []error
	}{
		"254 zero bytes": {
			func(peer *net.TCPConn) { peer.Write(make([]byte, 254)); peer.Close() },
			[]error{conn.ErrRefused, &wire.HelloError{Seen: 0}},
		},
		"end of stream": {
			func(peer *net.TCPConn) { peer.CloseWrite() },
			[]error{conn.ErrRefused},
		},
		"reset": {
			func(peer *net.TCPConn) { peer.SetLinger(0); peer.Close() },
			[]error{conn.ErrRefused, syscall.ECONNRESET},
		},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := tcpPair(t)
			greet.peer(far.(*net.TCPConn))
			_, err := conn.New(t.Context(), near, nil)
			checkError(t, err, greet.want...)
			if errors.Is(err, conn.ErrConnLimit) {
				t.Errorf("%v matches ErrConnLimit, which nobody sent", err)
			}
		})
	}
}

func TestPeerThatNeverGreetsIsATimeout(t *testing.T) {
	for name, reads := range map[string]bool{"reads": true, "does not read": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				if reads {
					go io.Copy(io.Discard, far) // ends with near
				}
				start := time.Now()
				_, err := conn.New(t.Context(), near, nil)
				checkError(t, err, os.ErrDeadlineExceeded)
				if diff := cmp.Diff(conn.DefaultHelloTimeout, time.Since(start)); diff != "" {
					t.Errorf("it took (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestOneByteAMinuteIsAStall(t *testing.T) {
	// A little more, so that no byte comes at the very moment of a timeout.
	const minute = time.Minute + time.Second
	for name, tt := range map[string]struct {
		doing string
		reach func(*stage)
		next  func(*stage)
	}{
		"of a size": {
			doing: "reading",
			reach: func(*stage) {},
			next:  func(s *stage) { s.peer.Write([]byte{0}) },
		},
		"of the peer's payload": {
			doing: "reading",
			reach: func(s *stage) {
				s.peer.says(offerOf(9)...)
				s.peer.hears(ok)
			},
			next: func(s *stage) { s.peer.Write([]byte{'x'}) },
		},
		"of ours": {
			doing: "writing",
			reach: func(s *stage) {
				s.send("123456789")
				s.peer.hears(offerOf(9)...)
				s.peer.says(ok)
			},
			next: func(s *stage) { s.peer.Read(make([]byte, 1)) },
		},
	} {
		for transport, pair := range map[string]func(testing.TB) (net.Conn, net.Conn){
			"pipe":   pipePair,
			"memory": func(t testing.TB) (net.Conn, net.Conn) { return memPair(t, 0) },
		} {
			t.Run(name+"/"+transport, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					near, far := pair(t)
					s := newStage(t, near, far, conn.Options{})
					tt.reach(s)
					for range 3 {
						tt.next(s)
						time.Sleep(minute)
					}
					if !s.isDone() {
						t.Error("the connection lives on")
					}
					checkError(t, s.c.Err(), &conn.StallError{Doing: tt.doing, After: conn.DefaultStallTimeout})
				})
			})
		}
	}
}

// heapInUse returns the memory in use. What other tests left needs more than one
// collection to go: pools, and what has a finalizer.
func heapInUse() int64 {
	for range 4 {
		runtime.GC()
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
