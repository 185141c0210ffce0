package conn

import (
	"crypto/tls"
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

// closeNow closes without a farewell: tls.Conn.Close may spend 5 s on its own.
func closeNow(nc net.Conn) {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	nc.Close()
}

// resetOnClose makes the close of a TCP connection a reset, which the peer can't
// take for a clean end.
func resetOnClose(nc net.Conn) {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if t, ok := nc.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
}

// setKeepAlive sets the period of TCP keep-alive where there is such a thing.
func setKeepAlive(nc net.Conn, period time.Duration) {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	ka, ok := nc.(interface {
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
