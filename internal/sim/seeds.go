package main

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

//go:embed testdata/seeds.txt
var regressions string

// parseSeeds returns the seeds of a list: one a line, with a comment behind #.
func parseSeeds(list string) (seeds []uint64, err error) {
	for n, line := range strings.Split(list, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		seed, err := strconv.ParseUint(line, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("line %d of the list of seeds: %q: expected a number: %w", n+1, line, err)
		}
		seeds = append(seeds, seed)
	}
	return seeds, nil
}
