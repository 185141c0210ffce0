package contestant

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net"

	"github.com/tinyproto-go/tinyproto/wire"
)

// newLockstep returns the floor of classic mode: the protocol's hello and
// messages (PROTOCOL.md, sections 2 and 3), as a program would write them by
// hand that has a single goroutine and knows what comes next. joined puts a
// payload and the size behind it in one write.
func newLockstep(joined, fresh bool) *Contestant {
	c := &Contestant{
		Name: "lockstep",
		Role: Floor,
		How:  "raw TCP: size, OK, payload, as in the protocol's classic mode, received into one buffer again and again",
		Without: map[Kind]string{
			Duplex: "it cannot talk in both directions at once",
			FanOut: "it cannot talk in both directions at once",
		},
		Listen: func(s Settings, handle func(Link)) (*Host, error) {
			return listenTCP(handle, func(nc net.Conn) (Link, error) { return newLockstepLink(nc, s, joined, fresh) })
		},
		Dial: func(ctx context.Context, s Settings, address string, _ int) (Link, error) {
			nc, err := dialTCP(ctx, address)
			if err != nil {
				return nil, err
			}
			return newLockstepLink(nc, s, joined, fresh)
		},
	}
	if joined {
		c.Name += "-joined"
		c.How = "as lockstep, but a payload and the next size go in one write"
		c.Without[PingPong] = "it would be lockstep"
		c.Without[Connects] = "it would be lockstep"
		c.Without[Idle] = "it would be lockstep"
	}
	if fresh {
		c.Without[Connects] = "it would be lockstep"
		c.Without[Idle] = "it would be lockstep"
		c.How = "as " + c.Name + ", but each message is received into a slice of its own"
		c.Name += "-fresh"
	}
	return c
}

type lockstepLink struct {
	nc       net.Conn
	in       *bufio.Reader // owned by whoever receives or sends: one goroutine does both
	joined   bool
	received payloads

	small [wire.SizeLen]byte // a field, as a local variable would be allocated for each write

	// Of joined alone:
	offered bool   // pending's size was written
	pending []byte // what was sent but for its payload
	joint   []byte // a payload and a size behind it
	vec     [2][]byte
	bufs    net.Buffers // a field, as small is
}

// newLockstepLink greets the peer. It closes nc if that fails.
func newLockstepLink(nc net.Conn, s Settings, joined, fresh bool) (Link, error) {
	l := &lockstepLink{nc: nc, in: bufio.NewReaderSize(nc, bufferSize(s)), joined: joined, received: payloads{fresh: fresh}}
	err := l.signal(wire.OK)
	if err == nil {
		err = l.awaitOK()
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return l, nil
}

func (l *lockstepLink) signal(s wire.Signal) error {
	l.small[0] = byte(s)
	_, err := l.nc.Write(l.small[:1])
	return err
}

func (l *lockstepLink) awaitOK() error {
	answer, err := l.in.ReadByte()
	if err == nil && wire.Signal(answer) != wire.OK {
		err = fmt.Errorf("answered %v", wire.Signal(answer))
	}
	return err
}

func (l *lockstepLink) offer(msg []byte) error {
	_, err := l.nc.Write(wire.AppendSize(l.small[:0], uint32(len(msg))))
	return err
}

func (l *lockstepLink) Send(msg []byte) error {
	if l.joined {
		return l.sendJoined(msg)
	}
	if err := l.offer(msg); err != nil {
		return err
	}
	if err := l.awaitOK(); err != nil {
		return err
	}
	_, err := l.nc.Write(msg)
	return err
}

// sendJoined writes the payload of the message before, and the size of msg.
func (l *lockstepLink) sendJoined(msg []byte) error {
	before := l.pending
	l.pending = msg
	if !l.offered {
		l.offered = true
		return l.offer(msg)
	}
	if err := l.awaitOK(); err != nil {
		return err
	}
	if len(before) < vectored {
		l.joint = wire.AppendSize(append(l.joint[:0], before...), uint32(len(msg)))
		_, err := l.nc.Write(l.joint)
		return err
	}
	l.vec = [2][]byte{before, wire.AppendSize(l.small[:0], uint32(len(msg)))}
	l.bufs = l.vec[:]
	_, err := l.bufs.WriteTo(l.nc)
	return err
}

func (l *lockstepLink) Flush() error {
	if !l.offered {
		return nil
	}
	l.offered = false
	if err := l.awaitOK(); err != nil {
		return err
	}
	_, err := l.nc.Write(l.pending)
	return err
}

func (l *lockstepLink) Receive() ([]byte, error) {
	head, err := l.in.Peek(wire.SizeLen)
	if err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(head))
	l.in.Discard(wire.SizeLen) // they are there
	if err := l.signal(wire.OK); err != nil {
		return nil, err
	}
	return l.received.read(l.in, size)
}

func (l *lockstepLink) Close() error { return l.nc.Close() }
