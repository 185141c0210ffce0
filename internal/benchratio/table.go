package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// baseline is the way that all others are set in relation to.
const baseline = "floor-fresh"

// benchmark is a name taken apart.
type benchmark struct {
	workload string
	way      string
	size     int
	variant  string // of the way; may be empty
}

// String returns the name as the testing package has it.
func (b benchmark) String() string {
	s := fmt.Sprintf("Benchmark%s/%s/%d", b.workload, b.way, b.size)
	if b.variant != "" {
		s += "/" + b.variant
	}
	return s
}

// inOrder returns the benchmarks that gave results, by workload and then by
// size, so that those that are compared stand together. Otherwise they keep
// their order.
func inOrder(results []result) []benchmark {
	workloads := map[string]int{}
	order := make([]benchmark, 0, len(results))
	for _, r := range results {
		if _, ok := workloads[r.workload]; !ok {
			workloads[r.workload] = len(workloads)
		}
		order = append(order, r.benchmark)
	}
	slices.SortStableFunc(order, func(a, b benchmark) int {
		return cmp.Or(cmp.Compare(workloads[a.workload], workloads[b.workload]), cmp.Compare(a.size, b.size))
	})
	return order
}

// figures are what one run of a benchmark gave.
type figures struct {
	ns, allocs float64 // per operation
}

// round is what each benchmark gave in one round.
type round map[benchmark]figures

type result struct {
	benchmark
	figures
}

// parse finds the results in what a test binary printed.
func parse(output string) []result {
	var results []result
	for line := range strings.Lines(output) {
		fields := strings.Fields(line)
		if len(fields) < 4 {
			continue
		}
		b, ok := parseName(fields[0])
		if !ok {
			continue
		}
		r := result{benchmark: b}
		timed := false
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				continue
			}
			switch fields[i+1] {
			case "ns/op":
				r.ns, timed = value, true
			case "allocs/op":
				r.allocs = value
			}
		}
		if timed {
			results = append(results, r)
		}
	}
	return results
}

func parseName(s string) (benchmark, bool) {
	s, ok := strings.CutPrefix(strings.TrimSuffix(s, cpuSuffix()), "Benchmark")
	parts := strings.SplitN(s, "/", 4)
	if !ok || len(parts) < 3 {
		return benchmark{}, false
	}
	size, err := strconv.Atoi(parts[2])
	if err != nil {
		return benchmark{}, false
	}
	b := benchmark{workload: parts[0], way: parts[1], size: size}
	if len(parts) == 4 {
		b.variant = parts[3]
	}
	return b, true
}

// cpuSuffix returns what the testing package adds to the names of benchmarks.
func cpuSuffix() string {
	if n := runtime.GOMAXPROCS(0); n > 1 {
		return "-" + strconv.Itoa(n)
	}
	return ""
}

// printTables prints one table per workload, in the order given.
func printTables(w io.Writer, order []benchmark, rounds []round) error {
	var out strings.Builder
	workload := ""
	for i, b := range order {
		if i == 0 || b.workload != workload {
			if workload = b.workload; i > 0 {
				out.WriteString("\n")
			}
			fmt.Fprintf(&out, "%s: medians of %d rounds, ratios to %s of the same round\n\n", workload, len(rounds), baseline)
			out.WriteString("| bytes | way | ns/op | allocs/op | ratio | min to max |\n|--:|:--|--:|--:|--:|:-:|\n")
		}
		var ns, allocs, ratios []float64
		for _, r := range rounds {
			f := r[b]
			ns, allocs = append(ns, f.ns), append(allocs, f.allocs)
			if floor := r[benchmark{workload: b.workload, way: baseline, size: b.size}]; floor.ns > 0 {
				ratios = append(ratios, f.ns/floor.ns)
			}
		}
		way := strings.TrimSpace(b.way + " " + b.variant)
		fmt.Fprintf(&out, "| %d | %s | %.0f | %.0f | %s |\n", b.size, way, median(ns), median(allocs), spread(ratios))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// spread returns the cells for the median, the least and the greatest ratio.
func spread(ratios []float64) string {
	if len(ratios) == 0 {
		return "none | none"
	}
	return fmt.Sprintf("%.2f | %.2f to %.2f", median(ratios), slices.Min(ratios), slices.Max(ratios))
}

// median returns the middle of values, of which there must be one at least.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
