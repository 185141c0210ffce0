package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheNamesBehindGoAreThoseOfTheComment(t *testing.T) {
	got, err := references("m/x.pml", `/* nothing */ int x; /* R4. Go: wire.Ledger.Next */
inline y() /* R2 and R3, in two lines. Go: conn.Conn.read,
            * conn.Options */
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []reference{
		{"x.pml:1", []string{"R4"}, []string{"wire.Ledger.Next"}},
		{"x.pml:2", []string{"R2", "R3"}, []string{"conn.Conn.read", "conn.Options"}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(reference{})); diff != "" {
		t.Errorf("references (-want +got):\n%s", diff)
	}
	if _, err := references("x.pml", "/* Go: the ledger */"); err == nil {
		t.Error("words were taken for a name")
	}
}

func TestAModelAndTheCodeNameEachOther(t *testing.T) {
	const code = `package wire

// T is by R1 to R3.
type T[E any] struct{}

// M does it.
func (t *T[E]) M() {}

func F() {}
`
	for _, tt := range []struct {
		name, model string
		count       int
		want        string // error
	}{
		{"all there", "/* Go: wire.F */ /* R2. Go: wire.T */ /* Go: wire.F */", 2, ""},
		{"a method of a generic type", "/* Go: wire.T.M */", 1, ""},
		{"no such function", "\n/* Go: wire.F, wire.G */", 0, "x.pml:2 names wire.G, which package wire does not have"},
		{"in a test only", "/* Go: wire.Tested */", 0, "x.pml:1 names wire.Tested, which package wire does not have"},
		{"no such method", "/* Go: wire.T.F */", 0, "x.pml:1 names wire.T.F, which package wire does not have"},
		{"no such package", "/* Go: net.Conn */", 0, "x.pml:1 names net.Conn, which package net does not have"},
		{"another rule", "/* R4. Go: wire.F */", 0, "x.pml:1 says that wire.F is by rule R4, which no file with it names"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.Mkdir(filepath.Join(root, "wire"), 0o777); err != nil {
				t.Fatal(err)
			}
			for name, text := range map[string]string{
				"x.pml": tt.model, "wire/a.go": code, "wire/a_test.go": "package wire\n\nfunc Tested() {}\n",
			} {
				if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			n, err := checkNames(root, root)
			switch {
			case tt.want == "" && err != nil, tt.want != "" && (err == nil || err.Error() != tt.want):
				t.Errorf("error %v, expected %q", err, tt.want)
			case n != tt.count:
				t.Errorf("%d names, expected %d", n, tt.count)
			}
		})
	}
}

// module is the root of this module.
const module = "../.."

func TestTheModelsOfThisModuleNameWhatThereIs(t *testing.T) {
	n, err := checkNames(module, filepath.Join(module, "testdata", "model"))
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		t.Error("they name nothing")
	}
}

func TestEveryMutantAndEverySituationOfTheModelsIsSearched(t *testing.T) {
	dir := filepath.Join(module, "testdata", "model")
	runs, err := readRuns(dir)
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, v := range runs {
		for _, m := range v.Macros {
			used[strings.TrimPrefix(m, "WITNESS=")] = true
		}
	}
	models, err := filepath.Glob(filepath.Join(dir, "*.pml"))
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]bool{}
	for _, model := range models {
		text, err := os.ReadFile(model)
		if err != nil {
			t.Fatal(err)
		}
		for word := range strings.FieldsFuncSeq(string(text), func(r rune) bool { return strings.ContainsRune(" \t\n()!,;|&", r) }) {
			switch {
			case strings.HasPrefix(word, "DROP_") && word != "DROP_":
				rule, _, _ := strings.Cut(strings.TrimPrefix(word, "DROP_"), "_")
				rules[rule] = true
			case strings.HasPrefix(word, "SAW_"):
			default:
				continue
			}
			if !used[word] {
				t.Errorf("%s: no run has %s", filepath.Base(model), word)
			}
		}
	}
	for _, rule := range []string{"R1", "R2", "R3", "R4", "R5", "R6"} {
		if !rules[rule] {
			t.Errorf("no mutant drops %s", rule)
		}
	}
}
