package conn_test

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// lateWrite is a transport whose second answer is written by a goroutine that
// runs on only after the peer's end of stream was read.
type lateWrite struct {
	net.Conn
	writes int
	ended  chan struct{}
}

func (l *lateWrite) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if err == io.EOF {
		close(l.ended)
	}
	return n, err
}

func (l *lateWrite) Write(p []byte) (int, error) {
	n, err := l.Conn.Write(p)
	if l.writes++; l.writes == 3 { // after the hello and the first answer
		<-l.ended
		time.Sleep(time.Millisecond) // the reader goes on first
	}
	return n, err
}

func TestAnEmptyMessageBeforeACleanEndArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		go func() { // ends with its script
			defer far.Close()
			b := make([]byte, 1)
			greeted := make(chan struct{})
			go func() { far.Write([]byte{0xff}); close(greeted) }() // ends with the hello
			io.ReadFull(far, b)
			<-greeted
			for range 2 {
				far.Write([]byte{0, 0, 0, 0})
				io.ReadFull(far, b)
			}
		}()
		c, err := conn.New(context.Background(), &lateWrite{Conn: near, ended: make(chan struct{})}, nil)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the second offer has to wait for room
		n := 0
		for range c.Inbox() {
			n++
		}
		if err := c.Err(); n != 2 || err != nil {
			t.Errorf("received %d messages, Err %v; expected 2 and nil", n, err)
		}
	})
}
