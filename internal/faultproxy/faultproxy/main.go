// Command faultproxy is a TCP proxy that mistreats what passes through it: see package
// faultproxy. It prints its address, and at its end (an interrupt) what it did.
//
//	go run ./internal/faultproxy/faultproxy -target 127.0.0.1:8088 -delay 5ms -split 3 -corrupt 100000
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"

	"github.com/tinyproto-go/tinyproto/internal/faultproxy"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "faultproxy:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("faultproxy", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var p faultproxy.Proxy
	flags.StringVar(&p.Target, "target", "", "forward to this `host:port`")
	listen := flags.String("listen", "127.0.0.1:0", "listen on this `host:port`")
	flags.Uint64Var(&p.Seed, "seed", 1, "what decides about the places of the faults")
	flags.DurationVar(&p.Faults.Delay, "delay", 0, "delay each piece by up to this")
	flags.IntVar(&p.Faults.Split, "split", 0, "forward pieces of up to so many `bytes`")
	flags.DurationVar(&p.Faults.Coalesce, "coalesce", 0, "wait so long for more before forwarding anything")
	flags.Int64Var(&p.Faults.Corrupt, "corrupt", 0, "change a bit about every so many `bytes`")
	flags.Int64Var(&p.Faults.Reset, "reset", 0, "reset each connection after about so many `bytes`")
	flags.Int64Var(&p.Faults.BlackHole, "blackhole", 0, "swallow each connection after about so many `bytes`")
	flags.Int64Var(&p.Faults.HalfClose, "halfclose", 0, "end a direction of each connection after about so many `bytes`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case p.Target == "":
		return errors.New("-target is missing")
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, l.Addr())
	err = p.Serve(ctx, l)
	s := p.Stats()
	fmt.Fprintf(stdout, "%d connections, %d bytes, %d corrupted, %d resets, %d black holes, %d half-closes\n",
		s.Connections, s.Bytes, s.Corrupted, s.Resets, s.BlackHoles, s.HalfCloses)
	return err
}
