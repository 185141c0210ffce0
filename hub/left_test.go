package hub_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/hub"
	"github.com/tinyproto-go/tinyproto/wire"
)

func TestLeftSaysWhyAConnectionEnded(t *testing.T) { eachMode(t, testLeftSaysWhyAConnectionEnded) }

func testLeftSaysWhyAConnectionEnded(t *testing.T) {
	reason := errors.New("they know why")
	send := func(t *testing.T, h *hub.Hub, messages int) {
		for range messages {
			if n, err := h.Broadcast(t.Context(), []byte("message")); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		synctest.Wait()
	}
	for name, test := range map[string]struct {
		opts hub.Options
		raw  bool // the peer is written by hand, and has greeted
		end  func(t *testing.T, h *hub.Hub, m *hub.Member, peer *conn.Conn, raw net.Conn)
		want []error // all of these; none means a clean end
	}{
		"the peer ends it": {
			end: func(t *testing.T, h *hub.Hub, m *hub.Member, peer *conn.Conn, raw net.Conn) {
				peer.Shutdown(t.Context())
			},
		},
		"Leave": {
			end: func(t *testing.T, h *hub.Hub, m *hub.Member, peer *conn.Conn, raw net.Conn) { m.Leave() },
		},
		"Leave, without any grace": {
			opts: hub.Options{Grace: -1},
			end:  func(t *testing.T, h *hub.Hub, m *hub.Member, peer *conn.Conn, raw net.Conn) { m.Leave() },
		},
		"Leave, and the peer keeps its side open": {
			opts: hub.Options{Grace: 500 * time.Millisecond}, // less than the connection lingers
			end:  func(t *testing.T, h *hub.Hub, m *hub.Member, peer *conn.Conn, raw net.Conn) { m.Leave() },
			raw:  true,
		},
		"Leave, and the peer does not read what is queued": {
			end: func(t *testing.T, h *hub.Hub, m *hub.Member, peer *conn.Conn, raw net.Conn) {
				send(t, h, offQueue)
				m.Leave()
			},
			want: []error{conn.ErrGrace},
		},
		"Close": {
			end:  func(t *testing.T, h *hub.Hub, m *hub.Member, peer *conn.Conn, raw net.Conn) { m.Close(nil) },
			want: []error{conn.ErrClosed},
		},
		"Close with a reason": {
			end:  func(t *testing.T, h *hub.Hub, m *hub.Member, peer *conn.Conn, raw net.Conn) { m.Close(reason) },
			want: []error{reason},
		},
		"it was evicted": {
			opts: hub.Options{QueueMessages: 1},
			end: func(t *testing.T, h *hub.Hub, m *hub.Member, peer *conn.Conn, raw net.Conn) {
				for range offQueue + 1 {
					send(t, h, 1)
				}
				h.Broadcast(t.Context(), []byte("one too many"))
			},
			want: []error{hub.ErrEvicted},
		},
		"it breaks in the middle of a message": {
			raw: true,
			end: func(t *testing.T, h *hub.Hub, m *hub.Member, peer *conn.Conn, raw net.Conn) {
				begin(t, raw)
				raw.Close()
			},
			want: []error{io.ErrUnexpectedEOF},
		},
		"it breaks before it answers": {
			raw: true,
			end: func(t *testing.T, h *hub.Hub, m *hub.Member, peer *conn.Conn, raw net.Conn) {
				h.Broadcast(t.Context(), []byte("hello"))
				read(t, raw, 0, 0, 0, 5)
				raw.Close()
			},
			want: []error{io.ErrUnexpectedEOF},
		},
		"the peer stalls in the middle of a message": {
			raw: true,
			end: func(t *testing.T, h *hub.Hub, m *hub.Member, peer *conn.Conn, raw net.Conn) {
				begin(t, raw) // and 30 s later it is over
			},
			want: []error{io.ErrUnexpectedEOF},
		},
		"the peer breaks the protocol": {
			raw: true,
			end: func(t *testing.T, h *hub.Hub, m *hub.Member, peer *conn.Conn, raw net.Conn) {
				write(t, raw, 0xfb)
				raw.Close()
			},
			want: []error{conn.ErrProtocol},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := start(t, &test.opts)
				var m *hub.Member
				var peer *conn.Conn
				var raw net.Conn
				if test.raw {
					m, raw = joinRaw(t, h)
				} else {
					m, peer = joinPipe(t, h)
				}
				if e := <-h.Events(); e.Kind != hub.Joined || e.Member != m {
					t.Fatalf("%v comes first", e.Kind)
				}
				test.end(t, h, m, peer, raw)
				e := <-h.Events()
				if e.Kind != hub.Left || e.Member != m {
					t.Fatalf("%v instead of the end", e.Kind)
				}
				if e.Err != nil && len(test.want) == 0 {
					t.Errorf("error %v, expected a clean end", e.Err)
				}
				for _, want := range test.want {
					if !errors.Is(e.Err, want) {
						t.Errorf("error %v does not match %v", e.Err, want)
					}
				}
				<-m.Done()
				if m.Err() != e.Err {
					t.Errorf("the member's error is %v, that of its end %v", m.Err(), e.Err)
				}
				reconcile(t, h, []*hub.Member{m})
			})
		})
	}
}

