package conn_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
)

func TestMessagesArriveOnceInOrderByteForByte(t *testing.T) {
	eachMode(t, testMessagesArriveOnceInOrderByteForByte)
}

func testMessagesArriveOnceInOrderByteForByte(t *testing.T) {
	for name, transport := range transports {
		t.Run(name, func(t *testing.T) {
			x, y := transport(t)
			a, b := join(t, x, y, nil, nil)
			sent := [][]byte{{}, {1}, []byte("hello"), make([]byte, 5000), make([]byte, 300_000)}
			go func() { // ends with the last message
				for _, m := range sent {
					a.Outbox() <- m
				}
				close(a.Outbox())
			}()
			var got [][]byte
			for m := range b.Inbox() {
				got = append(got, m)
			}
			if diff := cmp.Diff(sent, got); diff != "" {
				t.Errorf("received (-sent +received):\n%s", diff)
			}
			for _, c := range []*conn.Conn{a, b} {
				<-c.Done()
				for range c.Inbox() {
				}
				if err := c.Shutdown(t.Context()); err != nil { // waits for the end
					t.Errorf("Err after a clean end: %v", err)
				}
			}
		})
	}
}
