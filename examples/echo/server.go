package main

import (
	"context"
	"fmt"
	"io"
	"net"

	"github.com/tinyproto-go/tinyproto"
)

const prefix = "Echo back: "

// serve answers messages until ctx ends or a client sends SRVQUIT.
func serve(ctx context.Context, address string, stdout, stderr io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l, err := tinyproto.Listen(ctx, address)
	if err != nil {
		return err
	}
	fmt.Fprintln(stderr, "listening on", display(l.Addr()))

	out := newPrinter(stdout)
	defer out.close()
	server := tinyproto.Server{
		Grace: grace,
		Handler: func(ctx context.Context, c *tinyproto.Conn) error {
			out.print("Connection opened from: " + display(c.RemoteAddr()))
			defer out.print("Connection closed from: " + display(c.RemoteAddr()))
			for msg := range c.Inbox() {
				switch string(msg) {
				case quit:
					return nil
				case serverQuit:
					cancel()
					return nil
				}
				select {
				case c.Outbox() <- append([]byte(prefix), msg...):
				case <-c.Done():
				}
			}
			return c.Err()
		},
	}
	return server.Serve(ctx, l)
}

// display writes an address so that -connect understands it.
func display(a net.Addr) string {
	if a.Network() == "unix" {
		return "unix://" + a.String()
	}
	return a.String()
}
