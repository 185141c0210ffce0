// Command idlememory measures what an idle connection costs a server in
// memory: it starts itself as a server in a process of its own, opens many
// connections to it, exchanges one message over each, and then has the server
// say what it uses. It prints a Markdown table: bytes per connection, for a
// connection of package conn and for the least that a Go program can do, a
// goroutine that is blocked in Read.
//
// The buffers of the kernel are no part of it, and the same for all.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"text/tabwriter"

	"github.com/tinyproto-go/tinyproto/internal/filelimit"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "idlememory:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("idlememory", flag.ContinueOnError)
	flags.SetOutput(stderr)
	n := flags.Int("n", 5000, "how many connections to open")
	kind := flags.String("serve", "", "be the server, for connections of this `kind`: what the program starts itself with")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *n < 1:
		return fmt.Errorf("-n must be at least 1, not %d", *n)
	}
	// Server and client each have one end of every connection open, and a few
	// files besides.
	if err := filelimit.Raise(uint64(*n) + spareFiles); err != nil {
		return fmt.Errorf("%w; choose a smaller number of connections with -n", err)
	}
	if *kind != "" {
		return serve(*kind, stdin, stdout)
	}
	var rows []row
	for _, k := range kinds {
		fmt.Fprintf(stderr, "%d connections: %s\n", *n, k.does)
		r, err := measure(ctx, k, *n, stderr)
		switch {
		case ctx.Err() != nil:
			return errors.New("interrupted")
		case err != nil:
			return fmt.Errorf("%s: %w", k.does, err)
		}
		rows = append(rows, r)
	}
	return print(stdout, *n, rows)
}

// spareFiles is more than a process needs besides its connections.
const spareFiles = 64

// row is what the connections of one kind use, together.
type row struct {
	kind          kind
	before, after usage
}

// print prints the table of bytes per connection.
func print(w io.Writer, n int, rows []row) error {
	fmt.Fprintf(w, "Bytes per idle connection, %d connections\n\n", n)
	// Markdown needs no alignment, but this table is read in a terminal, too.
	table := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprint(table, "| server\t| heap\t| stacks\t| heap and stacks\t| RSS\t|\n|:--\t|--:\t|--:\t|--:\t|--:\t|\n")
	for _, r := range rows {
		each := func(before, after int64) int64 { return (after - before) / int64(n) }
		heap, stacks := each(r.before.Heap, r.after.Heap), each(r.before.Stacks, r.after.Stacks)
		both := each(r.before.Heap+r.before.Stacks, r.after.Heap+r.after.Stacks)
		rss := "not available here"
		if r.before.RSS > 0 && r.after.RSS > 0 {
			rss = fmt.Sprint(each(r.before.RSS, r.after.RSS))
		}
		fmt.Fprintf(table, "| %s\t| %d\t| %d\t| %d\t| %s\t|\n", r.kind.does, heap, stacks, both, rss)
	}
	return table.Flush()
}
