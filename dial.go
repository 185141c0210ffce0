package tinyproto

import (
	"context"
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
	// included; the hello has a timeout of its own in Conn. Zero means 10 s;
	// negative means as long as the operating system tries.
	Timeout time.Duration

	// Conn are the options of the connection.
	Conn Options
}

// Dial connects to a server and greets it. The address is one of those that
// [Listen] takes, with a host. It blocks until the server has greeted, or until
// DialOptions.Timeout, the hello timeout or ctx is over. The error says what
// failed; one of the hello's matches [ErrConnLimit], [ErrRefused] or
// [ErrNotTinyproto].
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
	network, addr, err := splitAddress(address)
	if err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultDialTimeout
	}
	d := net.Dialer{Timeout: max(o.Timeout, 0)}
	nc, err := d.DialContext(ctx, network, addr)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("tinyproto: dial %s: %w", address, err)
	}
	return conn.New(ctx, nc, &o.Conn)
}
