// Command soak keeps thousands of connections busy for a long time, and then
// accounts for every message. It starts itself as a server in a process of its
// own. Clients of many kinds come and go: they echo, pump, stream and chat, read
// slowly or not at all, break off messages, greet wrongly; and the server is
// restarted now and then, gracefully and not. At quiet points all clients have
// left, and the heap, the goroutines and the descriptors have to be back where
// they were after the warm-up, in both processes.
//
// Each end of each connection counts what it does, and the two accounts have to
// agree: what was written has arrived, what was not is listed as unsent or its
// Send has failed, and one message at most, the last, may be in doubt where an
// end was killed or broke off. Half of the clients ask for pipelined mode: there
// what was answered has arrived and was taken, all else is unsent or its Send has
// failed, and nothing is in doubt. Only clients can account for their connections
// with a server that was killed.
//
// It ends with a table of all that was counted, and with status 1 and the
// reasons if something does not reconcile. An interrupt ends the load early.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"time"

	"github.com/tinyproto-go/tinyproto/internal/filelimit"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second interrupt ends the program at once
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// config is what a run is made of.
type config struct {
	duration    time.Duration
	connections int
	rate        float64
	restart     time.Duration
	progress    time.Duration
	patience    time.Duration
	seed        uint64
	sabotage    sabotage
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	var cfg config
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.DurationVar(&cfg.duration, "duration", 30*time.Minute, "how long the load lasts, the warm-up included")
	flags.IntVar(&cfg.connections, "connections", 5000, "how many connections there are at a time")
	flags.Float64Var(&cfg.rate, "rate", 8000, "messages per second that the clients send together; one of n times 64 KiB counts n times more,\n"+
		"one for a room counts for each that is in it. With the default, both processes together\nuse about one core of a slow machine")
	flags.DurationVar(&cfg.restart, "restart", 0, "how often the server is restarted, in turn gracefully and by killing it,\n"+
		"with a quiet point between two restarts (default 5m, or less in a short run)")
	flags.DurationVar(&cfg.progress, "progress", 0, "how often to print how it goes (default 10s on a terminal, else 1m)")
	flags.DurationVar(&cfg.patience, "patience", time.Minute, "how long anything may take that a client waits for")
	flags.Uint64Var(&cfg.seed, "seed", 0, "of what clients do, not of when (default random)")
	flags.Func("sabotage", "what the server does wrong, to see it noticed: lost, doubled or leak", func(name string) (err error) {
		cfg.sabotage, err = parseSabotage(name)
		return err
	})
	number := flags.Int("serve", 0, "be the `n`th server: what the program starts itself with")
	dir := flags.String("dir", "", "the server's directory")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case cfg.connections < 1:
		return fmt.Errorf("-connections must be at least 1, not %d", cfg.connections)
	case cfg.duration <= 0 || cfg.restart < 0 || cfg.patience <= 0 || cfg.progress < 0:
		return errors.New("-duration and -patience must be above 0, -restart and -progress not below")
	case !(cfg.rate > 0):
		return fmt.Errorf("-rate must be above 0, not %v", cfg.rate)
	}
	if err := filelimit.Raise(descriptors(cfg.connections)); err != nil {
		return fmt.Errorf("%w; choose a smaller number with -connections", err)
	}
	if *number > 0 {
		signal.Ignore(os.Interrupt) // which a terminal sends to both processes
		return serve(*number, *dir, cfg.sabotage, stdin, stdout)
	}
	if cfg.seed == 0 {
		cfg.seed = rand.Uint64()
	}
	if cfg.progress == 0 {
		if cfg.progress = time.Minute; isTerminal(stdout) {
			cfg.progress = 10 * time.Second
		}
	}
	if cfg.restart == 0 {
		cfg.restart = min(5*time.Minute, cfg.duration/3)
	}
	return soak(ctx, cfg, stdout, stderr)
}

// descriptors is how many files a process may need: a socket for each
// connection, a file and a pipe for some, those of connections that are ending,
// and a few besides.
func descriptors(connections int) uint64 { return uint64(connections)*3/2 + 256 }

// serverArgs are the arguments of the process of the server number n.
func (c *config) serverArgs(n int, dir string) []string {
	return []string{"-serve", strconv.Itoa(n), "-dir", dir,
		"-connections", strconv.Itoa(c.connections), "-sabotage", string(c.sabotage)}
}

// isTerminal reports whether w can show one line over another.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
