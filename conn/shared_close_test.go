package conn_test

import (
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
)

// The answer to a message that Receive has returned may wait for a reply of the
// application, but not be lost: the sender is to know that it arrived.
func TestWhatReceiveReturnedIsAnsweredThoughTheConnectionIsClosedAtOnce(t *testing.T) {
	inPipelinedMode(t)
	for range 20 {
		s := newShared(t, conn.Options{})
		for range 10 { // an application that replies at once
			s.delivers("request")
			s.receives("request")
			s.send("reply")
			s.peer.hears(append([]byte{ok}, dataOf("reply")...)...)
			s.peer.says(ok)
			if err := <-s.sent; err != nil {
				t.Fatal(err)
			}
		}
		s.delivers("last")
		s.receives("last")
		s.c.Close()
		s.peer.hears(ok)
	}
}

func TestWhatReceiveReturnedIsAnsweredThoughTheConnectionIsClosedBeforeTheNextIsTaken(t *testing.T) {
	inPipelinedMode(t)
	s := newShared(t, conn.Options{})
	s.peer.says(dataOf("one", "two")...)
	s.receives("one")
	s.c.Close()
	s.peer.hears(ok)
}
