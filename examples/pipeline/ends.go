package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/tinyproto-go/tinyproto"
)

// serveLines sends the lines of stdin to the first client that comes.
func serveLines(ctx context.Context, address string, stdin io.Reader, stderr io.Writer) error {
	return serveOne(ctx, address, stderr, func(ctx context.Context, c *tinyproto.Conn) error {
		lines := bufio.NewReader(stdin)
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil && err != io.EOF {
				return err
			}
			if err == io.EOF && len(line) == 0 {
				return nil
			}
			select {
			case c.Outbox() <- bytes.TrimSuffix(line, []byte("\n")):
			case <-c.Done():
				return errors.Join(errors.New("the client ended before it had all lines"), c.Err())
			}
		}
	})
}

// printMessages prints what the first client that comes sends.
func printMessages(ctx context.Context, address string, stdout, stderr io.Writer) error {
	return serveOne(ctx, address, stderr, func(ctx context.Context, c *tinyproto.Conn) error {
		out := bufio.NewWriter(stdout)
		for msg := range c.Inbox() {
			out.Write(msg)
			out.WriteByte('\n')
		}
		return errors.Join(out.Flush(), c.Err())
	})
}

// serveOne serves one connection and returns its handler's error.
func serveOne(ctx context.Context, address string, stderr io.Writer, handler tinyproto.Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l, err := tinyproto.Listen(ctx, address)
	if err != nil {
		return err
	}
	fmt.Fprintln(stderr, "listening on", l.Addr())
	var once sync.Once
	var result error
	server := tinyproto.Server{
		MaxConns: 1,
		Handler: func(ctx context.Context, c *tinyproto.Conn) error {
			once.Do(func() {
				if result = handler(ctx, c); result == nil {
					result = c.Shutdown(ctx) // flush before the server ends
				}
				cancel()
			})
			return nil
		},
	}
	return errors.Join(server.Serve(ctx, l), result)
}
