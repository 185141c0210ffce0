// Pipeline composes three connections with channels: it receives messages from
// one server, transforms them in parallel, and sends the results to two others
// in the same order. It can play the ends as well:
//
//	pipeline -source 127.0.0.1:7001 < lines.txt   # a server of lines
//	pipeline -sink 127.0.0.1:7002                 # a server that prints
//	pipeline -sink 127.0.0.1:7003
//	pipeline -from 127.0.0.1:7001 -to 127.0.0.1:7002,127.0.0.1:7003
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
	"runtime"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program the hard way
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program, with its exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("pipeline", flag.ContinueOnError)
	flags.SetOutput(stderr)
	source := flags.String("source", "", "serve the lines of stdin to one client at `ADDR`")
	sink := flags.String("sink", "", "print what one client sends to `ADDR`")
	from := flags.String("from", "", "receive from the server at `ADDR`")
	to := flags.String("to", "", "send to the servers at `ADDR,ADDR,...`")
	workers := flags.Int("workers", runtime.GOMAXPROCS(0), "how many messages to transform at once")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: pipeline -from ADDR -to ADDR,ADDR | -source ADDR | -sink ADDR")
		fmt.Fprintln(stderr, "\nPasses messages on in upper case, from one server to several.")
		fmt.Fprintln(stderr)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	var err error
	switch {
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "pipeline: unexpected argument %q\n", flags.Arg(0))
		return 2
	case *from != "" && *to != "" && *workers > 0 && *source == "" && *sink == "":
		var count int
		count, err = relay(ctx, *from, strings.Split(*to, ","), *workers, bytes.ToUpper)
		if err == nil {
			fmt.Fprintf(stdout, "passed on %d messages\n", count)
		}
	case *source != "" && *sink == "" && *from == "" && *to == "":
		err = serveLines(ctx, *source, stdin, stderr)
	case *sink != "" && *source == "" && *from == "" && *to == "":
		err = printMessages(ctx, *sink, stdout, stderr)
	default:
		flags.Usage()
		return 2
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(stderr, "pipeline:", err)
		return 1
	}
	return 0
}
