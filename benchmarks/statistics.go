package main

import "slices"

// spread is what several rounds gave.
type spread struct{ median, least, most float64 }

// spreadOf needs one value at least.
func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

// ratios returns values in relation to those of the same round of a reference.
func ratios(values, reference []float64) []float64 {
	n := min(len(values), len(reference))
	r := make([]float64, n)
	for i := range n {
		r[i] = values[i] / reference[i]
	}
	return r
}
