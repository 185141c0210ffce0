package tinyproto

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// DefaultDialTimeout bounds how long Dial takes to connect.
const DefaultDialTimeout = 10 * time.Second

// DialOptions are the options of [Dial]. A nil pointer and the zero value both
// stand for the defaults.
type DialOptions struct {
	// Timeout is how long connecting may take, the resolution of a name
	// included; the hello, with the TLS handshake, has a timeout of its own in
	// Conn. Zero means 10 s; negative means as long as the operating system tries.
	Timeout time.Duration

	// TLS is for addresses of the form "tls://host:port", and if it is set, for
	// "host:port" as well; "tcp://" and "unix://" are always plain. Nil with
	// "tls://" means the zero value. It is copied, and never changed. In the
	// copy, an empty ServerName becomes the host of the address, empty NextProtos
	// become [ALPN]; for the rest the defaults are those of package tls: the
	// system's certificate authorities, TLS 1.2 or newer. A server that
	// negotiates no protocol by ALPN is accepted.
	TLS *tls.Config

	// Fallback has Dial connect anew, in classic mode, where the server does not
	// agree to pipelined mode, if that is what Conn.Mode asks for.
	Fallback bool

	// Conn are the options of the connection. Its Mode is classic unless it says
	// Pipelined.
	Conn Options
}

// Dial connects to a server and greets it. The address is one of those that
// [Listen] takes, with a host, or "tls://host:port": see DialOptions.TLS. It
// blocks until the server has greeted, or until DialOptions.Timeout, the hello
// timeout or ctx is over. A TLS handshake that fails may take 1 s more, in which
// the server learns why. Dial may be called concurrently, with the same options.
//
// The error says what failed. One of the hello's matches [ErrConnLimit],
// [ErrRefused] or [ErrNotTinyproto], for instance if the server expects TLS. One
// of the TLS handshake has in it what package tls says, for [errors.As], as a
// [tls.CertificateVerificationError], or a [tls.AlertError] where the server
// refused it; it matches [ErrNotTLS] if the server speaks without TLS.
//
// ctx is the life of the connection, not only of the dialling: when it ends,
// the connection flushes what is queued and ends. So do not do this:
//
//	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
//	defer cancel()
//	c, err := tinyproto.Dial(ctx, address, nil) // c dies 5 s from now, or on return
//
// Use DialOptions.Timeout and Options.HelloTimeout to bound the dialling.
func Dial(ctx context.Context, address string, opts *DialOptions) (*Conn, error) {
	var o DialOptions
	if opts != nil {
		o = *opts
	}
	a, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultDialTimeout
	}
	c, err := dial(ctx, address, a, &o)
	if o.Fallback && errors.Is(err, conn.ErrModeRefused) {
		o.Conn.Mode = conn.Classic
		return dial(ctx, address, a, &o)
	}
	return c, err
}

func dial(ctx context.Context, to string, a address, o *DialOptions) (*Conn, error) {
	d := net.Dialer{Timeout: max(o.Timeout, 0), KeepAlive: -1} // conn.New sees to that
	nc, err := d.DialContext(ctx, a.network(), a.rest)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("tinyproto: dial %s: %w", to, err)
	}
	if a.tls(o.TLS != nil) {
		nc = tls.Client(&sniffer{Conn: nc, server: true}, clientConfig(o.TLS, a.host))
	}
	return conn.New(ctx, nc, &o.Conn)
}
