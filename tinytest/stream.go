package tinytest

import (
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"time"
)

// stream is one direction of a connection. It is guarded by Network.mu.
type stream struct {
	link     *Link     // immutable
	dir      Direction // immutable
	from, to *Conn     // immutable: who writes, and who reads

	flight  flight
	arrived []byte // and not read
	unread  int    // bytes in flight and arrived
	taken   int64  // bytes read since the beginning

	ended      bool // the writer ended it
	endArrived bool
	busy       bool // a Write is in progress
	readErr    error
	writeErr   error

	readable, writable          sync.Cond
	readDeadline, writeDeadline deadline
	reads                       *rand.Rand // draws how much a Read returns
}

func newStream(link *Link, dir Direction) *stream {
	s := &stream{link: link, dir: dir}
	s.readable.L, s.writable.L = &link.net.mu, &link.net.mu
	s.reads = link.net.random("reads", link.from, link.to, link.made, dir)
	s.flight.random = link.net.random("flight", link.from, link.to, link.made, dir)
	return s
}

// read returns what has arrived.
func (s *stream) read(p []byte) (int, error) {
	for {
		s.advance()
		switch {
		case s.readErr != nil:
			return 0, s.readErr
		case s.readDeadline.passed:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case len(s.arrived) > 0:
			n := min(len(p), len(s.arrived))
			if limit := s.link.conditions.MaxSegment; limit > 0 {
				n = min(n, 1+s.reads.IntN(limit))
			}
			copy(p, s.arrived[:n])
			s.arrived = s.arrived[n:]
			s.unread -= n
			s.taken += int64(n)
			s.writable.Broadcast()
			s.to.trace(Event{Op: OpRead}, p[:n])
			return n, nil
		case s.endArrived:
			s.to.trace(Event{Op: OpEnd}, nil)
			return 0, io.EOF
		}
		s.readable.Wait()
	}
}

// write puts p on its way, as far as there is room for it, and waits for more.
func (s *stream) write(p []byte) (n int, err error) {
	for s.busy && s.writeFailure() == nil {
		s.writable.Wait()
	}
	if err := s.writeFailure(); err != nil {
		return 0, err
	}
	s.busy = true
	defer func() {
		s.busy = false
		s.writable.Broadcast()
	}()
	begin := s.taken + int64(s.unread)
	for {
		err := s.writeFailure()
		buffer := s.link.conditions.Buffer
		switch {
		case err != nil && buffer > 0:
			return n, err
		case err != nil: // take back what nobody has read
			read := int(min(max(s.taken-begin, 0), int64(n)))
			s.takeBack(n - read)
			return read, err
		case n == len(p) && (buffer > 0 || s.taken-begin >= int64(n)):
			return n, nil
		}
		room := buffer - s.unread
		if buffer == 0 && s.unread == 0 {
			room = len(p)
		}
		if more := min(room, len(p)-n); more > 0 {
			s.from.trace(Event{Op: OpWrite}, p[n:n+more])
			s.send(p[n : n+more])
			n += more
			continue
		}
		s.writable.Wait()
	}
}

// writeFailure says why nothing can be written, nil if it can.
func (s *stream) writeFailure() error {
	if s.writeErr == nil && s.writeDeadline.passed {
		return os.ErrDeadlineExceeded
	}
	return s.writeErr
}

// send puts bytes on their way.
func (s *stream) send(p []byte) {
	s.unread += len(p)
	s.flight.send(p, s.link.conditions)
	s.advance()
}

// end puts the end of the stream on its way.
func (s *stream) end() {
	if !s.ended {
		s.ended = true
		s.flight.signal(end, s.link.conditions)
		s.advance()
	}
}

// sendReset puts a reset on its way.
func (s *stream) sendReset() {
	s.flight.signal(reset, s.link.conditions)
	s.advance()
}

// advance lets arrive what is due.
func (s *stream) advance() {
	if s.link.held(s.dir) {
		return
	}
	for {
		seg, ok := s.flight.next(time.Now())
		if !ok {
			break
		}
		s.arrive(seg)
	}
	s.flight.wake(s)
}

func (s *stream) arrive(seg segment) {
	gone := s.to.closed || s.to.broken
	switch {
	case seg.kind == reset:
		s.to.breakOff(syscall.ECONNRESET)
	case seg.kind == end:
		s.endArrived = true
	case gone:
		s.unread -= len(seg.data)
		s.to.out.sendReset() // nobody is there to read it
	default:
		s.arrived = append(s.arrived, seg.data...)
	}
	s.readable.Broadcast()
}

// takeBack removes the last n bytes of what was written.
func (s *stream) takeBack(n int) {
	n = min(n, s.unread) // the rest was destroyed
	s.unread -= n
	n -= s.flight.takeBack(n)
	s.arrived = s.arrived[:len(s.arrived)-n]
}

// stopReading destroys what has arrived, and what it has Reads fail with.
func (s *stream) stopReading(err error) {
	s.readErr = err
	s.unread -= len(s.arrived)
	s.arrived = nil
	s.readable.Broadcast()
	s.writable.Broadcast()
}

// stopWriting has Writes fail, the one in progress too.
func (s *stream) stopWriting(err error) {
	s.writeErr = err
	s.writable.Broadcast()
}

// discard destroys what is in flight.
func (s *stream) discard() {
	s.flight.discard()
	s.arrived, s.unread = nil, 0
	s.readable.Broadcast()
	s.writable.Broadcast()
}
