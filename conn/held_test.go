package conn_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// The tests of this file are of messages that wait for the application while a write
// of ours waits for a peer that reads slowly: one direction does not hold up the other.

// tardy does not fit into the buffers of the transports here.
var tardy = strings.Repeat("tardy ", 4<<10)

// newHolding is a stage in the mode of eachMode.
func newHolding(t testing.TB, buffer int, opts conn.Options) *stage {
	nc, peer := memPair(t, buffer)
	if inPipelined() {
		return newPipelined(t, nc, peer, opts, generous)
	}
	return newStage(t, nc, peer, opts)
}

// ways are those to send tardy.
var ways = map[string]func(*stage){
	"Send":     func(s *stage) { s.send(tardy) },
	"Outbox":   func(s *stage) { s.sent = nil; s.queue(tardy) },
	"SendFrom": func(s *stage) { s.sendFrom(strings.NewReader(tardy), int64(len(tardy))) },
}

// holdsThenWrites has a message arrive, and then a write wait for the peer.
func (s *stage) holdsThenWrites(msg string, write func(*stage)) {
	s.t.Helper()
	s.delivers(msg)
	synctest.Wait()
	write(s)
	if !inPipelined() {
		s.peer.hears(offerOf(len(tardy))...)
		s.peer.says(ok)
	}
	synctest.Wait()
}

// writesThenHolds has a write wait for the peer, and then a message arrive.
func (s *stage) writesThenHolds(msg string, write func(*stage)) {
	s.t.Helper()
	write(s)
	if inPipelined() {
		synctest.Wait()
		s.peer.says(dataOf(msg)...)
	} else {
		s.peer.hears(offerOf(len(tardy))...)
		s.peer.says(offerOf(len(msg))...)
		s.peer.hears(ok)
		s.peer.says(ok)
		synctest.Wait()
		s.peer.says([]byte(msg)...)
	}
	synctest.Wait()
}

// orders are those in which the two may come.
var orders = map[string]func(*stage, string, func(*stage)){
	"held first":    (*stage).holdsThenWrites,
	"written first": (*stage).writesThenHolds,
}

// readsOn has the peer read what was written so slowly, and the answers to so many
// messages behind it.
func (s *stage) readsOn(answers int) {
	s.t.Helper()
	if inPipelined() {
		s.peer.hears(append(dataOf(tardy), times(answers, ok)...)...)
		s.peer.says(ok)
	} else {
		s.peer.hears([]byte(tardy)...)
	}
	if s.sent != nil {
		if err := <-s.sent; err != nil {
			s.t.Errorf("the message that was read slowly: %v", err)
		}
	}
}

// takesAtOnce expects messages, without that any time passes.
func (s *stage) takesAtOnce(msgs ...string) {
	s.t.Helper()
	start := time.Now()
	for _, want := range msgs {
		if got, open := <-s.c.Inbox(); string(got) != want || !open {
			s.t.Fatalf("the Inbox has %q, open: %v, expected %q", got, open, want)
		}
	}
	if took := time.Since(start); took > 0 {
		s.t.Errorf("it took %v", took)
	}
}

func TestWhatIsHeldIsHandedOverWhileAWriteWaits(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		for _, buffer := range []int{0, 16} {
			for order, hold := range orders {
				for way, write := range ways {
					t.Run(fmt.Sprintf("%s, %s, buffer %d", order, way, buffer), func(t *testing.T) {
						leaktest.Check(t)
						synctest.Test(t, func(t *testing.T) {
							s := newHolding(t, buffer, conn.Options{})
							for range 3 {
								hold(s, "held", write)
								s.takesAtOnce("held")
								s.readsOn(1)
							}
						})
					})
				}
			}
		}
	})
}

func TestTheWriterHandsOverWhatNobodyTookWhileItsWriteWaited(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		for order, hold := range orders {
			for way, write := range ways {
				t.Run(order+", "+way, func(t *testing.T) {
					leaktest.Check(t)
					synctest.Test(t, func(t *testing.T) {
						s := newHolding(t, 16, conn.Options{})
						for range 3 {
							hold(s, "held", write)
							s.readsOn(0)
							synctest.Wait()
							s.takesAtOnce("held")
							if inPipelined() {
								s.peer.hears(ok)
							}
						}
						s.delivers("next")
						synctest.Wait()
						s.takesAtOnce("next")
					})
				})
			}
		}
	})
}

