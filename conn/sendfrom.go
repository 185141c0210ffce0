package conn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
)

// SendFrom sends one message of size bytes that it reads from r while it is
// written, so it needs no memory for it. From an *os.File to a TCP connection
// the operating system copies (sendfile), where it can. It blocks until all is
// written, or until ctx or the connection ends. It takes its turn as Send does.
//
// The calling goroutine reads r, only once the peer has accepted the message,
// and not beyond size bytes; SendFrom does not return while a Read of r does not.
// While r takes its time, the connection receives, but what is to be sent
// waits, answers to the peer's offers included; the peer's StallTimeout applies.
// So r must not wait for this connection.
//
// A message that has been offered can't be taken back: if r fails or ends early,
// or ctx ends meanwhile, the connection ends, with a [*PartialError] as its Err
// and as the error of SendFrom. Otherwise the errors are those of Send. On a
// connection with transforms the error matches [ErrTransformed].
func (c *Conn) SendFrom(ctx context.Context, r io.Reader, size int64) error {
	s := &sending{
		ready:        make(chan struct{}, 1),
		streamingOut: &streamingOut{from: r, size: size, turn: make(chan struct{}, 1)},
	}
	if len(c.transforms) > 0 {
		return c.notSent(&outgoing{send: s}, ErrTransformed)
	}
	if size < 0 {
		return fmt.Errorf("tinyproto: message to %v not sent: its size is negative: %d", c.nc.RemoteAddr(), size)
	}
	if err := c.enqueue(ctx, s); err != nil {
		return err
	}
	select {
	case <-s.turn:
	case <-s.ready:
		return s.err
	case <-ctx.Done():
		c.mu.Lock()
		if c.takeBack(s) {
			c.unlock()
			return c.notSent(&outgoing{send: s}, context.Cause(ctx))
		}
		c.breakMessage(s, context.Cause(ctx))
		c.unlock()
		<-s.ready
		return s.err
	}
	return c.streamOut(ctx, s)
}

// takeBack takes back a message that is not on offer: its turn has not come, or
// the peer has put it off. It reports whether it could.
func (c *Conn) takeBack(s *sending) bool {
	if s.queued {
		c.dequeue(s)
		return true
	}
	if _, offered := c.ledger.Offering(); c.current.send != s || offered || c.ledger.Owing() {
		return false
	}
	c.current = outgoing{}
	c.flush(false)
	return true
}

// streamingOut is a message that is read from a Reader as it is written.
type streamingOut struct {
	from io.Reader     // immutable
	size int64         // immutable
	turn chan struct{} // cap 1: the payload is due, and the stream is the sender's

	// Guarded by Conn.mu.
	begun  bool // turn was sent
	moved  int64
	broken *PartialError // why we broke it off
}

// streamOut writes the payload of s, whose turn it is: nothing else is
// written meanwhile.
func (c *Conn) streamOut(ctx context.Context, s *sending) error {
	brokenBy := func(reason error) {
		c.mu.Lock()
		c.breakMessage(s, reason)
		c.unlock()
	}
	stop := context.AfterFunc(ctx, func() { brokenBy(context.Cause(ctx)) })
	defer stop()
	defer brokenBy(errReaderExited) // if the Reader panics; otherwise it is over
	var err error
	if c.isOver() {
		// Its end came with its turn.
	} else if file, ok := s.from.(*os.File); ok && c.copiesFrom(file) {
		err = c.sendFile(s, file)
	} else {
		err = c.sendBuffered(s)
	}
	c.mu.Lock()
	defer c.unlock()
	if err != nil {
		c.breakMessage(s, err)
		return c.settled(ctx, s)
	}
	if c.end.state != over && c.end.writeErr == nil {
		c.streaming = false
		c.finishing = outgoing{}
		if c.pipe == nil {
			c.sent(&outgoing{send: s})
			c.served()
		} else {
			c.awaitAnswer(1, c.watch.now())
		}
		c.flush(false)
	}
	return c.settled(ctx, s)
}

func (c *Conn) isOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end.state == over
}

var errReaderExited = errors.New("the Reader did not return")

// settled returns what became of s, and waits for that if a write has failed, as
// the peer may still say why, or for the peer's answer. mu is held on entry and on
// return.
func (c *Conn) settled(ctx context.Context, s *sending) error {
	wholly := c.pipe != nil && s.moved == s.size
	c.mu.Unlock()
	defer c.mu.Lock()
	if !wholly {
		<-s.ready
		return s.err
	}
	select {
	case <-s.ready:
		return s.err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrInDoubt, c.notSent(&outgoing{send: s}, context.Cause(ctx)))
	}
}

