// Chat is a server that passes each message on to all others, and a client to
// type messages into. Either talks to the Python programs of the same protocol
// as well.
//
//	chat -listen 127.0.0.1:7777
//	chat -connect 127.0.0.1:7777
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

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program the hard way
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program, with its exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("chat", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "", "serve on `ADDR`: host:port or unix:///path")
	connect := flags.String("connect", "", "chat through the server at `ADDR`")
	flags.Usage = func() {
		fmt.Fprintf(stderr, "usage: chat -listen ADDR | -connect ADDR\n\n"+
			"The client sends each line and prints what arrives; the line %q and the end\n"+
			"of the input end it. The server knows the commands %s.\n\n", quit, commands)
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "chat: unexpected argument %q\n", flags.Arg(0))
		flags.Usage()
		return 2
	case (*listen == "") == (*connect == ""):
		fmt.Fprintln(stderr, "chat: give one of -listen and -connect")
		flags.Usage()
		return 2
	}
	var err error
	if *listen != "" {
		err = serve(ctx, *listen, stdout, stderr)
	} else {
		err = talk(ctx, *connect, stdin, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "chat:", err)
		return 1
	}
	return 0
}
