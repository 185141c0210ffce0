package hub_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/hub"
	"github.com/tinyproto-go/tinyproto/wire"
)

func TestAFloodingMemberGetsNoMoreTurnsThanAnyOther(t *testing.T) {
	eachMode(t, testAFloodingMemberGetsNoMoreTurnsThanAnyOther)
}

func testAFloodingMemberGetsNoMoreTurnsThanAnyOther(t *testing.T) {
	for _, buffer := range []int{0, 10, 64} {
		t.Run(fmt.Sprint("buffer ", buffer), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const members, rounds, flood = 10, 50, 100
				h := start(t, &hub.Options{EventBuffer: buffer})
				names := map[*hub.Member]int{}
				for i := range members {
					own, theirs := pipePair()
					c, peer := greet(t, own, theirs, nil)
					m, err := h.Join(c)
					if err != nil {
						t.Fatal(err)
					}
					names[m] = i
					inFlight := 1
					if i == 0 {
						inFlight = flood
					}
					for range inFlight {
						go func() { // ends with the connection
							for peer.Send(context.Background(), []byte("me too")) == nil {
							}
						}()
					}
				}
				// Whoever came first has the buffer, and all have a turn for their Joined.
				for range buffer + members {
					synctest.Wait()
					<-h.Events()
				}
				for round := range rounds {
					turns := make([]int, members)
					for range members {
						synctest.Wait() // all have something to say
						e := <-h.Events()
						if e.Kind == hub.Left {
							t.Fatalf("%d left: %v", names[e.Member], e.Err)
						}
						turns[names[e.Member]]++
					}
					want := bytes.Repeat([]byte("1 "), members)
					if got := fmt.Sprint(turns); got != "["+string(want[:len(want)-1])+"]" {
						t.Fatalf("turns of round %d, the flooding member first: %s", round, got)
					}
				}
			})
		})
	}
}

func TestASlowMemberDelaysNobodyElse(t *testing.T) { eachMode(t, testASlowMemberDelaysNobodyElse) }

func testASlowMemberDelaysNobodyElse(t *testing.T) {
	for name, slow := range map[string]func(t *testing.T, raw net.Conn) (whole int){
		"it never reads": func(t *testing.T, raw net.Conn) int { return 0 },
		"it reads a byte a second": func(t *testing.T, raw net.Conn) int {
			for whole := 0; ; whole++ { // ends with the connection
				first, err := readSlowly(raw, 1)
				if err == nil && first[0] == byte(wire.Ping) {
					raw.Write([]byte{byte(wire.Pong)})
					_, err = readSlowly(raw, 1)
				}
				if err != nil {
					return whole
				}
				size, err := readSlowly(raw, wire.SizeLen-1)
				if err != nil {
					return whole
				}
				if !inPipelined() {
					raw.Write([]byte{byte(wire.OK)})
				}
				if _, err := readSlowly(raw, int(size[2])); err != nil {
					return whole
				}
				if inPipelined() {
					raw.Write([]byte{byte(wire.OK)})
				}
			}
		},
		"it accepts and never reads on": func(t *testing.T, raw net.Conn) int {
			read(t, raw, 0, 0, 0, 64)
			if !inPipelined() {
				write(t, raw, byte(wire.OK))
			}
			return 0
		},
	} {
		for _, policy := range []hub.Policy{hub.Evict, hub.DropNewest, hub.DropOldest, hub.Block} {
			t.Run(fmt.Sprintf("%s, %v", name, policy), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					const others, messages = 10, 300
					h := start(t, &hub.Options{Full: policy, QueueMessages: 4})
					go drain(h) // ends with the hub
					slowMember, raw := joinRaw(t, h)
					whole := make(chan int, 1)
					go func() { whole <- slow(t, raw) }() // ends with the connection
					var received atomic.Int64
					members := []*hub.Member{slowMember}
					for range others {
						m, peer := joinPipe(t, h)
						members = append(members, m)
						go func() { // ends with the peer
							for range peer.Inbox() {
								received.Add(1)
							}
						}()
					}
					body := make([]byte, 64)
					for i := range messages {
						ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // for Block
						go func() {                                                           // ends with its context
							defer cancel()
							h.Broadcast(ctx, body)
						}()
						synctest.Wait()
						// No time has passed, and it is with all others.
						if n := received.Load(); n != int64(i+1)*others {
							t.Fatalf("%d messages have arrived after %d broadcasts to %d others", n, i+1, others)
						}
						time.Sleep(time.Second)
					}
					raw.Close()
					<-slowMember.Done()
					s, n := slowMember.Stats(), <-whole
					if s.Delivered != uint64(n) {
						t.Errorf("%d messages have arrived at the slow one, counted are %+v", n, s)
					}
					if s.Sent == 0 || s.Dropped == 0 || (policy == hub.Evict) != (h.Stats().Evicted == 1) {
						t.Errorf("the policy was not needed: %+v", s)
					}
					for _, m := range members {
						m.Leave()
						<-m.Done()
					}
					reconcile(t, h, members)
				})
			})
		}
	}
}

// readSlowly reads a byte a second.
func readSlowly(r io.Reader, n int) ([]byte, error) {
	p := make([]byte, n)
	for i := range p {
		time.Sleep(time.Second)
		if _, err := r.Read(p[i : i+1]); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func TestASocketThatIsFullDelaysNobodyElse(t *testing.T) {
	eachMode(t, testASocketThatIsFullDelaysNobodyElse)
}

func testASocketThatIsFullDelaysNobodyElse(t *testing.T) {
	const others, messages = 5, 100
	h := start(t, &hub.Options{Full: hub.DropOldest, QueueMessages: 2})
	go drain(h) // ends with the hub
	own, raw := tcpPair(t)
	m := joinRawOver(t, h, own, raw)
	// It accepts a message, and then reads little of it: more than its socket holds.
	body := make([]byte, 8<<20)
	if err := h.Send(t.Context(), m.ID(), body); err != nil {
		t.Fatal(err)
	}
	read(t, raw, 0, 0x80, 0, 0)
	if !inPipelined() {
		write(t, raw, byte(wire.OK))
	}
	read(t, raw, 0) // behind which no other message was offered
	var peers []*conn.Conn
	for range others {
		_, peer := join(t, h)
		peers = append(peers, peer)
	}
	for i := range messages {
		want := fmt.Append(nil, i)
		if n, err := h.Broadcast(t.Context(), want); n != others+1 || err != nil {
			t.Fatalf("queued for %d, %v", n, err)
		}
		for _, peer := range peers { // they have it before the next is sent
			if got := receive(t, peer, 1); len(got) != 1 || got[0] != string(want) {
				t.Fatalf("received %q, expected %q", got, want)
			}
		}
	}
	want := hub.MemberStats{Sent: messages + 1, Dropped: messages - 2, QueuedMessages: 2, QueuedBytes: 4, Sending: true}
	if diff := cmp.Diff(want, m.Stats()); diff != "" {
		t.Errorf("counts of the one whose socket is full (-expected +got):\n%s", diff)
	}
}