// copiesFrom reports whether the operating system can copy from file to our socket.
func (c *Conn) copiesFrom(file *os.File) bool {
	if _, ok := c.nc.(*net.TCPConn); !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode().IsRegular()
}

// filePiece is how much the operating system copies at a time.
const filePiece = 16 << 20

// sendFile has the operating system copy the payload of s. It returns an error
// of the file; what else fails is known to the connection.
func (c *Conn) sendFile(s *sending, file *os.File) error {
	start, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	for left := s.size; left > 0; {
		piece := &io.LimitedReader{R: file, N: min(left, filePiece)}
		asked := piece.N
		n, ok := c.writePiece(s, func() (int64, error) {
			n, err := c.watched(piece)
			if err != nil && n == 0 && !isTimeout(err) && unreadable(file) != nil {
				return 0, nil // the transport is not to blame
			}
			return n, err
		})
		if !ok {
			return nil
		}
		if left -= n; n == 0 {
			return cmp.Or(unreadable(file), io.ErrUnexpectedEOF)
		}
		if n < asked { // it may have been copied in another way, which reads ahead
			if _, err := file.Seek(start+s.size-left, io.SeekStart); err != nil {
				return err
			}
		}
	}
	return nil
}

// unreadable returns why the file can't be read here, nil if it can or has ended.
func unreadable(file *os.File) error {
	var p [1]byte
	if _, err := file.Read(p[:]); err != nil && err != io.EOF {
		return err
	}
	return nil
}

// noProgress is how many Reads in turn may return nothing.
const noProgress = 100

// sendBuffered reads and writes the payload of s. It returns an error of the
// Reader; what else fails is known to the connection.
func (c *Conn) sendBuffered(s *sending) error {
	buffer := streamBuffers.Get().(*[streamBuffer]byte)
	defer streamBuffers.Put(buffer)
	idle := 0
	for left := s.size; left > 0; {
		p := buffer[:min(left, streamBuffer)]
		n, err := s.from.Read(p)
		if n < 0 || n > len(p) {
			return fmt.Errorf("the Reader is broken: it says that it read %d bytes into %d", n, len(p))
		}
		if n > 0 {
			_, ok := c.writePiece(s, func() (int64, error) {
				c.out.toWrite(p[:n])
				err := c.writeWaiting()
				return int64(n - c.out.left()), err
			})
			if !ok {
				return nil
			}
			left -= int64(n)
			idle = 0
		} else if idle++; idle == noProgress && err == nil {
			err = io.ErrNoProgress
		}
		switch {
		case left == 0 || err == nil:
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		default:
			return err
		}
	}
	return nil
}

// writePiece writes a piece of the payload of s, and reports whether the
// connection can go on.
func (c *Conn) writePiece(s *sending, write func() (int64, error)) (int64, bool) {
	c.mu.Lock()
	defer c.unlock()
	if c.end.state == over {
		return 0, false
	}
	c.writing = true
	n, err := write()
	c.writing = false
	c.out.reset()
	c.watch.active = c.watch.now()
	s.moved += n
	if c.end.state == over {
		c.correct(s)
		c.settle()
		c.finish()
		return n, false
	}
	if err != nil {
		c.writeFailed(err)
	}
	return n, err == nil
}

// breakMessage ends the connection for a message that was offered and can't be
// completed: there is no way to take it back.
func (c *Conn) breakMessage(s *sending, reason error) {
	waits := c.current.send == s && !c.current.sent
	if c.end.state == over || !waits && c.finishing.send != s || s.begun && s.moved == s.size {
		return
	}
	s.broken = &PartialError{Size: s.size, Moved: s.moved, Err: own(reason)}
	c.terminate(s.broken)
}

// correct corrects how much of a message was moved, if it was broken off
// during a write.
func (c *Conn) correct(s *sending) {
	if s.broken == nil || s.broken.Moved == s.moved {
		return
	}
	final := &PartialError{Size: s.size, Moved: s.moved, Err: s.broken.Err}
	if c.end.failure == error(s.broken) {
		if c.end.failure = final; s.moved == s.size {
			c.end.failure = final.Err // it was not broken off after all
		}
	}
	s.broken = final
}
