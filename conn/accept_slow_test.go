package conn_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// sleepy is a Writer that takes so long for every Write.
func sleepy(d time.Duration) calls { return func() { time.Sleep(d) } }

// The time that a Writer takes is not the peer's.
func TestASlowWriterIsNoStalledPeer(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		into := make(catcher, 1)
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{StallTimeout: time.Second, Accept: func(size uint32) conn.Placement {
			time.Sleep(time.Hour)
			p := into.accept(size)
			p.Writer = sleepy(time.Hour)
			done := p.Done
			p.Done = func(moved int64, err error) {
				time.Sleep(time.Hour)
				done(moved, err)
			}
			return p
		}})
		for range 3 {
			s.peer.saysFrom(4, []byte("d"))
			s.peer.says('a')
			synctest.Wait() // in the first Write
			s.peer.says([]byte("ta")...)
			if c := <-into; c.err != nil {
				t.Fatalf("Done was told %v", c.err)
			}
		}
		// But what the peer takes afterwards is.
		s.peer.saysFrom(4, []byte("d"))
		start := time.Now()
		c := <-into
		var stall *conn.StallError
		if !errors.As(c.err, &stall) {
			t.Errorf("Done was told %v, expected a StallError", c.err)
		}
		if took, want := time.Since(start), 2*time.Hour+time.Second; took != want {
			t.Errorf("it took %v, expected %v: a Write, the StallTimeout and the Done", took, want)
		}
	})
}

// To the peer, a slow Writer is a peer that does not read.
func TestTheSenderSeesASlowWriterAsAStall(t *testing.T) {
	eachMode(t, testTheSenderSeesASlowWriterAsAStall)
}

func testTheSenderSeesASlowWriterAsAStall(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		into := make(catcher, 1)
		x, y := memPair(t, 1<<10)
		a, b := join(t, x, y, &conn.Options{StallTimeout: time.Second}, &conn.Options{StallTimeout: time.Second,
			Accept: func(size uint32) conn.Placement {
				p := into.accept(size)
				p.Writer = sleepy(10 * time.Second)
				return p
			}})
		err := a.Send(t.Context(), content(streamLarge))
		var stall *conn.StallError
		if !errors.As(err, &stall) || stall.Doing != "writing" {
			t.Errorf("Send returned %v, expected a StallError about writing", err)
		}
		c := <-into
		checkPartial(t, c.err, streamLarge, c.moved)
		b.Close()
	})
}

// While the application has the reader, no answer can be seen: that is not the
// peer's fault either.
func TestASlowWriterIsNoUnansweredOffer(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer bool // before the Writer returns
	}{
		{"that the peer has answered", true},
		{"that the peer does not answer", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newStage(t, nc, peer, conn.Options{AnswerTimeout: time.Second, StallTimeout: -1,
					Accept: func(size uint32) conn.Placement {
						return conn.Placement{Writer: sleepy(time.Hour)}
					}})
				start := time.Now()
				s.peer.saysFrom(4, []byte("da"))
				synctest.Wait() // in the Write
				s.send("ours")
				s.peer.hears(offerOf(4)...)
				if c.answer {
					s.peer.says([]byte("ta")...)
					s.peer.says(ok)
					s.peer.hears([]byte("ours")...)
					if err := <-s.sent; err != nil {
						t.Errorf("Send returned %v", err)
					}
					return
				}
				var stall *conn.StallError
				if err := <-s.sent; !errors.As(err, &stall) {
					t.Errorf("Send returned %v, expected a StallError", err)
				}
				if took, want := time.Since(start), time.Hour+time.Second; took != want {
					t.Errorf("it took %v, expected %v: the Write and the AnswerTimeout", took, want)
				}
			})
		})
	}
}

// The same where the reader has to see to the Done of an empty message.
func TestASlowDoneOfAnEmptyMessageIsNoUnansweredOffer(t *testing.T) {
	leaktest.Check(t)
	nc, peer := tcpPair(t)
	const timeout = 200 * time.Millisecond
	inDone, proceed := make(chan bool), make(chan bool)
	s := newStage(t, nc, peer, conn.Options{AnswerTimeout: timeout, Accept: func(size uint32) conn.Placement {
		return conn.Placement{Writer: calls(func() {}), Done: func(int64, error) {
			inDone <- true
			<-proceed
		}}
	}})
	s.peer.saysMessage("")
	<-inDone
	s.send("ours")
	s.peer.hears(offerOf(4)...)
	s.peer.says(ok)
	time.Sleep(2 * timeout) // the time that it takes
	close(proceed)
	s.peer.hears([]byte("ours")...)
	if err := <-s.sent; err != nil {
		t.Errorf("Send returned %v", err)
	}
}

