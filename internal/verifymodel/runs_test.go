package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAMacroWithAQuestionMarkStandsForTwoRuns(t *testing.T) {
	got, err := parseRuns("m/x.pml", `
# a comment
== some
plain  safety   holds              # no macros
two    progress holds    GO? N_A=2
== others
four   fair     deadlock GO? IN=0? Z
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []verification{
		{"x: some", "x/plain", "m/x.pml", "safety", "holds", nil},
		{"x: some", "x/two", "m/x.pml", "progress", "holds", []string{"N_A=2"}},
		{"x: some", "x/two-go", "m/x.pml", "progress", "holds", []string{"GO", "N_A=2"}},
		{"x: others", "x/four", "m/x.pml", "fair", "deadlock", []string{"Z"}},
		{"x: others", "x/four-in-0", "m/x.pml", "fair", "deadlock", []string{"IN=0", "Z"}},
		{"x: others", "x/four-go", "m/x.pml", "fair", "deadlock", []string{"GO", "Z"}},
		{"x: others", "x/four-go-in-0", "m/x.pml", "fair", "deadlock", []string{"GO", "IN=0", "Z"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
}

func TestARunsFileThatIsWrongIsRefused(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"too short", "a safety\n", `line 1: "a safety": expected a name, a mode and an outcome`},
		{"no such mode", "a safe holds\n", `line 1: mode "safe": expected safety, progress or fair`},
		{"same name", "a safety holds X\na fair holds\n", "two runs are named x/a"},
		{"same name by a variant", "a-go safety holds\na safety holds GO?\n", "two runs are named x/a-go"},
	} {
		if _, err := parseRuns("x.pml", tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, expected %s", tt.name, err, tt.want)
		}
	}
}
