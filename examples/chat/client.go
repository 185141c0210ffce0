package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
)

const (
	quit    = "quit"                 // is sent, and ends the client
	maxLine = conn.DefaultMaxMessage // the longest line that can be sent: the server's limit
	maxName = 1 << 10                // more than what the server writes in front of it
)

// talk sends the lines of stdin in turn, and prints what arrives meanwhile.
func talk(ctx context.Context, address string, stdin io.Reader, stdout io.Writer) (err error) {
	ctx, interrupt := context.WithCancel(ctx)
	defer interrupt()
	defer func() {
		if ctx.Err() != nil {
			err = nil // told to end by a signal
		}
	}()
	c, err := tinyproto.Dial(ctx, address, &tinyproto.DialOptions{
		Conn: tinyproto.Options{MaxMessage: maxLine + maxName, Grace: grace},
	})
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := openScreen(ctx, interrupt, stdin, stdout)
	if err != nil {
		return err
	}
	defer s.close()

	lines := make(chan line, s.typeAhead())
	go s.readLines(lines, c.Done()) // ends with stdin or the connection
	ended := make(chan error, 1)
	shown := make(chan struct{})
	go func() { // ends with the connection
		defer close(shown)
		ended <- show(c, s)
	}()
	defer func() { // what has arrived is printed, if somebody reads it
		select {
		case <-shown:
		case <-time.After(grace):
		}
	}()
	for {
		select {
		case l := <-lines:
			switch {
			case l.err == io.EOF:
				return shutdown(c)
			case l.err != nil:
				return errors.Join(l.err, shutdown(c))
			}
			if err := c.Send(ctx, l.text); err != nil && ctx.Err() == nil {
				return err
			}
			if string(l.text) == quit {
				shutdown(c) // whatever the server makes of it
				return nil
			}
		case err := <-ended:
			return err
		case <-ctx.Done():
			return shutdown(c)
		}
	}
}

// show prints what arrives until the server ends the connection.
func show(c *tinyproto.Conn, s screen) error {
	for msg := range c.Inbox() {
		if err := s.print(msg); err != nil {
			return err
		}
	}
	if err := c.Err(); err != nil {
		return err
	}
	return errors.New("the server ended the connection")
}

// shutdown ends the connection gracefully, within the grace period.
func shutdown(c *tinyproto.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	return c.Shutdown(ctx)
}

// A screen is where the user types and reads.
type screen interface {
	// print prints a message in a line of its own.
	print(msg []byte) error
	// readLines hands over what is typed, line by line, until stop closes.
	readLines(lines chan<- line, stop <-chan struct{})
	// typeAhead is how many lines may wait to be sent.
	typeAhead() int
	// close leaves everything as it was found.
	close()
}

// openScreen returns a terminal if both ends are one that can be written to
// all over.
func openScreen(ctx context.Context, interrupt func(), stdin io.Reader, stdout io.Writer) (screen, error) {
	in, out := asTerminal(stdin), asTerminal(stdout)
	if in != nil && out != nil && os.Getenv("TERM") != "dumb" {
		return openTerminal(ctx, interrupt, in, out)
	}
	return &plain{stdin, stdout, out != nil}, nil
}

// asTerminal returns the terminal that a stream is, or nil.
func asTerminal(stream any) *os.File {
	if f, ok := stream.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// line is a line of input without its newline, or why there are no more.
type line struct {
	text []byte
	err  error
}

// plain is a screen of two streams, as they are.
type plain struct {
	stdin  io.Reader
	stdout io.Writer
	quoted bool // stdout is a terminal, which must not get what it would obey
}

func (p *plain) print(msg []byte) error {
	text := string(msg)
	if p.quoted {
		text = harmless(msg)
	}
	_, err := io.WriteString(p.stdout, text+"\n")
	return err
}

func (p *plain) typeAhead() int { return 0 }

func (p *plain) close() {}

// readLines also hands over a last line without newline.
func (p *plain) readLines(lines chan<- line, stop <-chan struct{}) {
	in := bufio.NewReaderSize(p.stdin, 64<<10)
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

// harmless quotes what a terminal might take for an order: all control
// characters but the tab, and bytes that are not UTF-8.
func harmless(msg []byte) string {
	var b strings.Builder
	for len(msg) > 0 {
		r, size := utf8.DecodeRune(msg)
		if r == utf8.RuneError && size == 1 || unicode.IsControl(r) && r != '\t' {
			quoted := strconv.Quote(string(msg[:size]))
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.Write(msg[:size])
		}
		msg = msg[size:]
	}
	return b.String()
}
