package conn

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/tinyproto-go/tinyproto/wire"
)

// Mode is how a connection moves its messages. Two ends that know pipelined mode
// can agree on it; any other peer is a peer in classic mode.
type Mode uint8

const (
	// Either is classic mode, unless the peer asks for pipelined mode.
	Either Mode = iota
	// Classic is the mode that every peer knows: a message is offered, accepted
	// and then written, at the price of a round trip each. A peer that asks for
	// pipelined mode is refused.
	Classic
	// Pipelined asks the peer for pipelined mode: messages are written without
	// waiting, and answered when its application has them. One end asks; New
	// fails with [ErrModeRefused] if the other does not agree.
	Pipelined
)

// ErrModeRefused matches the error of New where the peer did not agree to
// pipelined mode: it may know classic mode alone.
var ErrModeRefused = errors.New("the peer does not agree to pipelined mode")

// refusalTime is how long an ERROR has to stay alone to be the peer's refusal,
// and no size (PROTOCOL.md section 8).
const refusalTime = time.Second

// ask asks the peer for pipelined mode and reads its terms. It reports whether the
// peer agreed, also if its terms did not come then.
func (c *Conn) ask() (agreed bool, err error) {
	refused := func(err error) error { return fmt.Errorf("%w: %w", ErrModeRefused, err) }
	written := make(chan error, 1)
	if c.try == nil {
		go func() { written <- writeHello(c.nc, []byte(wire.PipelinedRequest)) }() // ends as that of the hello
	} else {
		written <- nil // with the hello
	}
	var p [wire.TermsLen]byte
	err = c.readFull(p[:1])
	if err == nil && p[0] <= wire.MaxSize>>24 { // ERROR, or an offer that is void now
		first := p[0]
		alone := time.AfterFunc(refusalTime, func() {
			if first == byte(wire.Error) {
				interrupt(c.nc)
			}
		})
		if err = c.readFull(p[:1]); !alone.Stop() && first == byte(wire.Error) {
			err = os.ErrDeadlineExceeded
		}
		if err == nil {
			err = c.readFull(p[:wire.SizeLen-2])
		}
		if err == nil {
			err = c.readFull(p[:1])
		}
	}
	if err == nil && p[0] != byte(wire.OK) {
		err = fmt.Errorf("it answers %v, expected %v", wire.Signal(p[0]), wire.OK)
	}
	if err != nil {
		interrupt(c.nc)
		<-written
		return false, refused(err)
	}
	if err := errors.Join(c.readFull(p[:]), <-written); err != nil {
		return true, err
	}
	theirs, err := wire.ParseTerms(p[:])
	if err != nil {
		return true, err
	}
	c.pipe = newPipeline(c.opts)
	c.pipe.begin(theirs)
	return true, nil
}

// readFull fills p, of up to keptSize bytes, with what was kept, and with what comes.
// It keeps what is behind that.
func (c *Conn) readFull(p []byte) error {
	for c.keptLen < len(p) {
		n, err := c.nc.Read(c.kept[c.keptLen:])
		if c.keptLen += n; err != nil && c.keptLen < len(p) {
			if err == io.EOF && c.keptLen > 0 {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	n := copy(p, c.kept[:])
	c.keptLen = copy(c.kept[:], c.kept[n:c.keptLen])
	return nil
}

// asks looks for the request for pipelined mode at the beginning of what the peer
// says. It returns how much of p it has taken.
func (c *Conn) asks(p []byte) int {
	if c.pipe != nil || c.opts.Mode != Either || len(p) == 0 || c.ledger.Offset() > 0 {
		return 0
	}
	n := 0
	for n < len(p) && int(c.asked) < len(wire.PipelinedRequest) && p[n] == wire.PipelinedRequest[c.asked] {
		c.asked++
		n++
	}
	switch {
	case int(c.asked) == len(wire.PipelinedRequest):
		c.agree()
	case n < len(p) && c.asked > 0:
		c.asked = 0
		_, _, err := c.ledger.Parse([]byte{wire.PipelinedRequest[0]})
		c.violated(err)
	}
	return n
}

// agree turns to pipelined mode. An offer of ours that is out is void.
func (c *Conn) agree() {
	c.ledger = wire.Ledger{}
	c.pipe = newPipeline(c.opts, byte(wire.OK))
	c.steps++
	c.note()
}
