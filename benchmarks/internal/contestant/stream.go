package contestant

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
)

// newStream returns the floor of pipelined protocols: each message behind its
// length, through a buffered reader and writer, and nothing else: nobody says
// whether it arrived, and nobody can refuse it.
func newStream(fresh bool) *Contestant {
	c := &Contestant{
		Name: "stream",
		Role: Floor,
		How:  "raw TCP: messages behind their lengths in a buffered stream, received into one buffer again and again",
		Listen: func(s Settings, handle func(Link)) (*Host, error) {
			return listenTCP(handle, func(nc net.Conn) (Link, error) { return newStreamLink(nc, s, fresh), nil })
		},
		Dial: func(ctx context.Context, s Settings, address string, _ int) (Link, error) {
			nc, err := dialTCP(ctx, address)
			if err != nil {
				return nil, err
			}
			return newStreamLink(nc, s, fresh), nil
		},
	}
	if fresh {
		c.Name = "stream-fresh"
		c.How = "as stream, but each message is received into a slice of its own"
		c.Without = map[Kind]string{
			Connects: "it would be stream",
			Idle:     "it would be stream",
		}
	}
	return c
}

func dialTCP(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

const (
	lengthSize = 4

	// floorBuffer is the size of the buffers of raw connections, in bytes, and
	// smallBuffer where there are many, or where messages are large, so that
	// little of them is copied.
	floorBuffer = 64 << 10
	smallBuffer = 4 << 10

	// vectored is from where on a payload is written from where it is, and
	// not copied into a buffer.
	vectored = 16 << 10
)

// bufferSize is that of a raw connection: idle ones have none to speak of.
func bufferSize(s Settings) int {
	switch {
	case s.Kind == Idle:
		return 16
	case s.Kind == Connects, s.Kind == FanOut, s.Size >= vectored:
		return smallBuffer
	}
	return floorBuffer
}

// streamLink frames messages on a stream of bytes.
type streamLink struct {
	nc io.ReadWriteCloser
	in *bufio.Reader // owned by Receive

	received payloads // owned by Receive

	out  *bufio.Writer    // owned by Send, as are those below
	head [lengthSize]byte // a field, as a local variable would be allocated for each write
	vec  [2][]byte
	bufs net.Buffers
}

func newStreamLink(nc io.ReadWriteCloser, s Settings, fresh bool) *streamLink {
	size := bufferSize(s)
	return &streamLink{nc: nc, in: bufio.NewReaderSize(nc, size), out: bufio.NewWriterSize(nc, size),
		received: payloads{fresh: fresh}}
}

func (l *streamLink) Send(msg []byte) error {
	binary.BigEndian.PutUint32(l.head[:], uint32(len(msg)))
	if tcp, ok := l.nc.(*net.TCPConn); ok && len(msg) >= vectored {
		if err := l.out.Flush(); err != nil {
			return err
		}
		l.vec = [2][]byte{l.head[:], msg}
		l.bufs = l.vec[:]
		_, err := l.bufs.WriteTo(tcp)
		return err
	}
	if _, err := l.out.Write(l.head[:]); err != nil {
		return err
	}
	_, err := l.out.Write(msg)
	return err
}

func (l *streamLink) Flush() error { return l.out.Flush() }

func (l *streamLink) Receive() ([]byte, error) {
	head, err := l.in.Peek(lengthSize)
	if err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(head))
	l.in.Discard(lengthSize) // they are there
	return l.received.read(l.in, size)
}

func (l *streamLink) Close() error { return l.nc.Close() }

// payloads receives the payloads of messages.
type payloads struct {
	// fresh says that each is received into memory of its own, as it must be
	// where it is handed on. Otherwise all share one buffer.
	fresh  bool
	shared []byte
}

func (p *payloads) read(r io.Reader, size int) ([]byte, error) {
	var msg []byte
	switch {
	case p.fresh:
		msg = make([]byte, size)
	case size > len(p.shared):
		p.shared = make([]byte, size)
		fallthrough
	default:
		msg = p.shared[:size]
	}
	_, err := io.ReadFull(r, msg)
	return msg, err
}
