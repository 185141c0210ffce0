package faultproxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// errReset is a reset by plan.
var errReset = errors.New("reset by plan")

// bufferSize is how much of each direction the proxy has in hand.
const bufferSize = 32 << 10

// pump forwards one direction of k until its end, which it hands on, or until
// ctx ends. It returns an error if the connection is to be reset.
func (p *Proxy) pump(ctx context.Context, k *link, pl *plan, from, to *net.TCPConn) error {
	buf := make([]byte, bufferSize)
	offset := int64(0)
	for {
		n, err := p.collect(ctx, from, buf, pl)
		if k.isSwallowed() {
			<-ctx.Done()
			return nil
		}
		for rest := buf[:n]; len(rest) > 0; {
			size := pl.piece(len(rest))
			size = int(min(int64(size), max(0, pl.reset-offset), max(0, pl.blackHole-offset), max(0, pl.halfClose-offset)))
			switch {
			case size == 0 && offset == pl.reset:
				return errReset
			case size == 0 && offset == pl.halfClose:
				p.halfCloses.Add(1)
				to.CloseWrite()
				_, err := io.Copy(io.Discard, from)
				return err
			case size == 0:
				k.swallow()
				<-ctx.Done()
				return nil
			}
			piece := rest[:size]
			rest = rest[size:]
			p.corrupted.Add(pl.corruption(piece, offset))
			offset += int64(size)
			if !wait(ctx, pl.delay()) {
				return nil
			}
			if _, err := to.Write(piece); err != nil {
				return err
			}
			p.bytes.Add(int64(size))
			if k.isSwallowed() {
				<-ctx.Done()
				return nil
			}
		}
		switch {
		case err == io.EOF:
			to.CloseWrite() // fails where the other end has gone, which its own direction tells
			return nil
		case err != nil:
			return err
		}
	}
}

// collect reads what has come, or comes within Coalesce.
func (p *Proxy) collect(ctx context.Context, from *net.TCPConn, buf []byte, pl *plan) (int, error) {
	n, err := from.Read(buf)
	if pl.faults.Coalesce <= 0 || err != nil {
		return n, err
	}
	if !wait(ctx, pl.faults.Coalesce) {
		return n, nil
	}
	// What is there now; a deadline in the past would end a read at once, even
	// if there is something.
	from.SetReadDeadline(time.Now().Add(time.Millisecond))
	defer from.SetReadDeadline(time.Time{})
	more, err := from.Read(buf[n:])
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return n + more, err
}

func (k *link) isSwallowed() bool {
	select {
	case <-k.swallowed:
		return true
	default:
		return false
	}
}

// wait waits for d, and reports whether ctx has not ended.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
