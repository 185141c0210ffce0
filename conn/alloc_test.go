package conn_test

import (
	"fmt"
	"io"
	"testing"
)

// AllocsPerRun counts what the whole process allocates, so the peers here
// allocate nothing.

func TestSendAllocatesNothing(t *testing.T) {
	for _, size := range []int{0, 1, 100, 8 << 10, 64 << 10, 1 << 20} {
		t.Run(fmt.Sprintf("%d bytes", size), func(t *testing.T) {
			nc, peer := tcpPair(t)
			c, _ := greetPlayed(t, t.Context(), nc, peer, nil)
			ended := make(chan struct{})
			go func() { // ends with the connection
				defer close(ended)
				heard, answer := make([]byte, max(size, 4)), []byte{ok}
				for {
					if _, err := io.ReadFull(peer, heard[:4]); err != nil {
						return
					}
					if _, err := peer.Write(answer); err != nil {
						return
					}
					if _, err := io.ReadFull(peer, heard[:size]); err != nil {
						return
					}
				}
			}()
			ctx, msg := t.Context(), make([]byte, size)
			allocs := testing.AllocsPerRun(100, func() {
				if err := c.Send(ctx, msg); err != nil {
					t.Error(err)
				}
			})
			if allocs != 0 {
				t.Errorf("a Send allocates %v times, expected none", allocs)
			}
			c.Close()
			<-ended
		})
	}
}

func TestAReceivedMessageIsOneAllocation(t *testing.T) {
	for size, want := range map[int]float64{0: 0, 1: 1, 100: 1, 4 << 10: 1, 5000: 1, 64 << 10: 1} {
		t.Run(fmt.Sprintf("%d bytes", size), func(t *testing.T) {
			nc, peer := tcpPair(t)
			c, _ := greetPlayed(t, t.Context(), nc, peer, nil)
			ended := make(chan struct{})
			go func() { // ends with the connection
				defer close(ended)
				said, heard, msg := offerOf(size), make([]byte, 1), make([]byte, size)
				for {
					if _, err := peer.Write(said); err != nil {
						return
					}
					if _, err := io.ReadFull(peer, heard); err != nil {
						return
					}
					if _, err := peer.Write(msg); err != nil {
						return
					}
				}
			}()
			ctx := t.Context()
			allocs := testing.AllocsPerRun(100, func() {
				if msg, err := c.Receive(ctx); len(msg) != size || err != nil {
					t.Errorf("received %d bytes, %v", len(msg), err)
				}
			})
			if allocs != want {
				t.Errorf("a message is %v allocations, expected %v", allocs, want)
			}
			c.Close()
			<-ended
		})
	}
}
