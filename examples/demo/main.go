// Demo starts an echo server and a client on loopback, sends the lines of a
// text through them, and shows the exchange and how fast it went.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tinyproto-go/tinyproto"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program the hard way
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program, with its exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	text := flags.String("text", "testdata/poems.txt", "send the lines of `FILE`")
	rounds := flags.Int("rounds", 200, "how often to send them, the first time in full view")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: demo [-text FILE] [-rounds N]")
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil, flags.NArg() > 0, *rounds < 1:
		return 2
	}
	data, err := os.ReadFile(*text)
	if err == nil {
		err = demo(ctx, bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")), *rounds, stdout, bar{stderr})
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	return 0
}

// demo runs the server and the client until the client is done.
func demo(ctx context.Context, lines [][]byte, rounds int, stdout io.Writer, progress bar) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l, err := tinyproto.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.Go(func() error { // ends with ctx
		server := tinyproto.Server{Handler: echo}
		return server.Serve(ctx, l)
	})
	g.Go(func() error { // ends when every line has come back
		defer cancel()
		return client(ctx, l.Addr().String(), lines, rounds, stdout, progress)
	})
	return g.Wait()
}

func echo(_ context.Context, c *tinyproto.Conn) error {
	for msg := range c.Inbox() {
		select {
		case c.Outbox() <- msg:
		case <-c.Done():
		}
	}
	return c.Err()
}

// client sends the lines in turn, and then all at once while it receives.
func client(ctx context.Context, address string, lines [][]byte, rounds int, stdout io.Writer, progress bar) error {
	c, err := tinyproto.Dial(ctx, address, nil)
	if err != nil {
		return err
	}
	defer c.Close()

	for _, line := range lines {
		if err := c.Send(ctx, line); err != nil {
			return err
		}
		reply, err := c.Receive(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "-> %s\n<- %s\n", line, reply)
	}

	begin := time.Now()
	for round := range rounds {
		progress.show("in turn", round, rounds)
		for _, line := range lines {
			if err := c.Send(ctx, line); err != nil {
				return err
			}
			reply, err := c.Receive(ctx)
			if err != nil {
				return err
			}
			if !bytes.Equal(line, reply) {
				return fmt.Errorf("sent %q, received %q", line, reply)
			}
		}
	}
	inTurn := time.Since(begin)

	begin = time.Now()
	if err := atOnce(ctx, c, lines, rounds, progress); err != nil {
		return err
	}
	both := time.Since(begin)
	progress.done()

	stats := c.Stats()
	n := float64(rounds * len(lines))
	fmt.Fprintf(stdout, "\n%d messages and %d bytes each way, every one checked\n", stats.MessagesSent, stats.BytesSent)
	fmt.Fprintf(stdout, "in turn:      %8.0f round trips per second\n", n/inTurn.Seconds())
	fmt.Fprintf(stdout, "both at once: %8.0f messages per second, each way\n", n/both.Seconds())
	return c.Shutdown(ctx)
}

// atOnce sends the lines without waiting, while it receives what comes back.
func atOnce(ctx context.Context, c *tinyproto.Conn, lines [][]byte, rounds int, progress bar) error {
	var g errgroup.Group
	g.Go(func() error { // ends with the last line, or with the connection
		for range rounds {
			for _, line := range lines {
				select {
				case c.Outbox() <- line:
				case <-c.Done():
					return c.Err()
				}
			}
		}
		return nil
	})
	g.Go(func() error { // ends with the last reply, or with the connection
		for round := range rounds {
			progress.show("both at once", round, rounds)
			for _, line := range lines {
				reply, err := c.Receive(ctx)
				if err != nil {
					return err
				}
				if !bytes.Equal(line, reply) {
					return fmt.Errorf("sent %q, received %q", line, reply)
				}
			}
		}
		return nil
	})
	return g.Wait()
}
