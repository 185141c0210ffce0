package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/tinyproto-go/tinyproto/wire"
)

// bare is a client without the library, that does with its bytes what the
// library never would. It sends whole messages to a sink first, and an offer
// that was answered is proof that the message before it was read.
type bare struct {
	net.Conn
	whole, refused uint64        // messages
	patience       time.Duration // longer than the server's with a stall
}

// way is how a bare client's connection goes on, once it has sent some messages.
type way struct {
	name   string
	do     func(*bare, *visit) error
	expect []string // how the server's end must end
}

var ways = []way{
	{"reset in a payload", (*bare).resetInPayload, []string{reset, incomplete}}, // a Unix socket knows no reset
	{"end in a payload", (*bare).endInPayload, []string{incomplete}},
	{"end before a payload", (*bare).endBeforePayload, []string{incomplete}},
	{"end in a size", (*bare).endInSize, []string{incomplete}},
	{"dribble", (*bare).dribble, []string{clean}},
	{"clean end", (*bare).endCleanly, []string{clean}},
	{"stall in a payload", (*bare).stall, []string{stalled, incomplete}}, // incomplete if it leaves before
	{"unasked OK", (*bare).unaskedOK, []string{protocol}},
	{"oversize offer", (*bare).oversizeOffer, []string{protocol}},
	{"unasked CONFLICT", (*bare).unaskedConflict, []string{protocol}},
	{"huge offer", (*bare).hugeOffer, []string{clean}},
}

// bare is the visit of such a client.
func (v *visit) bare() error {
	nc, err := v.dialBare()
	if err != nil {
		return err
	}
	defer nc.Close()
	b := &bare{Conn: nc, patience: v.fleet.patience + stallTimeout}
	b.wait()
	if _, err := nc.Write([]byte{byte(wire.OK)}); err != nil {
		return err
	}
	if err := b.expect(wire.OK); err != nil {
		return err
	}
	w := ways[v.rng.IntN(len(ways))]
	a := account{Session: v.session, Server: v.server.number, Role: v.role, Service: serviceSink, Expect: w.expect}
	i := intro{Role: v.role, Service: serviceSink}
	err = b.send(i.message(v.session))
	for range v.rng.IntN(10) {
		size := sizes(v.rng, 64<<10)
		if err != nil || !v.fleet.turns.wait(costOf(size), v.leave) {
			break
		}
		err = b.send(compose(v.session, b.whole, size))
	}
	if err == nil {
		b.wait()
		err = w.do(b, v)
	}
	a.Handed, a.Written, a.Failed, a.Refused = b.whole+b.refused, b.whole, b.refused, b.refused
	a.End = clean
	if err != nil {
		a.End, a.Err, a.Vanished = reset, fmt.Sprintf("%s: %v", w.name, err), true
		if errors.Is(err, errAnswer) || errors.Is(err, os.ErrDeadlineExceeded) {
			a.Violations = append(a.Violations, a.Err)
		}
	}
	v.fleet.books.client(a)
	return nil
}

func (v *visit) dialBare() (net.Conn, error) {
	network, address := network(v.address())
	return net.DialTimeout(network, address, v.fleet.patience)
}

// wait sets how long what follows may take.
func (b *bare) wait() { b.SetDeadline(time.Now().Add(b.patience)) }

// offer offers a message and waits until it is accepted.
func (b *bare) offer(size int) error {
	b.wait()
	if _, err := b.Write(wire.AppendSize(nil, uint32(size))); err != nil {
		return err
	}
	return b.expect(wire.OK)
}

func (b *bare) expect(want wire.Signal) error {
	var answer [1]byte
	if _, err := io.ReadFull(b, answer[:]); err != nil {
		return err
	}
	if got := wire.Signal(answer[0]); got != want {
		return fmt.Errorf("%w: %v, expected %v", errAnswer, got, want)
	}
	return nil
}

var errAnswer = errors.New("wrong answer of the server's")

func (b *bare) send(msg []byte) error {
	if err := b.offer(len(msg)); err != nil {
		return err
	}
	if _, err := b.Write(msg); err != nil {
		return err
	}
	b.whole++
	return nil
}

