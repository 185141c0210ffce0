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
		var failed error
		lines := make(chan []byte)
		go func() { // ends with stdin, or at its next line after the connection
			defer close(lines)
			failed = readLines(stdin, lines, c.Done())
		}()
		gone := func() error {
			return fmt.Errorf("the client ended before it had all lines: %w", endOf(c))
		}
		for {
			select {
			case line, ok := <-lines:
				if !ok {
					return failed
				}
				select {
				case c.Outbox() <- line:
				case <-c.Done():
					return gone()
				}
			case <-c.Done():
				return gone()
			}
		}
	})
}

// readLines hands over the lines of r, a last one without newline too, until
// stop closes.
func readLines(r io.Reader, lines chan<- []byte, stop <-chan struct{}) error {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if err == nil || len(line) > 0 {
			select {
			case lines <- bytes.TrimSuffix(line, []byte("\n")):
			case <-stop:
				return nil
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
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
	result := make(chan error, 1)
	server := tinyproto.Server{
		MaxConns: 1,
		Handler: func(ctx context.Context, c *tinyproto.Conn) error {
			once.Do(func() {
				err := handler(ctx, c)
				if err == nil {
					err = c.Shutdown(ctx) // flush before the server ends
				}
				result <- err
				cancel()
			})
			return nil
		},
	}
	err = server.Serve(ctx, l)
	select {
	case handled := <-result:
		return errors.Join(err, handled)
	default: // ended by a signal
		return err
	}
}
