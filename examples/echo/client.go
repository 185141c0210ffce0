package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
)

// maxLine is the longest line that can be sent: the server's limit.
const maxLine = conn.DefaultMaxMessage

// send sends the lines of stdin in turn, because a server in Python can't take
// the next one before its reply is read. It reads from the connection all the
// time, so that it notices at once when the server ends it.
func send(ctx context.Context, address string, stdin io.Reader, stdout io.Writer) (err error) {
	c, err := tinyproto.Dial(ctx, address, &tinyproto.DialOptions{
		Conn: tinyproto.Options{MaxMessage: maxLine + uint32(len(prefix)), Grace: grace},
	})
	defer func() {
		if ctx.Err() != nil {
			err = nil // told to end by a signal
		}
	}()
	if err != nil {
		return err
	}
	defer c.Close()

	lines := make(chan line)
	go readLines(stdin, lines, c.Done()) // ends with stdin or the connection
	for {
		select {
		case l := <-lines:
			switch {
			case l.err == io.EOF:
				return shutdown(c)
			case l.err != nil:
				return errors.Join(l.err, shutdown(c))
			}
			select {
			case msg, ok := <-c.Inbox():
				return unasked(c, msg, ok)
			default:
			}
			if err := c.Send(ctx, l.text); err != nil {
				return err
			}
			if text := string(l.text); text == quit || text == serverQuit {
				shutdown(c) // the server may be gone before it says so
				return nil
			}
			reply, err := c.Receive(ctx)
			if err == io.EOF {
				return errors.New("the server ended the connection instead of replying")
			}
			if err != nil {
				return err
			}
			if err := printReply(ctx, stdout, reply); err != nil {
				return errors.Join(err, shutdown(c))
			}
		case msg, ok := <-c.Inbox():
			return unasked(c, msg, ok)
		}
	}
}

// unasked says what it means that something came while no reply was due.
func unasked(c *tinyproto.Conn, msg []byte, ok bool) error {
	if ok {
		return fmt.Errorf("the server sent %d bytes that nobody asked for", len(msg))
	}
	if err := c.Err(); err != nil {
		return err
	}
	return errors.New("the server ended the connection")
}

// printReply prints a reply, or gives up when ctx ends: nobody may be reading.
func printReply(ctx context.Context, stdout io.Writer, reply []byte) error {
	printed := make(chan error, 1)
	go func() { // ends with the write, at the latest with the program
		_, err := fmt.Fprintf(stdout, "Response from server: %s\n", reply)
		printed <- err
	}()
	select {
	case err := <-printed:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// shutdown ends the connection gracefully, within the grace period.
func shutdown(c *tinyproto.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	return c.Shutdown(ctx)
}

// line is a line of input without its newline, or why there are no more.
type line struct {
	text []byte
	err  error
}

// readLines hands over the lines of r, a last one without newline too, until
// stop closes.
func readLines(r io.Reader, lines chan<- line, stop <-chan struct{}) {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		var l line
		for more := true; more; {
			var part []byte
			part, l.err = in.ReadSlice('\n')
			l.text = append(l.text, part...)
			more = l.err == bufio.ErrBufferFull && len(l.text) <= maxLine
		}
		switch n := len(l.text); {
		case l.err == nil:
			l.text = l.text[:n-1]
		case l.err == io.EOF && n > 0:
			l.err = nil // the next read says EOF again
		}
		if len(l.text) > maxLine {
			l = line{err: fmt.Errorf("a line is longer than %d bytes", maxLine)}
		}
		select {
		case lines <- l:
		case <-stop:
			return
		}
		if l.err != nil {
			return
		}
	}
}
