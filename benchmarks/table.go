package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// table is the figures of one event, in text.
type table struct {
	title string
	head  []string
	rows  [][]string // as many cells as head has; the first is a name, the others are numbers
}

// tableOf sets what each contestant achieved beside the ratios to the
// references that took part.
func tableOf(r result) table {
	w := r.workload
	t := table{title: w.Title, head: []string{"contestant", w.Unit}}
	if w.Bytes() {
		t.head = append(t.head, "MB/s")
	}
	var references []column
	for _, ref := range w.References {
		references = append(references, column{ref.Name, "of " + ref.Name, true})
		if ref.Fresh != "" {
			references = append(references, column{ref.Fresh, "fresh", false})
		}
	}
	references = slices.DeleteFunc(references, func(c column) bool { return len(r.values[c.name]) == 0 })
	for _, c := range references {
		t.head = append(t.head, c.head)
	}
	for _, c := range r.entrants {
		row := make([]string, 1, len(t.head))
		row[0] = c.Name
		values := r.values[c.Name]
		if r.failed[c.Name] != nil {
			row = append(row, "failed")
			values = nil
		}
		if len(values) > 0 {
			median := spreadOf(values).median
			row = append(row, numberText(median))
			if w.Bytes() {
				row = append(row, numberText(median*float64(w.Size)/1e6))
			}
			for _, ref := range references {
				row = append(row, ratioText(spreadOf(ratios(values, r.values[ref.name])), ref.spread && ref.name != c.Name))
			}
		}
		for len(row) < len(t.head) {
			row = append(row, "")
		}
		t.rows = append(t.rows, row)
	}
	return t
}

// column has the ratios to one reference.
type column struct {
	name   string
	head   string
	spread bool // show the least and the greatest, too
}

// ratioText returns the median, and the rest on demand.
func ratioText(s spread, rest bool) string {
	if !rest {
		return digits(s.median)
	}
	return fmt.Sprintf("%s (%s to %s)", digits(s.median), digits(s.least), digits(s.most))
}

// digits returns a ratio with two or three digits that count.
func digits(v float64) string {
	places := 2
	switch {
	case v >= 99.5:
		places = 0
	case v >= 9.95:
		places = 1
	case v < 0.00095:
		places = 5
	case v < 0.0095:
		places = 4
	case v < 0.095:
		places = 3
	}
	return strconv.FormatFloat(v, 'f', places, 64)
}

// numberText returns a number with three or more digits that count, and with
// its thousands apart.
func numberText(v float64) string {
	if v < 99.95 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	s := strconv.FormatFloat(v, 'f', 0, 64)
	var groups []string
	for len(s) > 3 {
		groups = append([]string{s[len(s)-3:]}, groups...)
		s = s[:len(s)-3]
	}
	return strings.Join(append([]string{s}, groups...), ",")
}
