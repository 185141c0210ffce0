package workload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
)

// tally is what is known of the messages that were sent, or received, in one
// direction. Two are equal only if the messages were the same, in number, order
// and size, as far as their first bytes tell them apart.
type tally struct {
	Messages, Bytes, Sum uint64
}

// add adds a message of at least 8 bytes. What it costs is the same for all.
func (t *tally) add(msg []byte) {
	t.Messages++
	t.Bytes += uint64(len(msg))
	t.Sum = (t.Sum + binary.LittleEndian.Uint64(msg)) * sumFactor
}

// sumFactor makes that the order counts.
const sumFactor = 0x9e3779b97f4a7c15

// different returns an error if what was received is not what was sent.
func different(what string, sent, received tally) error {
	if sent == received {
		return nil
	}
	return fmt.Errorf("%s: sent %d messages of %d bytes in all (checksum %x), received %d of %d (%x)", what,
		sent.Messages, sent.Bytes, sent.Sum, received.Messages, received.Bytes, received.Sum)
}

// ring are messages to send again and again: they are all different, and nobody
// changes them.
type ring [][]byte

const (
	ringLength = 16      // a power of two
	ringBytes  = 4 << 20 // of all messages, unless there are two only
)

func newRing(size int) ring {
	n := ringLength
	for n > 2 && n*size > ringBytes {
		n /= 2
	}
	r := make(ring, n)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range r {
		r[i] = make([]byte, size)
		for at := 0; at+8 <= size; at += 512 { // enough to tell messages apart, and quick
			binary.LittleEndian.PutUint64(r[i][at:], random.Uint64()>>1) // no mark
		}
	}
	return r
}

// at returns message number i.
func (r ring) at(i int) []byte { return r[i&(len(r)-1)] }

// A mark is a message that means something: from the client, that a part of the
// task begins or is over; from the server, what it has seen of it.
const (
	markValue = 1<<64 - 1
	markSize  = 8
)

func isMark(msg []byte) bool {
	return len(msg) >= markSize && binary.LittleEndian.Uint64(msg) == markValue
}

// mark returns a client's mark. It is as large as the smallest messages are.
func mark() []byte {
	return binary.LittleEndian.AppendUint64(make([]byte, 0, 2*markSize), markValue)[:2*markSize]
}

// report is a server's mark: what it has sent and received so far.
type report struct{ sent, received tally }

func (r report) encode() []byte {
	msg := binary.LittleEndian.AppendUint64(nil, markValue)
	for _, t := range []tally{r.sent, r.received} {
		for _, n := range []uint64{t.Messages, t.Bytes, t.Sum} {
			msg = binary.LittleEndian.AppendUint64(msg, n)
		}
	}
	return msg
}

var errNoReport = errors.New("a message came where the server's report was due")

func decodeReport(msg []byte) (report, error) {
	if !isMark(msg) || len(msg) != 7*8 {
		return report{}, errNoReport
	}
	next := func() uint64 {
		msg = msg[8:]
		return binary.LittleEndian.Uint64(msg)
	}
	read := func() tally { return tally{next(), next(), next()} }
	return report{read(), read()}, nil
}
