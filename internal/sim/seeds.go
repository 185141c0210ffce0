package main

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

//go:embed testdata/seeds.txt
var regressions string

// seed is what a plan is drawn from.
type seed struct {
	number  uint64
	classic bool // nobody asks for pipelined mode; all else is the same
}

func (s seed) draw() *plan {
	if s.classic {
		return drawClassic(s.number).p
	}
	return draw(s.number)
}

func (s seed) String() string {
	if s.classic {
		return fmt.Sprintf("%d (classic)", s.number)
	}
	return fmt.Sprint(s.number)
}

// parseSeeds returns the seeds of a list: one a line, perhaps with the word
// classic, and with a comment behind #.
func parseSeeds(list string) (seeds []seed, err error) {
	for n, line := range strings.Split(list, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		number, classic := strings.CutSuffix(line, " classic")
		s := seed{classic: classic}
		if s.number, err = strconv.ParseUint(strings.TrimSpace(number), 10, 64); err != nil {
			return nil, fmt.Errorf("line %d of the list of seeds: %q: expected a number: %w", n+1, line, err)
		}
		seeds = append(seeds, s)
	}
	return seeds, nil
}