// gone waits for the server to end the connection.
func (b *bare) gone() error {
	n, err := io.Copy(io.Discard, b)
	if n > 0 {
		return fmt.Errorf("%w: %d bytes, expected the end", errAnswer, n)
	}
	if kindOf(err) == reset {
		return nil // an end, too
	}
	return err
}

const bareSize = 40 << 10

func (b *bare) half() error {
	if err := b.offer(bareSize); err != nil {
		return err
	}
	_, err := b.Write(make([]byte, bareSize/2))
	return err
}

func (b *bare) resetInPayload(*visit) error {
	if err := b.half(); err != nil {
		return err
	}
	if t, ok := b.Conn.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	return b.Close()
}

func (b *bare) endInPayload(*visit) error {
	if err := b.half(); err != nil {
		return err
	}
	return b.Close()
}

func (b *bare) endBeforePayload(*visit) error {
	if err := b.offer(bareSize); err != nil {
		return err
	}
	return b.Close()
}

func (b *bare) endInSize(*visit) error {
	if _, err := b.Write([]byte{0, 0}); err != nil {
		return err
	}
	return b.Close()
}

// dribbleTime is between two bytes, well below the server's patience.
const dribbleTime = 50 * time.Millisecond

// dribble sends a message byte by byte.
func (b *bare) dribble(v *visit) error {
	msg := compose(v.session, b.whole, headerSize)
	var size [wire.SizeLen]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(msg)))
	for i := range size {
		if _, err := b.Write(size[i : i+1]); err != nil {
			return err
		}
		pause(dribbleTime, v.leave)
	}
	if err := b.expect(wire.OK); err != nil {
		return err
	}
	for i := range msg {
		if _, err := b.Write(msg[i : i+1]); err != nil {
			return err
		}
		pause(dribbleTime, v.leave)
	}
	b.whole++
	return b.endCleanly(v)
}

// endCleanly ends its stream between messages and waits for the server's end.
func (b *bare) endCleanly(*visit) error {
	if err := b.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		return err
	}
	return b.gone()
}

// stall falls silent in a message: the server has to end it.
func (b *bare) stall(v *visit) error {
	if err := b.half(); err != nil {
		return err
	}
	return v.outwait(b.Conn)
}

// outwait waits for the server to end a connection, unless all clients are to
// leave, which then does not wait.
func (v *visit) outwait(nc net.Conn) error {
	ended := make(chan struct{})
	defer close(ended)
	go func() { // ends with this call
		select {
		case <-v.leave:
			nc.SetReadDeadline(time.Unix(1, 0))
		case <-ended:
		}
	}()
	_, err := io.Copy(io.Discard, nc)
	if kindOf(err) == reset || v.leaving() {
		return nil
	}
	return err
}

func (b *bare) unaskedOK(*visit) error {
	if _, err := b.Write([]byte{byte(wire.OK)}); err != nil {
		return err
	}
	if err := b.expect(wire.Error); err != nil {
		return err
	}
	return b.gone()
}

func (b *bare) oversizeOffer(*visit) error {
	if _, err := b.Write([]byte{0xf1, 0, 0, 0}); err != nil {
		return err
	}
	if err := b.expect(wire.Error); err != nil {
		return err
	}
	return b.gone()
}

// unaskedConflict is an answer, too, that nobody asked for.
func (b *bare) unaskedConflict(*visit) error {
	if _, err := b.Write([]byte{byte(wire.Conflict)}); err != nil {
		return err
	}
	if err := b.expect(wire.Error); err != nil {
		return err
	}
	return b.gone()
}

// hugeOffer is the largest that there is. It is refused, and that is all.
func (b *bare) hugeOffer(v *visit) error {
	if _, err := b.Write(wire.AppendSize(nil, wire.MaxSize)); err != nil {
		return err
	}
	if err := b.expect(wire.TooLarge); err != nil {
		return err
	}
	b.refused++
	return b.endCleanly(v)
}
