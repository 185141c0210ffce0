// Measure copies a file over loopback in three ways, in turn, each with a
// process for either end: with io.Copy over a bare TCP connection (the floor),
// with tpft, and with the same messages held in memory. It prints the medians
// of time, processor time and peak memory, and the ratios to the floor.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"text/tabwriter"
	"time"
)

// parameters are what the command line says.
type parameters struct {
	size   int64 // bytes
	chunk  int64 // bytes
	rounds int
	dir    string
	sync   bool
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == "end" {
		exit(runEnd(os.Args[2], os.Args[3:]))
	}
	var p parameters
	flag.Int64Var(&p.size, "size", 1<<30, "`bytes` of the file")
	flag.Int64Var(&p.chunk, "chunk-size", 4<<20, "`bytes` of a message; a tpft server sends 4 MiB in any case")
	flag.IntVar(&p.rounds, "rounds", 5, "`times` that each way is measured")
	flag.StringVar(&p.dir, "dir", os.TempDir(), "`directory` for the files; one in memory measures the least of the disk")
	flag.BoolVar(&p.sync, "sync", true, "have the other ways wait until the file is on the disk, as tpft does")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := measure(ctx, p, os.Stdout)
	stop()
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (p *parameters) valid() error {
	switch {
	case p.size < 1:
		return fmt.Errorf("-size %d: expected 1 or more", p.size)
	case p.chunk < 1 || p.chunk > math.MaxInt32:
		return fmt.Errorf("-chunk-size %d: expected 1 to %d", p.chunk, math.MaxInt32)
	case p.rounds < 1:
		return fmt.Errorf("-rounds %d: expected 1 or more", p.rounds)
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	return nil
}

// result is one copy.
type result struct {
	took          time.Duration
	send, receive end
}

// end is what one end of a copy has used.
type end struct {
	cpu    time.Duration
	memory int64 // peak, in bytes; 0 if it is not known
}

func measure(ctx context.Context, p parameters, out io.Writer) (err error) {
	if err := p.valid(); err != nil {
		return err
	}
	c, err := newCopier(ctx, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.remove()) }()
	ways := []struct {
		name string
		run  func(context.Context) (result, error)
	}{{"floor", c.floor}, {"tpft upload", c.upload}, {"tpft download", c.download}, {"in memory", c.memory}}
	results := make([][]result, len(ways))
	for range p.rounds {
		for i, w := range ways {
			r, err := w.run(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			results[i] = append(results[i], r)
		}
	}
	fmt.Fprintf(out, "%d bytes, messages of %d, %d rounds in turn; medians (min-max of the ratio)\n", p.size, p.chunk, p.rounds)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "way\tMB/s\tof the floor\tsender CPU s\treceiver CPU s\tsender MiB\treceiver MiB")
	for i, w := range ways {
		var ratios []float64
		for k, r := range results[i] {
			ratios = append(ratios, float64(results[0][k].took)/float64(r.took))
		}
		slices.Sort(ratios)
		took := median(results[i], func(r result) float64 { return r.took.Seconds() })
		fmt.Fprintf(table, "%s\t%.0f\t%.2f (%.2f-%.2f)\t%.2f\t%.2f\t%s\t%s\n", w.name, float64(p.size)/1e6/took,
			ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1],
			median(results[i], func(r result) float64 { return r.send.cpu.Seconds() }),
			median(results[i], func(r result) float64 { return r.receive.cpu.Seconds() }),
			mebibytes(median(results[i], func(r result) float64 { return float64(r.send.memory) })),
			mebibytes(median(results[i], func(r result) float64 { return float64(r.receive.memory) })))
	}
	return table.Flush()
}

func mebibytes(n float64) string {
	if n == 0 {
		return "unknown"
	}
	return strconv.FormatFloat(n/(1<<20), 'f', 1, 64)
}

func median(results []result, of func(result) float64) float64 {
	var v []float64
	for _, r := range results {
		v = append(v, of(r))
	}
	slices.Sort(v)
	return v[len(v)/2]
}
