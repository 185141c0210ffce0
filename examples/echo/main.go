// Echo is a server that answers every message, and a client that sends it
// lines. Either talks to the Python programs of the same protocol as well.
//
//	echo -listen 127.0.0.1:7777
//	echo -connect 127.0.0.1:7777 < lines.txt
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// grace is how long either side may take to flush when it is told to end.
const grace = 3 * time.Second

// The messages that are orders to the server. Neither gets a reply.
const (
	quit       = "QUIT"    // ends the connection
	serverQuit = "SRVQUIT" // ends the server
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program the hard way
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program, with its exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("echo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "", "serve on `ADDR`: host:port or unix:///path")
	connect := flags.String("connect", "", "send the lines of stdin to the server at `ADDR`, each after the reply to the last")
	flags.Usage = func() {
		fmt.Fprintf(stderr, "usage: echo -listen ADDR | -connect ADDR\n\n"+
			"The server answers message M with \"Echo back: M\"; %s ends the connection\n"+
			"and %s the server.\n\n", quit, serverQuit)
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "echo: unexpected argument %q\n", flags.Arg(0))
		flags.Usage()
		return 2
	case (*listen == "") == (*connect == ""):
		fmt.Fprintln(stderr, "echo: give one of -listen and -connect")
		flags.Usage()
		return 2
	}
	var err error
	if *listen != "" {
		err = serve(ctx, *listen, stdout, stderr)
	} else {
		err = send(ctx, *connect, stdin, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "echo:", err)
		return 1
	}
	return 0
}