// A connection may be over before anybody ends it, as its last Send found out.
func TestAWriterThatNeverReturnsHoldsUpNoEnd(t *testing.T) {
	for _, e := range []end{byClose, byShutdown, byContext} {
		for _, first := range []struct {
			name string
			do   func(*stage)
			wait time.Duration
		}{
			{"while it lives", func(*stage) {}, 0},
			{"when it has failed", func(s *stage) {
				s.peer.Conn.(*memConn).stopReading()
				s.send("lost")
			}, 2 * time.Second},
		} {
			t.Run(e.name+" "+first.name, func(t *testing.T) {
				leaktest.Check(t)
				synctest.Test(t, func(t *testing.T) {
					into := make(catcher, 1)
					never := make(chan bool)
					nc, peer := memPair(t, 1<<10)
					s := newStage(t, nc, peer, conn.Options{Accept: func(size uint32) conn.Placement {
						p := into.accept(size)
						p.Writer = calls(func() { <-never })
						return p
					}})
					s.peer.saysFrom(10, []byte("half"))
					synctest.Wait()
					first.do(s)
					time.Sleep(first.wait)
					start := time.Now()
					go e.do(s) // ends with the connection
					if m := s.received(); m != nil {
						t.Errorf("received %q", m)
					}
					at := <-s.ended
					if took := at.Sub(start); took > 10*time.Second {
						t.Errorf("the end took %v, expected at most 10s", took)
					}
					synctest.Wait()
					into.checkNothingMore(t) // the Writer is still in use
					close(never)
					c := <-into
					checkPartial(t, c.err, 10, 4)
					if s.sent != nil {
						if err := <-s.sent; !errors.Is(err, conn.ErrClosed) {
							t.Errorf("Send returned %v, expected ErrClosed", err)
						}
					}
				})
			})
		}
	}
}

// Nor does a Done that never returns, as of a message that the end itself broke off.
func TestADoneThatNeverReturnsHoldsUpNoEnd(t *testing.T) {
	for _, e := range []end{byClose, byShutdown, byContext} {
		for _, size := range []int{10, 4, 0} { // broken off, whole, empty
			t.Run(fmt.Sprint(e.name, " ", size), func(t *testing.T) {
				leaktest.Check(t)
				synctest.Test(t, func(t *testing.T) {
					never := make(chan bool)
					nc, peer := memPair(t, 1<<10)
					s := newStage(t, nc, peer, conn.Options{Accept: func(uint32) conn.Placement {
						return conn.Placement{Writer: calls(func() {}), Done: func(int64, error) { <-never }}
					}})
					s.peer.saysFrom(size, []byte("data")[:min(size, 4)])
					synctest.Wait()
					start := time.Now()
					go e.do(s) // ends with the connection
					s.received()
					if took := (<-s.ended).Sub(start); took > 10*time.Second {
						t.Errorf("the end took %v, expected at most 10s", took)
					}
					close(never)
				})
			})
		}
	}
}

// A graceful end waits for what was accepted, however long the Writer takes.
func TestShutdownWaitsForASlowWriter(t *testing.T) { eachMode(t, testShutdownWaitsForASlowWriter) }

func testShutdownWaitsForASlowWriter(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		into := make(catcher, 1)
		x, y := memPair(t, 1<<10)
		// In pipelined mode a peer in a slow Writer gives no sign of life.
		a, b := join(t, x, y, &conn.Options{StallTimeout: -1, PeerTimeout: -1}, &conn.Options{Accept: func(size uint32) conn.Placement {
			p := into.accept(size)
			p.Writer = sleepy(time.Hour)
			return p
		}})
		sent := make(chan error, 1)
		go func() { sent <- a.Send(context.Background(), content(3*streamPiece)) }() // ends with the message
		synctest.Wait()
		if err := b.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown returned %v", err)
		}
		select {
		case c := <-into:
			if c.err != nil || c.moved != 3*streamPiece {
				t.Errorf("Done was told %d, %v", c.moved, c.err)
			}
		default:
			t.Error("Shutdown returned before Done was called")
		}
		if err := <-sent; err != nil {
			t.Errorf("Send returned %v", err)
		}
	})
}
