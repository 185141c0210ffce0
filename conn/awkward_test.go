package conn_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

func TestAPeerThatClosesOnWhatItAcceptedIsNoCleanEnd(t *testing.T) {
	for range 100 {
		near, far := tcpPair(t)
		go func() { // ends with its script
			defer far.Close()
			far.Write([]byte{0xff})
			io.ReadFull(far, make([]byte, 1+4)) // the hello and the offer
			far.Write([]byte{0xff})
		}()
		c, err := conn.New(t.Context(), near, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Send(t.Context(), []byte("lost")); err != nil {
			continue // it is known that it was not sent
		}
		<-c.Done()
		for range c.Inbox() {
		}
		if err := c.Err(); !errors.Is(err, conn.ErrInDoubt) {
			t.Fatalf("Err %v, expected one that matches ErrInDoubt", err)
		}
	}
}

func TestCloseAmidAMessageIsNoCleanEndForItsSender(t *testing.T) {
	eachMode(t, testCloseAmidAMessageIsNoCleanEndForItsSender)
}

func testCloseAmidAMessageIsNoCleanEndForItsSender(t *testing.T) {
	for range 100 {
		x, y := tcpPair(t)
		a, b := join(t, x, y, nil, nil)
		done := make(chan struct{})
		go func() { // ends with b
			defer close(done)
			for a.Send(t.Context(), make([]byte, 20_000)) == nil {
			}
		}()
		<-b.Inbox()
		b.Close()
		<-done
		a.Close()
		sent, received, err := a.Stats().MessagesSent, b.Stats().MessagesReceived, a.Err()
		if inPipelined() { // what was received, and the answer not read, may have arrived
			if err == nil || sent > received {
				t.Fatalf("%d sent, %d received, and Err is %v", sent, received, err)
			}
			continue
		}
		if sent != received && !errors.Is(err, conn.ErrInDoubt) {
			t.Fatalf("%d sent, %d received, and Err is %v", sent, received, err)
		}
	}
}

// timeless is a transport that knows no deadlines, as a channel of SSH.
type timeless struct{ net.Conn }

func (timeless) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (timeless) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (timeless) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

func TestATransportWithoutDeadlinesIsBoundedAllTheSame(t *testing.T) {
	t.Run("hello", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, _ := net.Pipe()
			_, err := conn.New(t.Context(), timeless{near}, &conn.Options{HelloTimeout: time.Second})
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("New: %v, expected a timeout", err)
			}
		})
	})
	t.Run("context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, _ := net.Pipe()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := conn.New(ctx, timeless{near}, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("New: %v, expected the context's error", err)
			}
		})
	})
	t.Run("refuse", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, _ := net.Pipe()
			if err := conn.Refuse(t.Context(), timeless{near}); err == nil {
				t.Error("Refuse: nil although nobody has read the refusal")
			}
		})
	})
	t.Run("stalled write", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			go func() { // ends with its script
				greeted := make(chan struct{})
				go func() { far.Write([]byte{0xff}); close(greeted) }() // ends with the hello
				io.ReadFull(far, make([]byte, 1))
				<-greeted
				io.ReadFull(far, make([]byte, 4))
				far.Write([]byte{0xff}) // and reads nothing of the payload
			}()
			c, err := conn.New(t.Context(), timeless{near}, &conn.Options{StallTimeout: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			c.Send(t.Context(), []byte("unread"))
			for range c.Inbox() {
			}
			var stall *conn.StallError
			if err := c.Err(); !errors.As(err, &stall) {
				t.Errorf("Err %v, expected a StallError", err)
			}
		})
	})
}

// hesitant is a transport whose Reads return nothing, now and then.
type hesitant struct {
	net.Conn
	reads int
}

func (h *hesitant) Read(p []byte) (int, error) {
	if h.reads++; h.reads%2 == 1 {
		return 0, nil
	}
	return h.Conn.Read(p)
}

func TestReadsThatReturnNothingDoNoHarm(t *testing.T) {
	eachMode(t, testReadsThatReturnNothingDoNoHarm)
}

func testReadsThatReturnNothingDoNoHarm(t *testing.T) {
	x, y := pipePair(t)
	a, b := join(t, &hesitant{Conn: x}, y, nil, nil)
	go b.Send(t.Context(), []byte("hello")) // ends with the receive
	if msg, err := a.Receive(t.Context()); err != nil || string(msg) != "hello" {
		t.Errorf("received %q, %v", msg, err)
	}
}
