// Tpft copies files to and from a server of the same name, or one of the
// Python tool of that name.
//
//	tpft -l HOST[:PORT]
//	tpft [-p] [-chunk-size N] SRC... DST
//
// Exactly one side of a copy is remote, written HOST[:PORT]:PATH.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
)

// grace is how long either side may take to flush when it is told to end.
const grace = 3 * time.Second

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // compressed chunks are much garbage beside few live bytes
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program the hard way
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program, with its exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, status := parseFlags(args, stdout, stderr)
	if o == nil {
		return status
	}
	if o.listen != "" {
		if err := serve(ctx, o, stdout, stderr); err != nil {
			complain(stderr, err)
			return 1
		}
		return 0
	}
	if !copyAll(ctx, o, stderr) {
		return 1
	}
	return 0
}

// complain prints an error. What it says may come from the peer, and stderr
// may be a terminal.
func complain(stderr io.Writer, err error) {
	fmt.Fprintln(stderr, "tpft:", harmless(err.Error()))
}