func TestAMemberEndsWithTheContextOfItsConnection(t *testing.T) {
	eachMode(t, testAMemberEndsWithTheContextOfItsConnection)
}

func testAMemberEndsWithTheContextOfItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil)
		go drain(h) // ends with the hub
		reason := errors.New("its server ends")
		ctx, cancel := context.WithCancelCause(t.Context())
		own, theirs := pipePair()
		greeted := make(chan *conn.Conn, 1)
		go func() { // ends with the hello
			c, err := conn.New(ctx, own, nil)
			if err != nil {
				t.Error(err)
			}
			greeted <- c
		}()
		peer, err := conn.New(t.Context(), theirs, asking(narrow(conn.Options{})))
		if err != nil {
			t.Fatal(err)
		}
		m, err := h.Join(<-greeted)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if err := h.Send(t.Context(), m.ID(), []byte("message")); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		cancel(reason) // what was on its way still arrives, the rest does not
		synctest.Wait()
		if n := drainPeer(peer); n != offQueue {
			t.Errorf("%d messages arrived, expected %d", n, offQueue)
		}
		<-m.Done()
		if err := m.Err(); !errors.Is(err, reason) {
			t.Errorf("error %v, expected %v", err, reason)
		}
		if s := m.Stats(); s.Delivered != offQueue || s.Undelivered != 5-offQueue {
			t.Errorf("counts %+v", s)
		}
		reconcile(t, h, []*hub.Member{m})
	})
}

func TestAConnectionThatIsOverMayJoin(t *testing.T) {
	eachMode(t, testAConnectionThatIsOverMayJoin)
}

func testAConnectionThatIsOverMayJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil)
		own, theirs := pipePair()
		c, peer := greet(t, own, theirs, nil)
		go peer.Send(t.Context(), []byte("last words")) // ends at once
		synctest.Wait()
		peer.Close()
		synctest.Wait()
		m, err := h.Join(c)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []hub.Kind{hub.Joined, hub.Message, hub.Left} {
			e := <-h.Events()
			clean := e.Err == nil
			if inPipelined() && want == hub.Left { // its peer did not say BYE
				clean = errors.Is(e.Err, io.ErrUnexpectedEOF)
			}
			if e.Kind != want || e.Member != m || !clean {
				t.Errorf("event %d: %v, %v; expected %v", i, e.Kind, e.Err, want)
			}
		}
	})
}

// joinRaw adds a member over a pipe whose other end has greeted, and is the
// test's to write and read.
func joinRaw(t testing.TB, h *hub.Hub) (*hub.Member, net.Conn) {
	t.Helper()
	own, raw := pipePair()
	return joinRawOver(t, h, halfCloser{own}, raw), raw
}

