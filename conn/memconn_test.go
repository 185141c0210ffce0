package conn_test

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// memConn is one end of a connection in memory, like TCP but for the network:
// full duplex, half-close, deadlines, a reset, and buffers of a chosen size. It
// blocks on nothing but a sync.Cond, so that it works in a synctest bubble.
type memConn struct{ in, out *memStream }

// memPair returns the two ends of a connection that buffers so many bytes in
// each direction. Without a buffer a write ends when all of it has been read.
func memPair(t testing.TB, buffer int) (a, b *memConn) {
	t.Helper()
	x, y := newMemStream(buffer), newMemStream(buffer)
	a, b = &memConn{in: x, out: y}, &memConn{in: y, out: x}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func (c *memConn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *memConn) Write(p []byte) (int, error) { return c.out.write(p) }

// CloseWrite has the peer read the end of the stream after what was written.
func (c *memConn) CloseWrite() error {
	c.out.change(func(s *memStream) { s.ended = true })
	return nil
}

// Close is like that of a TCP socket: unread input turns it into a reset.
func (c *memConn) Close() error {
	unread := false
	c.in.change(func(s *memStream) {
		unread = len(s.data) > 0
		s.readerErr = net.ErrClosed
		s.failWriter(syscall.EPIPE)
	})
	c.out.change(func(s *memStream) {
		s.ended = true
		s.failWriter(net.ErrClosed)
		if unread {
			s.failReader(syscall.ECONNRESET)
		}
	})
	return nil
}

// reset breaks the connection: what is under way is lost.
func (c *memConn) reset() {
	c.in.change(func(s *memStream) {
		s.readerErr = net.ErrClosed
		s.failWriter(syscall.ECONNRESET)
	})
	c.out.change(func(s *memStream) {
		s.failWriter(net.ErrClosed)
		s.failReader(syscall.ECONNRESET)
	})
}

// stopReading has the other end's writes fail, and nothing else.
func (c *memConn) stopReading() {
	c.in.change(func(s *memStream) { s.failWriter(syscall.EPIPE) })
}

func (c *memConn) SetReadDeadline(at time.Time) error {
	c.in.change(func(s *memStream) { s.readDeadline.set(s, at) })
	return nil
}

func (c *memConn) SetWriteDeadline(at time.Time) error {
	c.out.change(func(s *memStream) { s.writeDeadline.set(s, at) })
	return nil
}

func (c *memConn) SetDeadline(at time.Time) error {
	return errors.Join(c.SetReadDeadline(at), c.SetWriteDeadline(at))
}

func (c *memConn) LocalAddr() net.Addr  { return memAddr{} }
func (c *memConn) RemoteAddr() net.Addr { return memAddr{} }

type memAddr struct{}

func (memAddr) Network() string { return "memory" }
func (memAddr) String() string  { return "memory" }

// memStream is one direction of a connection.
type memStream struct {
	buffer int

	mu                          sync.Mutex
	changed                     sync.Cond
	data                        []byte // written, not yet read
	ended                       bool   // the end of the stream follows data
	readerErr, writerErr        error
	readDeadline, writeDeadline memDeadline
}

func newMemStream(buffer int) *memStream {
	s := &memStream{buffer: buffer}
	s.changed.L = &s.mu
	return s
}

// change makes a change, and tells everybody who waits for one.
func (s *memStream) change(f func(*memStream)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
	s.changed.Broadcast()
}

func (s *memStream) failWriter(err error) {
	if s.writerErr == nil {
		s.writerErr = err
	}
}

func (s *memStream) failReader(err error) {
	s.data = nil
	if s.readerErr == nil {
		s.readerErr = err
	}
}

func (s *memStream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.readerErr != nil:
			return 0, s.readerErr
		case s.readDeadline.passed:
			return 0, os.ErrDeadlineExceeded
		case len(s.data) > 0 && len(p) > 0:
			n := copy(p, s.data)
			s.data = s.data[n:]
			s.changed.Broadcast()
			return n, nil
		case s.ended:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

func (s *memStream) write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.writerErr != nil:
			err = s.writerErr
		case s.ended:
			err = syscall.EPIPE
		case s.writeDeadline.passed:
			err = os.ErrDeadlineExceeded
		case n == len(p) && (s.buffer > 0 || len(s.data) == 0):
			return n, nil
		}
		if err != nil {
			if s.buffer == 0 { // take back what nobody has read
				n -= len(s.data)
				s.data = nil
			}
			return n, err
		}
		room := s.buffer - len(s.data)
		if s.buffer == 0 && len(s.data) == 0 {
			room = len(p)
		}
		if more := min(room, len(p)-n); more > 0 {
			s.data = append(s.data, p[n:n+more]...)
			n += more
			s.changed.Broadcast()
			continue
		}
		s.changed.Wait()
	}
}

// length is how many bytes were written and not yet read.
func (s *memStream) length() (n int) {
	s.change(func(s *memStream) { n = len(s.data) })
	return n
}

// memDeadline is a deadline of a memStream, and guarded by its mutex.
type memDeadline struct {
	timer  *time.Timer
	passed bool
}

func (d *memDeadline) set(s *memStream, at time.Time) {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.timer, d.passed = nil, !at.IsZero() && !at.After(time.Now())
	if at.IsZero() || d.passed {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(time.Until(at), func() {
		s.change(func(*memStream) {
			if d.timer == timer {
				d.passed = true
			}
		})
	})
	d.timer = timer
}
