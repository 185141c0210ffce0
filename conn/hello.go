package conn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/tinyproto-go/tinyproto/wire"
)

// greet writes our hello and reads the peer's, both at once: over a transport
// without buffers neither may wait for the other (PROTOCOL.md section 2).
// What came behind the hello is kept.
func (c *Conn) greet(ctx context.Context) error {
	var late atomic.Bool
	if c.opts.HelloTimeout > 0 {
		timer := time.AfterFunc(c.opts.HelloTimeout, func() { late.Store(true); interrupt(c.nc) })
		defer timer.Stop()
	}
	stop := context.AfterFunc(ctx, func() { interrupt(c.nc) })
	hello := []byte{byte(wire.OK)}
	written := make(chan error, 1)
	if c.try == nil {
		// Ends with the write, which a failure or the timeout interrupts.
		go func() { written <- writeHello(c.nc, hello) }()
	} else {
		written <- writeHello(c.nc, hello) // a new socket has room for a byte
	}
	var n int
	var err error
	for n == 0 && err == nil {
		n, err = c.nc.Read(c.kept[:])
	}
	if n > 0 {
		err = wire.CheckHello(c.kept[0])
	}
	if err != nil {
		interrupt(c.nc)
		if werr := <-written; err == io.EOF && werr != nil && !isTimeout(werr) {
			err = werr
		}
	} else {
		err = <-written
	}
	switch {
	case !stop() && ctx.Err() != nil:
		return fmt.Errorf("tinyproto: hello with %v: %w", c.nc.RemoteAddr(), context.Cause(ctx))
	case late.Load():
		err = fmt.Errorf("the peer did not greet within %v: %w", c.opts.HelloTimeout, os.ErrDeadlineExceeded)
	case err == nil:
		c.keptLen = copy(c.kept[:], c.kept[1:n])
		return nil
	}
	return c.helloError(err)
}

func writeHello(nc net.Conn, hello []byte) error {
	_, err := nc.Write(hello)
	return err
}

func (c *Conn) helloError(err error) error {
	var seen *wire.HelloError
	switch {
	case errors.As(err, &seen):
	case isTimeout(err):
	case err == io.EOF:
		err = fmt.Errorf("%w: the peer ended the connection instead of greeting", ErrRefused)
	default:
		err = fmt.Errorf("%w: the connection broke: %w", ErrRefused, err)
	}
	return fmt.Errorf("tinyproto: hello with %v: %w", c.nc.RemoteAddr(), err)
}

// refuseTime bounds how long a refused peer may take to read that it is.
const refuseTime = time.Second

// Refuse turns a new peer away with CONLIMIT and closes nc. It makes sure that
// the refusal arrives, also at a peer that has written already: closing a
// socket with unread input would destroy it, so Refuse reads on until the peer
// closes, for at most 1 s, or until ctx ends.
func Refuse(ctx context.Context, nc net.Conn) error {
	defer closeNow(nc)
	timer := time.AfterFunc(refuseTime, func() { interrupt(nc) })
	defer timer.Stop()
	stop := context.AfterFunc(ctx, func() { interrupt(nc) })
	defer stop()
	read := make(chan struct{})
	// Ends with the peer's end of stream, or when it is interrupted.
	go func() {
		defer close(read)
		io.Copy(io.Discard, nc)
	}()
	_, err := nc.Write([]byte{byte(wire.ConnLimit)})
	if halfClose(nc) != nil {
		// Without half-closing the peer can't know that this is all: the byte
		// was handed over, which is as much as such a transport can tell.
		interrupt(nc)
	}
	<-read
	return err
}