// joinRawOver adds a member over one end of a transport, and greets it from
// the other end, which is closed when the test ends.
func joinRawOver(t testing.TB, h *hub.Hub, own, raw net.Conn) *hub.Member {
	t.Helper()
	t.Cleanup(func() { raw.Close() })
	greeted := make(chan error, 1)
	var c *conn.Conn
	go func() { // ends with the hello
		var err error
		c, err = conn.New(context.Background(), own, nil)
		greeted <- err
	}()
	greetByHand(t, raw)
	if err := <-greeted; err != nil {
		t.Fatal(err)
	}
	m, err := h.Join(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// greetByHand greets, and agrees with the other end on the mode that the test is in.
func greetByHand(t testing.TB, raw net.Conn) {
	t.Helper()
	read(t, raw, byte(wire.OK))
	write(t, raw, byte(wire.OK))
	if !inPipelined() {
		return
	}
	write(t, raw, []byte(wire.PipelinedRequest)...)
	read(t, raw, byte(wire.OK))
	if _, err := io.ReadFull(raw, make([]byte, wire.TermsLen)); err != nil {
		t.Fatal(err)
	}
	ours := wire.Terms{MaxMessage: 16 << 20, WindowMessages: 100, WindowBytes: 1 << 20}
	write(t, raw, ours.Append(nil)...)
}

// begin writes the first third of a message.
func begin(t testing.TB, raw net.Conn) {
	t.Helper()
	write(t, raw, 0, 0, 0, 9)
	if !inPipelined() {
		read(t, raw, byte(wire.OK))
	}
	write(t, raw, 1, 2, 3)
}

// halfCloser is a pipe that has a half-close, which its peer doesn't notice.
type halfCloser struct{ net.Conn }

func (halfCloser) CloseWrite() error { return nil }

func write(t testing.TB, raw net.Conn, p ...byte) {
	t.Helper()
	if _, err := raw.Write(p); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, raw net.Conn, want ...byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(raw, got); err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Fatalf("read % x, expected % x", got, want)
	}
}

func TestAMemberWhoseConnectionIsEndingByItselfCanStillBeEnded(t *testing.T) {
	eachMode(t, testAMemberWhoseConnectionIsEndingByItselfCanStillBeEnded)
}

func testAMemberWhoseConnectionIsEndingByItselfCanStillBeEnded(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(m *hub.Member, endHub context.CancelFunc)
		want time.Duration
	}{
		"Close": {func(m *hub.Member, _ context.CancelFunc) { m.Close(nil) }, 0},
		"Leave": {func(m *hub.Member, _ context.CancelFunc) { m.Leave() }, 3 * time.Second},
		"Run":   {func(_ *hub.Member, endHub context.CancelFunc) { endHub() }, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := hub.New(&hub.Options{Grace: 3 * time.Second})
				go drain(h) // ends with the hub
				hubCtx, endHub := context.WithCancel(context.Background())
				defer endHub()
				go h.Run(hubCtx) // ends with hubCtx
				own, raw := pipePair()
				defer raw.Close()
				ctx, cancel := context.WithCancel(t.Context())
				greeted := make(chan *conn.Conn, 1)
				go func() { // ends with the hello
					c, err := conn.New(ctx, own, &conn.Options{Grace: time.Hour, StallTimeout: -1})
					if err != nil {
						t.Error(err)
					}
					greeted <- c
				}()
				greetByHand(t, raw)
				m, err := h.Join(<-greeted)
				if err != nil {
					t.Fatal(err)
				}
				begin(t, raw)
				cancel() // the connection lives on, for the rest of the message
				synctest.Wait()
				select {
				case <-m.Done():
					t.Fatal("the connection has ended")
				default:
				}
				began := time.Now()
				test.end(m, endHub)
				<-m.Done()
				if took := time.Since(began); took > test.want {
					t.Errorf("it took %v to end, expected no more than %v", took, test.want)
				}
			})
		})
	}
}
