package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// verification is one search: a configuration of a model, and what has to
// come of it.
type verification struct {
	Group  string // the heading it stands under
	Name   string // as "classic/both-full": the model and the run
	Model  string // path of the .pml file
	Mode   string // safety, progress or fair
	Expect string // holds, reached, or the property that catches the mutant
	Macros []string
}

// kind is what the run shows, if all is well.
func (v *verification) kind() string {
	switch v.Expect {
	case "holds", "reached":
		return v.Expect
	}
	return "caught"
}

// replay is the command that shows what led to an error.
func (v *verification) replay() string {
	return fmt.Sprintf("spin -k %s.trail -t -p %s %s", filepath.Base(v.Model), strings.Join(v.defines(), " "), v.Model)
}

func (v *verification) defines() []string {
	var d []string
	for _, m := range v.Macros {
		d = append(d, "-D"+m)
	}
	return d
}

// readRuns reads all .runs files of a directory.
func readRuns(dir string) ([]verification, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.runs"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no .runs file in %s", dir)
	}
	var all []verification
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		runs, err := parseRuns(strings.TrimSuffix(file, ".runs")+".pml", string(data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, runs...)
	}
	return all, nil
}

// parseRuns takes the lines of a .runs file apart: the name of a run, its mode,
// what is expected of it, and macros, of which one that ends in a question mark
// stands for two runs, without and with it. A line that begins with == is a
// heading, one with # a comment.
func parseRuns(model, text string) ([]verification, error) {
	base := strings.TrimSuffix(filepath.Base(model), ".pml")
	var all []verification
	group := base
	for i, line := range strings.Split(text, "\n") {
		if heading, ok := strings.CutPrefix(line, "=="); ok {
			group = base + ": " + strings.TrimSpace(heading)
			continue
		}
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
			continue
		case len(words) < 3:
			return nil, fmt.Errorf("line %d: %q: expected a name, a mode and an outcome", i+1, line)
		case !slices.Contains([]string{"safety", "progress", "fair"}, words[1]):
			return nil, fmt.Errorf("line %d: mode %q: expected safety, progress or fair", i+1, words[1])
		}
		v := verification{Group: group, Name: base + "/" + words[0], Model: model, Mode: words[1], Expect: words[2]}
		all = append(all, variants(v, words[3:])...)
	}
	seen := map[string]bool{}
	for _, v := range all {
		if seen[v.Name] {
			return nil, fmt.Errorf("two runs are named %s", v.Name)
		}
		seen[v.Name] = true
	}
	return all, nil
}

// variants are v without and with each macro that ends in a question mark.
func variants(v verification, macros []string) []verification {
	if len(macros) == 0 {
		return []verification{v}
	}
	macro, optional := strings.CutSuffix(macros[0], "?")
	with := v
	with.Macros = append(slices.Clone(v.Macros), macro)
	if !optional {
		return variants(with, macros[1:])
	}
	with.Name += "-" + strings.ToLower(strings.ReplaceAll(macro, "=", "-"))
	return append(variants(v, macros[1:]), variants(with, macros[1:])...)
}

// choose returns the runs whose names, with or without the model, begin with
// one of the prefixes, or all if there are none.
func choose(all []verification, prefixes []string) []verification {
	if len(prefixes) == 0 {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(v verification) bool {
		_, short, _ := strings.Cut(v.Name, "/")
		return !slices.ContainsFunc(prefixes, func(p string) bool {
			return strings.HasPrefix(v.Name, p) || strings.HasPrefix(short, p)
		})
	})
}
