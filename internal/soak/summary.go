package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// summarize prints what was counted, when all has ended.
func (s *soaking) summarize(out io.Writer) {
	t, _, _ := s.books.snapshot()
	took := time.Since(s.began)
	fmt.Fprintf(out, "\n%v, seed %d: %d connections accounted for by both ends, %d by clients of servers that were killed, %d without a hello\n",
		took.Round(time.Second), s.cfg.seed, t.pairs, t.orphans, total(t.greeted))
	fmt.Fprintf(out, "%d graceful restarts, %d kills, %d quiet points; %.2f cores used\n\n",
		s.graceful.Load(), s.kills.Load(), s.quiets, (cpuTime()+s.used).Seconds()/took.Seconds())

	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "messages\thanded over\twritten\trefused\tfailed\tunsent\tdropped by a hub\tarrived\ttaken\tleft\tin doubt\tbytes\t")
	row := func(name string, f flow) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t\n", name, f.handed, f.written, f.refused, f.failed,
			f.unsent, f.dropped, f.arrived, f.taken, f.left, f.inDoubt, bytesText(int64(f.bytes)))
	}
	row("clients to servers", t.up)
	row("servers to clients", t.down)
	row("clients to killed servers", t.unheard)
	w.Flush()

	fmt.Fprintln(out)
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "in use\tserver heap\tgoroutines\tdescriptors\tclients heap\tgoroutines\tdescriptors\t")
	use := func(name string, p pair) {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%d\t%d\t\n", name, bytesText(p.server.Heap), p.server.Goroutines, p.server.Descriptors,
			bytesText(p.clients.Heap), p.clients.Goroutines, p.clients.Descriptors)
	}
	use("at the start", s.start)
	use("after the warm-up", s.before)
	use("most, loaded", s.show.peak)
	use("most, loaded and collected", s.loaded)
	use("at the last quiet point", s.after)
	w.Flush()
	if n := s.loaded.server.Open; n > 0 {
		fmt.Fprintf(out, "server, loaded: %s of heap per connection, of at most %s\n",
			bytesText((s.loaded.server.Heap-s.before.server.Heap)/n), bytesText(boundPerConnection))
	}
	fmt.Fprintf(out, "\nconnections: %s\nends at clients: clean %d, %s\nends at servers: clean %d, %s\n",
		kindsText(t.roles), t.clients[clean], kindsText(t.clients), t.guests[clean], kindsText(t.guests))
	fmt.Fprintf(out, "no hello: %s\ndials failed: %s\nCONFLICTs: %d\n",
		kindsText(t.greeted), kindsText(s.fleet.failures.snapshot()), t.conflicts)
}

func total(counts map[string]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}