// goroutines counts those that connections have started.
func goroutines() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return bytes.Count(stacks, []byte("created by github.com/tinyproto-go/tinyproto/conn."))
}

// The goroutine that hands over in the place of the writer is there only as long as
// the writer waits and something is held.
func TestAGoroutineIsAddedOnlyWhileAWriteWaitsAndAMessageIsHeld(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		for order, hold := range orders {
			for _, c := range []struct {
				name string
				way  string
				take bool
				more int // goroutines, while the write waits
			}{
				{"and one that is taken", "Outbox", true, 1},
				{"and one that is not", "Outbox", false, 1},
				{"but SendFrom's, which is not the writer's", "SendFrom", true, 0},
			} {
				t.Run(order+", "+c.name, func(t *testing.T) {
					leaktest.Check(t)
					synctest.Test(t, func(t *testing.T) {
						s := newHolding(t, 16, conn.Options{})
						s.c.Outbox() // so that there is a writer
						synctest.Wait()
						before := goroutines()
						hold(s, "held", ways[c.way])
						if n := goroutines() - before; n != c.more {
							t.Errorf("there are %d goroutines more, expected %d", n, c.more)
						}
						if c.take {
							s.takesAtOnce("held")
						} else {
							s.readsOn(0)
						}
						synctest.Wait()
						if n := goroutines() - before; n != 0 {
							t.Errorf("there are %d goroutines more in the end", n)
						}
					})
				})
			}
		}
	})
}

func TestAllThatArrivesIsHandedOverWhileAWriteWaits(t *testing.T) {
	mode = conn.Pipelined // in classic mode no second message comes before the write is through
	defer func() { mode = conn.Classic }()
	for _, c := range []struct {
		order  string
		buffer int
	}{{"held first", 0}, {"written first", 0}, {"written first", 3}} {
		t.Run(fmt.Sprintf("%s, InboxBuffer %d", c.order, c.buffer), func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				s := newHolding(t, 16, conn.Options{InboxBuffer: c.buffer})
				const n = 100
				for round := range 2 {
					orders[c.order](s, "first", ways["Send"])
					var msgs []string
					for i := range n {
						msgs = append(msgs, fmt.Sprintf("%d in round %d", i, round))
					}
					s.peer.says(dataOf(msgs[:n/2]...)...)
					s.takesAtOnce(append([]string{"first"}, msgs[:n/4]...)...)
					s.peer.says(dataOf(msgs[n/2:]...)...)
					s.takesAtOnce(msgs[n/4:]...)
					s.peer.says(dataOf("", "last")...) // all was taken before
					synctest.Wait()
					s.takesAtOnce("", "last")
					s.readsOn(n + 3)
				}
			})
		})
	}
}

// What is not decoded yet is left to the writer, and what is decoded is not.
func TestWhatIsDecodedIsHandedOverWhileAWriteWaits(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		leaktest.Check(t)
		synctest.Test(t, func(t *testing.T) {
			s := newHolding(t, 16, conn.Options{Transforms: always(tag(tardy[0]))})
			s.delivers("theld")
			synctest.Wait()
			s.send(tardy[1:])
			if inPipelined() {
				s.peer.says(dataOf("tundecoded")...)
			} else {
				s.peer.hears(offerOf(len(tardy))...)
				s.peer.says(ok)
			}
			synctest.Wait()
			s.takesAtOnce("held")
			select {
			case m := <-s.c.Inbox():
				t.Errorf("the Inbox has %q", m)
			case <-time.After(time.Second):
			}
			if !inPipelined() {
				s.readsOn(0)
				s.delivers("tundecoded")
			} else {
				s.readsOn(1)
			}
			synctest.Wait()
			s.takesAtOnce("undecoded")
		})
	})
}
