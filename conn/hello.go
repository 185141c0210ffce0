package conn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/tinyproto-go/tinyproto/wire"
)

// greet writes our hello and reads the peer's, both at once: over a transport
// without buffers neither may wait for the other (PROTOCOL.md section 2).
// What came behind the hello is kept.
func (c *Conn) greet(ctx context.Context) error {
	if c.opts.HelloTimeout > 0 {
		c.nc.SetDeadline(time.Now().Add(c.opts.HelloTimeout))
	}
	stop := context.AfterFunc(ctx, func() { c.nc.SetDeadline(longAgo) })
	hello := []byte{byte(wire.OK)}
	written := make(chan error, 1)
	if c.try == nil {
		// Ends with the write, which the deadline bounds.
		go func() { written <- writeHello(c.nc, hello) }()
	} else {
		written <- writeHello(c.nc, hello) // a new socket has room for a byte
	}
	n, err := c.nc.Read(c.kept[:])
	if n > 0 {
		err = wire.CheckHello(c.kept[0])
	}
	if err != nil {
		c.nc.SetDeadline(longAgo)
		if werr := <-written; err == io.EOF && werr != nil && !isTimeout(werr) {
			err = werr
		}
	} else {
		err = <-written
	}
	if !stop() && ctx.Err() != nil {
		return fmt.Errorf("tinyproto: hello with %v: %w", c.nc.RemoteAddr(), context.Cause(ctx))
	}
	if err != nil {
		return c.helloError(err)
	}
	c.keptLen = copy(c.kept[:], c.kept[1:n])
	c.nc.SetDeadline(time.Time{}) // if this fails, reading will tell why
	return nil
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
		err = fmt.Errorf("the peer did not greet within %v: %w", c.opts.HelloTimeout, err)
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
	nc.SetDeadline(time.Now().Add(refuseTime))
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(longAgo) })
	defer stop()
	read := make(chan struct{})
	// Ends with the peer's end of stream, or with the deadline.
	go func() {
		defer close(read)
		io.Copy(io.Discard, nc)
	}()
	_, err := nc.Write([]byte{byte(wire.ConnLimit)})
	if halfClose(nc) != nil {
		// Without half-closing the peer can't know that this is all: the byte
		// was handed over, which is as much as such a transport can tell.
		nc.SetDeadline(longAgo)
	}
	<-read
	return err
}
