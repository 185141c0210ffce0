package conn_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"github.com/tinyproto-go/tinyproto/wire"
)

// A floor is one end of a connection as a program would write it by hand that
// has a single goroutine and knows what comes next: the same bytes on the wire
// as package conn and no more reads and writes, but no channels, no timeouts
// and no way to talk in both directions at once. What conn costs is measured
// against it.
type floor struct {
	nc net.Conn
	in *bufio.Reader

	// fresh says that every message is received into memory of its own, as it
	// must be where it is handed on. Otherwise all share one buffer, which is
	// the least that anybody can do.
	fresh  bool
	shared []byte

	small [floorCopies]byte
	vec   [2][]byte
	bufs  net.Buffers // a field, as a local variable would be allocated for each write
}

// floorCopies is up to where a payload and the size behind it are copied
// together: it is cheaper than a vectored write.
const floorCopies = 8 << 10

func newFloor(nc net.Conn, fresh bool) *floor {
	return &floor{nc: nc, in: bufio.NewReader(nc), fresh: fresh}
}

// send sends one message.
func (f *floor) send(msg []byte) error {
	if err := f.offer(len(msg)); err != nil {
		return err
	}
	if err := f.awaitOK(); err != nil {
		return err
	}
	_, err := f.nc.Write(msg)
	return err
}

func (f *floor) offer(size int) error {
	_, err := f.nc.Write(wire.AppendSize(f.small[:0], uint32(size)))
	return err
}

func (f *floor) awaitOK() error {
	answer, err := f.in.ReadByte()
	if err == nil && wire.Signal(answer) != wire.OK {
		err = fmt.Errorf("answered %v", wire.Signal(answer))
	}
	return err
}

// sendAndOffer writes the payload of one message and the size of the next at
// once, as conn does when it knows the next.
func (f *floor) sendAndOffer(msg []byte, next int) error {
	if len(msg)+wire.SizeLen <= floorCopies {
		p := append(f.small[:0], msg...)
		_, err := f.nc.Write(wire.AppendSize(p, uint32(next)))
		return err
	}
	f.vec = [2][]byte{msg, wire.AppendSize(f.small[:0], uint32(next))}
	f.bufs = f.vec[:]
	_, err := f.bufs.WriteTo(f.nc)
	return err
}

// receive receives one message; io.EOF is the end of the stream between two.
func (f *floor) receive() ([]byte, error) {
	head, err := f.in.Peek(wire.SizeLen)
	if err != nil {
		if err == io.EOF && len(head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(head))
	f.in.Discard(wire.SizeLen) // they are there
	f.small[0] = byte(wire.OK)
	if _, err := f.nc.Write(f.small[:1]); err != nil {
		return nil, err
	}
	var msg []byte
	switch {
	case f.fresh:
		msg = make([]byte, size)
	case size > len(f.shared):
		f.shared = make([]byte, size)
		fallthrough
	default:
		msg = f.shared[:size]
	}
	if _, err := io.ReadFull(f.in, msg); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	return msg, nil
}

// echo sends back what it receives until the stream ends, and returns how many
// messages that were.
func (f *floor) echo() (int, error) {
	for n := 0; ; n++ {
		msg, err := f.receive()
		if err == io.EOF {
			return n, nil
		}
		if err == nil {
			err = f.send(msg)
		}
		if err != nil {
			return n, err
		}
	}
}

// produce sends msg again and again until it is told to stop, ends the stream,
// and returns how many it sent.
func (f *floor) produce(msg []byte, stop *atomic.Bool) (int, error) {
	if err := f.offer(len(msg)); err != nil {
		return 0, err
	}
	for n := 0; ; n++ {
		if err := f.awaitOK(); err != nil {
			return n, err
		}
		if stop.Load() {
			if _, err := f.nc.Write(msg); err != nil {
				return n, err
			}
			return n + 1, f.end()
		}
		if err := f.sendAndOffer(msg, len(msg)); err != nil {
			return n, err
		}
	}
}

// end ends the stream in this direction.
func (f *floor) end() error { return f.nc.(*net.TCPConn).CloseWrite() }
