package conn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/tinyproto-go/tinyproto/wire"
)

// greet does the TLS handshake, where there is TLS, and exchanges the hellos,
// within the hello timeout together.
func (c *Conn) greet(life context.Context) error {
	inTime := func() bool { return true }
	if c.opts.HelloTimeout > 0 {
		inTime = time.AfterFunc(c.opts.HelloTimeout, func() { interrupt(c.nc) }).Stop
	}
	t := tlsConn(c.nc)
	var err error
	if t != nil {
		ctx, cancel := life, func() {}
		if c.opts.HelloTimeout > 0 {
			ctx, cancel = context.WithTimeout(life, c.opts.HelloTimeout)
		}
		err = t.HandshakeContext(ctx)
		cancel()
	}
	shaking := err != nil
	if !shaking {
		err = c.exchangeHellos()
	}
	asking := err == nil && c.opts.Mode == Pipelined
	agreed := false
	if asking {
		agreed, err = c.ask()
	}
	// An interruption spoils a success, too.
	over := !inTime()
	ended := c.isCut() || err != nil && life.Err() != nil
	switch {
	case ended:
		err = context.Cause(life)
	case over && shaking:
		err = incomplete(c.opts.HelloTimeout)
	case over && asking && !agreed:
		err = fmt.Errorf("%w: no answer within %v: %w", ErrModeRefused, c.opts.HelloTimeout, os.ErrDeadlineExceeded)
	case over:
		err = fmt.Errorf("the peer did not greet within %v: %w", c.opts.HelloTimeout, os.ErrDeadlineExceeded)
	case err == nil:
		return nil
	case asking:
	case shaking:
		err = handshakeError(c.nc, err)
		lastWords(life, c.nc, err)
		return err
	default:
		return c.helloError(life, err)
	}
	if shaking {
		return fmt.Errorf("tinyproto: TLS handshake with %v: %w", c.nc.RemoteAddr(), err)
	}
	if asking {
		return fmt.Errorf("tinyproto: agreeing with %v on pipelined mode: %w", c.nc.RemoteAddr(), err)
	}
	return fmt.Errorf("tinyproto: hello with %v: %w", c.nc.RemoteAddr(), err)
}

// lifeEnded is called when the connection's context ends: before New is through,
// nothing can come of it any more.
func (c *Conn) lifeEnded(life context.Context) {
	c.mu.Lock()
	c.cut = !c.greeted
	greeted := c.greeted
	c.mu.Unlock()
	if greeted {
		c.End(context.Cause(life))
	} else {
		interrupt(c.nc)
	}
}

func (c *Conn) isCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cut
}

// exchangeHellos writes our hello and reads the peer's, both at once: over a
// transport without buffers neither may wait for the other (PROTOCOL.md section
// 2). What came behind the hello is kept.
func (c *Conn) exchangeHellos() error {
	hello := []byte{byte(wire.OK)}
	written := make(chan error, 1)
	if c.try == nil {
		// Ends with the write, which a failure or the timeout interrupts.
		go func() { written <- writeHello(c.nc, hello) }()
	} else {
		if c.opts.Mode == Pipelined {
			hello = append(hello, wire.PipelinedRequest...) // ask reads the answer
		}
		written <- writeHello(c.nc, hello) // a new socket has room for a few bytes
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
		return err
	}
	c.keptLen = copy(c.kept[:], c.kept[1:n])
	return <-written
}

// incomplete is the error of a TLS handshake that takes too long.
func incomplete(timeout time.Duration) error {
	return fmt.Errorf("not complete within %v: %w", timeout, os.ErrDeadlineExceeded)
}

func writeHello(nc net.Conn, hello []byte) error {
	_, err := nc.Write(hello)
	return err
}

// helloError says why there is no hello.
func (c *Conn) helloError(ctx context.Context, err error) error {
	if _, ok := alertOf(err); ok {
		return handshakeError(c.nc, err) // in TLS 1.3 a client learns late how the server likes its certificate
	}
	var seen *wire.HelloError
	switch {
	case errors.As(err, &seen):
		if seen.Seen == recordHandshake {
			lastWords(ctx, c.nc, err) // our hello tells the peer that this is no TLS
		}
	case isTimeout(err):
	case err == io.EOF:
		err = fmt.Errorf("%w: the peer ended the connection instead of greeting", ErrRefused)
	default:
		err = fmt.Errorf("%w: the connection broke: %w", ErrRefused, err)
	}
	return fmt.Errorf("tinyproto: hello with %v: %w", c.nc.RemoteAddr(), err)
}

// refuseTime bounds how long a refused peer may take to read that it is, and
// one that does not speak as we do to read that.
const refuseTime = time.Second

// Refuse turns a new peer away with CONLIMIT and closes nc. It makes sure that
// the refusal arrives, also at a peer that has written already: closing a
// socket with unread input would destroy it, so Refuse reads on until the peer
// closes, for at most 1 s, or until ctx ends.
//
// On a [*tls.Conn] it does the handshake first, in the same second: without it
// there is no way to tell the peer anything. Where that fails, or takes longer,
// Refuse closes nc and returns an error like that of New.
func Refuse(ctx context.Context, nc net.Conn) error {
	defer closeNow(nc)
	ctx, cancel := context.WithTimeoutCause(ctx, refuseTime, incomplete(refuseTime))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { interrupt(nc) })
	defer stop()
	if t := tlsConn(nc); t != nil {
		if err := t.HandshakeContext(ctx); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("tinyproto: TLS handshake with %v: %w", nc.RemoteAddr(), context.Cause(ctx))
			}
			err = handshakeError(nc, err)
			lastWords(ctx, nc, err)
			return err
		}
	}
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
