package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// result is what came of a search.
type result struct {
	States    int64
	Depth     int64
	Megabytes float64
	CPU       time.Duration

	Found    string // the first error found: a property; empty if there is none
	Detail   string // its words, and where
	Searched string // safety, progress or fair, as the verifier says itself
	Failure  error  // why the search says nothing
	Dir      string // what is left of it
}

var (
	errorLine  = regexp.MustCompile(`(?m)^pan:\d+: (.* \(at depth \d+\))$`)
	assertion  = regexp.MustCompile(`^assertion violated .*\|\|\s*(\w+)\)`)
	errorCount = regexp.MustCompile(`depth reached (\d+), errors: (\d+)`)
	stateCount = regexp.MustCompile(`(?m)^\s*(\d\S*) states, stored`)
	memory     = regexp.MustCompile(`(?m)^\s*([\d.]+)\s+(?:total actual memory usage|memory usage \(Mbyte\))`)
	incomplete = regexp.MustCompile(`(?im)^.*(max search depth too small|out of memory|memory limit|not completed|hash table is full|reached -DMEMLIM|aborted|interrupted).*$`)
	searches   = map[string]*regexp.Regexp{
		"safety":   regexp.MustCompile(`invalid end states\s+\+`),
		"progress": regexp.MustCompile(`non-progress cycles\s+\+ \(fairness disabled\)`),
		"fair":     regexp.MustCompile(`non-progress cycles\s+\+ \(fairness enabled\)`),
	}
)

// parseOutput takes apart what a verifier prints.
func parseOutput(output string) result {
	var r result
	counts := errorCount.FindStringSubmatch(output)
	states := stateCount.FindStringSubmatch(output)
	if counts == nil || states == nil {
		r.Failure = fmt.Errorf("the verifier did not finish: %s", firstLines([]byte(output), 3))
		return r
	}
	r.Depth, _ = strconv.ParseInt(counts[1], 10, 64)
	stored, _ := strconv.ParseFloat(states[1], 64) // large ones have an exponent
	r.States = int64(stored)
	if m := memory.FindStringSubmatch(output); m != nil {
		r.Megabytes, _ = strconv.ParseFloat(m[1], 64)
	}
	for mode, says := range searches {
		if says.MatchString(output) {
			r.Searched = mode
		}
	}
	if m := errorLine.FindStringSubmatch(output); m != nil {
		r.Detail = m[1]
		r.Found = property(m[1])
	}
	if !strings.Contains(output, "Full statespace search") {
		r.Failure = errors.New("not a search of all states")
	}
	if why := incomplete.FindString(output); why != "" && r.Found == "" {
		r.Failure = fmt.Errorf("not a complete search: %s", strings.TrimSpace(why))
	}
	if (counts[2] == "0") != (r.Found == "") {
		r.Failure = fmt.Errorf("the verifier counts %s errors and shows %q", counts[2], r.Detail)
	}
	return r
}

// property names what the words of an error mean.
func property(detail string) string {
	if m := assertion.FindStringSubmatch(detail); m != nil {
		return m[1]
	}
	switch {
	case strings.HasPrefix(detail, "invalid end state"):
		return "deadlock"
	case strings.HasPrefix(detail, "non-progress cycle"):
		return "livelock"
	}
	return "unknown"
}

// judge compares a result with what is expected of the run, and returns it in
// words.
func (v *verification) judge(r result) (string, error) {
	found := r.Found
	if found == "witness" {
		found = "reached"
	}
	switch {
	case r.Failure != nil:
		return "", r.Failure
	case r.Searched != v.Mode:
		return "", fmt.Errorf("expected a search for %s, the verifier did one for %q", v.Mode, r.Searched)
	case found == "" && v.Expect == "holds":
		return "holds: " + v.Mode, nil
	case found == "" && v.Expect == "reached":
		return "", errors.New("the situation is not reached")
	case found == "":
		return "", fmt.Errorf("the mutant is not caught, expected: %s", v.Expect)
	case v.Expect == "holds":
		return "", fmt.Errorf("%s: %s", found, r.Detail)
	case found != v.Expect:
		return "", fmt.Errorf("expected: %s; found: %s: %s", v.Expect, found, r.Detail)
	case found == "reached":
		return "reached", nil
	}
	return "caught: " + found, nil
}
