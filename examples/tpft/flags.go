package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tinyproto-go/tinyproto/wire"
)

const usage = `usage: tpft -l HOST[:PORT] [-v]
       tpft [-p] [-chunk-size N] SRC... DST

Exactly one side of a copy is remote, HOST[:PORT]:PATH. The port is 8088 unless
given; digits between the first two colons are the port. An IPv6 address stands
in brackets. A local path with a colon in it needs a slash before that: ./a:b.
`

// Defaults of the flags.
const (
	defaultChunk    = 4 << 20
	defaultMaxConns = 128
	defaultTimeout  = 90 * time.Second
)

// options is what the command line says.
type options struct {
	listen   string // host:port; "" for a client
	verbose  bool
	root     string
	readOnly bool
	maxConns int

	progress  bool
	chunk     int64 // bytes, 1 to wire.MaxSize
	recursive bool
	compress  bool
	check     bool
	resume    bool
	sources   []place // of one server, or all local
	dest      place   // the other side

	tls           bool
	ca, cert, key string
	timeout       time.Duration
}

// extended reports whether the copy needs what only a Go server has.
func (o *options) extended() bool { return o.recursive || o.compress || o.check || o.resume }

// server returns the address of the server to copy to or from.
func (o *options) server() string { return cmp.Or(o.dest.server, o.sources[0].server) }

// Flags that only one of the two uses of the program has.
var (
	ofServer = []string{"l", "v", "root", "read-only", "max-conns"}
	ofClient = []string{"p", "chunk-size", "r", "c", "check", "resume"}
)

// parseFlags returns nil and the exit status if there is nothing to do.
func parseFlags(args []string, stdout, stderr io.Writer) (*options, int) {
	var o options
	flags := flag.NewFlagSet("tpft", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	listen := flags.String("l", "", "serve on `HOST[:PORT]`; :PORT is all interfaces")
	flags.BoolVar(&o.verbose, "v", false, "server: print what happens")
	flags.StringVar(&o.root, "root", ".", "server: serve this `DIR` and what is below")
	flags.BoolVar(&o.readOnly, "read-only", false, "server: refuse uploads")
	flags.IntVar(&o.maxConns, "max-conns", defaultMaxConns, "server: turn away connections beyond `N`; 0 is no limit")
	flags.BoolVar(&o.progress, "p", false, "client: show the progress")
	flags.Int64Var(&o.chunk, "chunk-size", defaultChunk, "client: upload in messages of at most `N` bytes; with -c at most 1 MiB")
	flags.BoolVar(&o.recursive, "r", false, "client: copy directories with what is in them, but for symbolic links and special files (needs a Go server)")
	flags.BoolVar(&o.compress, "c", false, "client: compress what is sent (needs a Go server)")
	flags.BoolVar(&o.check, "check", false, "client: compare the SHA-256 sums of both ends (needs a Go server)")
	flags.BoolVar(&o.resume, "resume", false, "client: keep what has arrived of an interrupted copy as .NAME.tpft-partial, and go on behind it (needs a Go server)")
	flags.BoolVar(&o.tls, "tls", false, "use TLS; a server needs -cert and -key")
	flags.StringVar(&o.ca, "ca", "", "certificate authorities in a PEM `FILE`: a server demands client certificates of these, a client trusts them instead of the system's")
	flags.StringVar(&o.cert, "cert", "", "own certificate in a PEM `FILE`")
	flags.StringVar(&o.key, "key", "", "private key of -cert in a PEM `FILE`")
	flags.DurationVar(&o.timeout, "timeout", defaultTimeout, "give up a peer that makes no progress for this `DURATION`")

	places, err := parseMixed(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage, "\n")
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return nil, 0
	}
	if err == nil {
		err = o.complete(flags, *listen, places)
	}
	if err != nil {
		complain(stderr, err)
		fmt.Fprintf(stderr, "\n%s\ntpft -h lists the flags.\n", usage)
		return nil, 2
	}
	return &o, 0
}

// parseMixed parses flags that may stand between and behind the arguments, as
// those of the Python tool may. Behind "--" there are none.
func parseMixed(flags *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		n := len(args) - flags.NArg()
		if flags.NArg() == 0 || n > 0 && args[n-1] == "--" {
			return append(rest, flags.Args()...), nil
		}
		rest = append(rest, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

// complete checks what was parsed against each other.
func (o *options) complete(flags *flag.FlagSet, listen string, places []string) error {
	set := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
	others, use := ofServer, "copies"
	if set["l"] {
		others, use = ofClient, "serves (-l)"
	}
	if i := slices.IndexFunc(others, func(name string) bool { return set[name] }); i >= 0 {
		return fmt.Errorf("-%s is not for one that %s", others[i], use)
	}
	switch {
	case o.timeout <= 0:
		return fmt.Errorf("-timeout %v: expected more than 0", o.timeout)
	case o.maxConns < 0:
		return fmt.Errorf("-max-conns %d: expected 0 or more", o.maxConns)
	case o.chunk < 1 || o.chunk > wire.MaxSize:
		return fmt.Errorf("-chunk-size %d: expected 1 to %d bytes", o.chunk, int64(wire.MaxSize))
	case !o.tls && (set["ca"] || set["cert"] || set["key"]):
		return errors.New("-ca, -cert and -key are of no use without -tls")
	case set["cert"] != set["key"]:
		return errors.New("-cert and -key need each other")
	case set["l"] && o.tls && !set["cert"]:
		return errors.New("a server with -tls needs -cert and -key")
	case set["l"] && len(places) > 0:
		return fmt.Errorf("unexpected argument %q beside -l", places[0])
	case set["l"]:
		address, err := listenAddress(listen)
		o.listen = address
		return err
	case len(places) < 2:
		return fmt.Errorf("expected SRC... DST or -l HOST[:PORT], saw %d arguments", len(places))
	}
	return o.setPlaces(places)
}

// setPlaces checks that one side of the copy is remote, all of it on one server.
func (o *options) setPlaces(args []string) error {
	for i, arg := range args {
		p, err := parsePlace(arg)
		if err != nil {
			return err
		}
		if i == len(args)-1 {
			o.dest = p
		} else {
			o.sources = append(o.sources, p)
		}
	}
	for i, p := range o.sources {
		switch {
		case (p.server == "") == (o.dest.server == ""):
			return fmt.Errorf("exactly one of %q and %q has to be remote, HOST[:PORT]:PATH", args[i], args[len(args)-1])
		case p.server != o.sources[0].server:
			return fmt.Errorf("all sources have to be on one server: %s and %s are two", o.sources[0].server, p.server)
		}
	}
	if strings.Contains(o.dest.path, "\x00") {
		return errors.New("a path can't contain a zero byte")
	}
	return nil
}
