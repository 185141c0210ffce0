package conn_test

import (
	"bytes"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
)

// It is complete once its OK is written, by whoever writes, and no byte comes to
// wake the Receive that reads.
func TestAnEmptyMessageIsReceivedWhoeverWritesItsOK(t *testing.T) {
	for name, opts := range map[string]conn.Options{"Inbox without buffer": {}, "Inbox with a buffer": {InboxBuffer: 2}} {
		t.Run(name, func(t *testing.T) {
			s := newShared(t, opts)
			received := make(chan error, 1)
			go func() { // ends with the message
				_, err := receiveSoon(s.c)
				received <- err
			}()
			large := make([]byte, 16<<20) // more than the socket takes, so the writer goroutine is at it
			s.c.Outbox() <- large
			s.peer.hears(offerOf(len(large))...)
			s.peer.says(ok)
			s.peer.hears(0)
			s.peer.says(offerOf(0)...)
			s.peer.hears(bytes.Clone(large[1:])...)
			s.peer.hears(ok)
			if err := <-received; err != nil {
				t.Errorf("Receive returned %v", err)
			}
		})
	}
}
