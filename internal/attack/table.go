package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// printTables prints what the attacks cost the server, and what its honest
// clients noticed.
func printTables(w io.Writer, sc scale, rows []row) error {
	fmt.Fprintf(w, "%d connections, %v for each attack, HelloTimeout %v, StallTimeout %v\n\n", sc.conns, sc.duration, sc.hello, sc.stall)
	fmt.Fprint(w, "What the server spends. Memory is heap and stacks: held at the end of the attack, per connection held;\n"+
		"and at its peak, per byte of the attacker. RSS is the most it grew.\n\n")
	// Markdown needs no alignment, but these tables are read in a terminal, too.
	table := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprint(table, "| attack\t| at once\t| opened\t| bytes sent\t| held per conn.\t| goroutines\t| descriptors\t| peak per byte\t| RSS\t| CPU\t| CPU per conn.\t| CPU per byte\t|\n"+
		"|:--\t|--:\t|--:\t|--:\t|--:\t|--:\t|--:\t|--:\t|--:\t|--:\t|--:\t|--:\t|\n")
	for _, r := range rows {
		held := "-"
		if n, ok := r.memoryPerConn(); ok {
			held = size10(n)
		}
		fmt.Fprintf(table, "| %s\t| %d\t| %d\t| %s\t| %s\t| %.1f\t| %.1f\t| %.1f\t| %s\t| %.2f s\t| %.0f µs\t| %.1f ns\t|\n",
			r.pattern.name, r.workers, r.attack.Opened, size10(r.attack.bytes()),
			held, r.perConn(r.peak.Goroutines-r.before.Goroutines), r.perConn(r.peak.Descriptors-r.before.Descriptors),
			per(r.peak.Memory-r.before.Memory, r.attack.bytes()), size10(max(0, r.peak.RSS-r.before.RSS)),
			r.cpu.Seconds(), per(int64(r.cpu/time.Microsecond), r.attack.Opened), per(int64(r.cpu), r.attack.bytes()))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nWhat honest clients notice, in ms: %d that ask every %v on a connection of their own, and %d that connect for each request.\n\n",
		regularClients, honestPause, newcomers)
	fmt.Fprint(table, "| attack\t| asking p50\t| p99\t| max\t| without: p50\t| p99\t| max\t| failed\t| connecting p50\t| p99\t| max\t| without: p50\t| p99\t| max\t| failed\t|\n"+
		"|:--\t|--:\t|--:\t|--:\t|--:\t|--:\t|--:\t|--:\t|--:\t|--:\t|--:\t|--:\t|--:\t|--:\t|--:\t|\n")
	for _, r := range rows {
		fmt.Fprintf(table, "| %s\t%s%s| %s\t%s%s| %s\t|\n", r.pattern.name,
			r.attacked.latencies(), r.calm.latencies(), r.attacked.failures(),
			r.attackedBy.latencies(), r.calmVisits.latencies(), r.attackedBy.failures())
	}
	return table.Flush()
}

func (s sample) latencies() string {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return fmt.Sprintf("| %.2f\t| %.2f\t| %.1f\t", ms(s.quantile(0.5)), ms(s.quantile(0.99)), ms(s.longest))
}

func (s sample) failures() string {
	total := s.failed + len(s.replies)
	switch {
	case s.failed == 0:
		return fmt.Sprintf("0 of %d", total)
	case s.refused == s.failed:
		return fmt.Sprintf("%d of %d, told so", s.failed, total)
	}
	return fmt.Sprintf("%d of %d, %d told so", s.failed, total, s.refused)
}

// conns is how many connections of the attacker the server had at the end of
// the attack.
func (r *row) conns() int64 {
	if r.before.Descriptors == 0 { // the system does not tell
		return r.attack.Held
	}
	return r.held.Descriptors - r.before.Descriptors
}

// memoryPerConn is what each of them took. It is false if there were too few to tell.
func (r *row) memoryPerConn() (int64, bool) {
	n := r.conns()
	if n <= honestConns {
		return 0, false
	}
	return max(0, r.held.Memory-r.before.Memory) / n, true
}

// perConn shares n among the connections that the attacker has at once.
func (r *row) perConn(n int64) float64 { return max(0, float64(n)/float64(r.workers)) }

func per(n, of int64) float64 { return max(0, float64(n)/float64(max(1, of))) }

// size10 is a number of bytes that is easy to read.
func size10(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f KB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}
