// Command attack measures what hostile peers cost a server, and what honest
// clients notice of them. It starts itself as the server, in a process of its
// own, and as the attacker, in another one at low priority; it is the honest
// clients itself. Patterns of attack follow one another, each against a fresh
// server. It prints Markdown tables: what the server spends per connection and
// per byte of the attacker, and how long its honest clients wait, with the
// attack and without.
//
// The buffers of the kernel are no part of the memory. The attacker's bytes
// include the headers that a connection takes at the least: 152 bytes for SYN,
// ACK and RST.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"time"

	"github.com/tinyproto-go/tinyproto/internal/filelimit"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(1)
	}
}

// scale is how much of everything there is.
type scale struct {
	conns    int           // of an attack that holds connections, at once
	duration time.Duration // of the attack, once it stands
	calm     time.Duration // without it, before
	hello    time.Duration // the server's HelloTimeout
	stall    time.Duration // the server's StallTimeout
	hellos   int           // the server's MaxHellos; 0 is its default
	patience time.Duration // how much longer an attack may last until all kinds of honest clients have had a reply
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("attack", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var sc scale
	flags.IntVar(&sc.conns, "conns", 10_000, "connections at once of the attacks that hold them")
	flags.DurationVar(&sc.duration, "duration", 10*time.Second, "how long each attack lasts, once it stands")
	flags.DurationVar(&sc.calm, "calm", 3*time.Second, "how long the honest clients are alone, before each")
	flags.DurationVar(&sc.hello, "hello", 10*time.Second, "HelloTimeout of the server")
	flags.DurationVar(&sc.stall, "stall", 2*time.Second, "StallTimeout of the server, whose default is 30s: too long to watch")
	flags.IntVar(&sc.hellos, "hellos", 0, "MaxHellos of the server (0: its default; negative: no limit)")
	only := flags.String("run", "", "only patterns whose name matches this `regexp`")
	list := flags.Bool("list", false, "list the patterns")
	role := flags.String("role", "", "be the `server` or the attacker: what the program starts itself as")
	input := flags.String("input", "", "for that role")
	if err := flags.Parse(args); err != nil {
		return err
	}
	match, err := regexp.Compile(*only)
	switch {
	case err != nil:
		return fmt.Errorf("-run: %w", err)
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case sc.conns < 1:
		return fmt.Errorf("-conns must be at least 1, not %d", sc.conns)
	case sc.duration <= 0 || sc.calm <= 0 || sc.hello <= 0 || sc.stall <= 0:
		return errors.New("-duration, -calm, -hello and -stall must be positive")
	case *list:
		for _, p := range patterns {
			fmt.Fprintf(stdout, "%-16s %s\n", p.name, p.does)
		}
		return nil
	}
	switch *role {
	case "":
	case "server":
		return beServer(ctx, *input, stdin, stdout)
	case "attacker":
		return beAttacker(ctx, *input, stdin, stdout)
	default:
		return fmt.Errorf("no role is called %q", *role)
	}
	// Server and attacker each have one end of every connection open; so the
	// limit that they inherit is raised here.
	if err := filelimit.Raise(uint64(sc.conns) + spareFiles); err != nil {
		return fmt.Errorf("%w; choose fewer connections with -conns", err)
	}
	stderr = &shared{w: stderr}
	var rows []row
	for _, p := range patterns {
		if !match.MatchString(p.name) {
			continue
		}
		fmt.Fprintf(stderr, "%s: %s\n", p.name, p.does)
		r, err := measure(ctx, p, sc, stderr)
		switch {
		case ctx.Err() != nil:
			return errors.New("interrupted")
		case err != nil:
			return fmt.Errorf("%s: %w", p.name, err)
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		return fmt.Errorf("no pattern matches %q; -list lists them", *only)
	}
	return printTables(stdout, sc, rows)
}

// spareFiles is more than a process needs besides the attack's connections.
const spareFiles = 256
