package conn

import (
	"errors"
	"net"
	"os"
	"time"
)

// longAgo, as a deadline, ends a Read or a Write in progress.
var longAgo = time.Unix(1, 0)

// interrupt ends the Reads and Writes in progress, and those to come. A
// transport that knows no deadlines is closed.
func interrupt(nc net.Conn) {
	if nc.SetDeadline(longAgo) != nil {
		closeNow(nc)
	}
}

// halfClose ends the write side, so that the peer reads end of stream and we
// can go on reading. It returns errors.ErrUnsupported where the transport
// can't, as net.Pipe.
func halfClose(nc net.Conn) error {
	if hc, ok := nc.(interface{ CloseWrite() error }); ok {
		return hc.CloseWrite()
	}
	return errors.ErrUnsupported
}

// below returns what nc stands on, if it tells: a tls.Conn does, and whatever
// else has a method NetConn.
func below(nc net.Conn) (net.Conn, bool) {
	if w, ok := nc.(interface{ NetConn() net.Conn }); ok {
		if under := w.NetConn(); under != nil {
			return under, true
		}
	}
	return nil, false
}

// bottom returns what nc stands on in the end: nc itself, if on nothing.
func bottom(nc net.Conn) net.Conn {
	for {
		under, ok := below(nc)
		if !ok {
			return nc
		}
		nc = under
	}
}

// closeNow closes without a farewell: tls.Conn.Close may spend 5 s on its own,
// but not when the transport below it is closed already.
func closeNow(nc net.Conn) {
	if _, ok := below(nc); ok {
		bottom(nc).Close()
	}
	nc.Close() // what is around a transport may have to know, as a listener that counts
}

// resetOnClose makes the close of a TCP connection a reset, which the peer can't
// take for a clean end, and that of any transport that knows of it. It reports
// whether this one does.
func resetOnClose(nc net.Conn) bool {
	t, ok := bottom(nc).(interface{ SetLinger(sec int) error })
	return ok && t.SetLinger(0) == nil
}

// setKeepAlive sets the period of TCP keep-alive where there is such a thing.
func setKeepAlive(nc net.Conn, period time.Duration) {
	ka, ok := bottom(nc).(interface {
		SetKeepAliveConfig(net.KeepAliveConfig) error
	})
	if !ok {
		return
	}
	if period == 0 {
		period = DefaultKeepAlive
	}
	// A socket that can't is one without keep-alive: no reason to refuse it.
	_ = ka.SetKeepAliveConfig(net.KeepAliveConfig{Enable: period > 0, Idle: period, Interval: period})
}

// isSocket reports whether nc is a plain socket of the operating system's, and
// not something around one that must see every call.
func isSocket(nc net.Conn) bool {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
