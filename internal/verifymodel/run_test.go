package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A spin that only notes which output the macro OUTPUT asks for, a gcc that
// makes of it a verifier which prints that, and nothing else to be found.
const (
	fakeSpin = `#!/bin/sh
for a in "$@"; do
	case $a in
	-DOUTPUT=*) echo "${a#-DOUTPUT=}" >output ;;
	-DSPIN_FAILS) echo "spin: syntax error"; exit 1 ;;
	esac
done
`
	fakeGCC = `#!/bin/sh
read -r output <output
case $output in
hangs) echo '#!/bin/sh
while :; do :; done' >pan ;;
dies) echo '#!/bin/sh
kill -9 $$' >pan ;;
*) echo '#!/bin/sh
while IFS= read -r line; do echo "$line"; done <'"$FIXTURES/$output.txt" >pan ;;
esac
/bin/chmod +x pan
`
)

// fake makes a module whose only model has these runs, and programs to search it.
func fake(t *testing.T, runs string) (root string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Fatal("the stand-ins for spin and gcc are shell scripts, which Windows does not run")
	}
	fixtures, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	root = t.TempDir()
	for name, text := range map[string]string{
		"bin/spin":                   fakeSpin,
		"bin/gcc":                    fakeGCC,
		"testdata/model/little.pml":  "",
		"testdata/model/little.runs": runs,
	} {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", filepath.Join(root, "bin"))
	t.Setenv("FIXTURES", fixtures)
	t.Setenv("TMPDIR", t.TempDir())
	return root
}

// verify runs the command, and returns what it prints below the legend.
func verify(t *testing.T, ctx context.Context, args ...string) (string, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := run(ctx, args, &stdout, &stderr)
	if stderr.Len() > 0 {
		t.Errorf("on stderr: %s", &stderr)
	}
	_, text, _ := strings.Cut(stdout.String(), legend)
	text = regexp.MustCompile(`\d+\.\d s `).ReplaceAllString(text, "0.0 s ")
	text = regexp.MustCompile(`in \d+ s \(\d+ s`).ReplaceAllString(text, "in 0 s (0 s")
	return text, err
}

// leftovers lists what is left in the directory for temporary files.
func leftovers(t *testing.T) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

func TestOneLineForEachRunSaysWhatCameOfIt(t *testing.T) {
	root := fake(t, `
== all is well
good    safety   holds    OUTPUT=holds
again   progress holds    OUTPUT=progress
at-last fair     holds    OUTPUT=fair
== rules are needed
r1      safety   misparse OUTPUT=misparse
r2      safety   deadlock OUTPUT=deadlock
r3      progress livelock OUTPUT=livelock
saw-it  safety   reached  OUTPUT=witness
`)
	got, err := verify(t, t.Context(), "-root", root)
	if err != nil {
		t.Error(err)
	}
	want := `
little: all is well
                                                   states     depth   memory      CPU  result
little/good                                        14,102       201     4 MB    0.0 s  holds: safety
little/again                                       28,203       231     5 MB    0.0 s  holds: progress
little/at-last                                      2,414       143     3 MB    0.0 s  holds: fair

little: rules are needed
                                                   states     depth   memory      CPU  result
little/r1                                              20       124     3 MB    0.0 s  caught: misparse
little/r2                                              24       167     3 MB    0.0 s  caught: deadlock
little/r3                                              25       221     3 MB    0.0 s  caught: livelock
little/saw-it                                          14        62     3 MB    0.0 s  reached

configurations that hold: 3, mutants caught: 3, situations reached: 1, failed: 0; 44,802 states in 0 s (0 s of CPU time)
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
	if left := leftovers(t); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func TestARunThatComesOutOtherwiseIsAFailureOfAll(t *testing.T) {
	for _, tt := range []struct{ name, run, want string }{
		{"a property fails", "safety holds OUTPUT=misparse", "FAILED: misparse: assertion violated"},
		{"a deadlock", "safety holds OUTPUT=deadlock", "FAILED: deadlock: invalid end state (at depth"},
		{"a livelock", "progress holds OUTPUT=livelock", "FAILED: livelock: non-progress cycle (at depth"},
		{"a mutant survives", "safety misparse OUTPUT=holds", "FAILED: the mutant is not caught, expected: misparse"},
		{"another property catches it", "safety deadlock OUTPUT=misparse", "FAILED: expected: deadlock; found: misparse: "},
		{"a situation is not reached", "safety reached OUTPUT=holds", "FAILED: the situation is not reached"},
		{"a situation is reached that must not be", "safety holds OUTPUT=witness", "FAILED: reached: "},
		{"too deep", "safety holds OUTPUT=toodeep", "FAILED: not a complete search: error: max search depth too small"},
		{"too deep for a mutant", "safety misparse OUTPUT=toodeep", "FAILED: not a complete search: error: max search depth too small"},
		{"out of memory", "safety holds OUTPUT=memory", "FAILED: not a complete search: pan: reached -DMEMLIM bound"},
		{"another kind of search", "safety holds OUTPUT=progress", `FAILED: expected a search for safety, the verifier did one for "progress"`},
		{"unfair", "fair holds OUTPUT=progress", `FAILED: expected a search for fair, the verifier did one for "progress"`},
		{"the verifier dies", "safety holds OUTPUT=dies", "FAILED: pan: signal: killed"},
		{"the model has an error", "safety holds SPIN_FAILS", "FAILED: spin: exit status 1: spin: syntax error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := fake(t, "odd "+tt.run+"\nfine safety holds OUTPUT=holds\n")
			got, err := verify(t, t.Context(), "-root", root)
			if err == nil || err.Error() != "1 of 2 runs failed" {
				t.Errorf("error %v, expected 1 of 2 runs failed", err)
			}
			if !strings.Contains(got, tt.want) || !strings.Contains(got, "0 s  holds: safety") {
				t.Errorf("expected %q and one run that holds in:\n%s", tt.want, got)
			}
			left := leftovers(t)
			if len(left) != 1 || !strings.Contains(got, "left in "+left[0]+"; what led to it: cd there, and spin -k little.pml.trail -t -p -D") {
				t.Errorf("left behind: %v, and said:\n%s", left, got)
			}
		})
	}
}

func TestASearchThatTakesTooLongIsAFailure(t *testing.T) {
	root := fake(t, "slow safety holds OUTPUT=hangs\n")
	got, err := verify(t, t.Context(), "-root", root, "-limit", "100ms")
	if want := "FAILED: not complete after 100ms"; err == nil || !strings.Contains(got, want) {
		t.Errorf("error %v, expected %q in:\n%s", err, want, got)
	}
}

func TestAnInterruptEndsTheSearches(t *testing.T) {
	root := fake(t, "a safety holds OUTPUT=hangs\nb safety holds OUTPUT=hangs\nc safety holds OUTPUT=hangs\n")
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	interrupt := cancelWhenPrinted{when: "little", cancel: func() { cancel(why) }}
	if err := run(ctx, []string{"-root", root, "-jobs", "1"}, &interrupt, os.Stderr); !errors.Is(err, why) {
		t.Errorf("error %v, expected %v", err, why)
	}
	if left := leftovers(t); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

// cancelWhenPrinted calls cancel as soon as when is printed.
type cancelWhenPrinted struct {
	when   string
	cancel func()
}

func (c *cancelWhenPrinted) Write(p []byte) (int, error) {
	if strings.Contains(string(p), c.when) {
		c.cancel()
	}
	return len(p), nil
}

func TestWhatIsMissingIsNamedWithTheWayToGetIt(t *testing.T) {
	for _, tt := range []struct{ present, want string }{
		{"", "spin and gcc not found: the models are searched with spin and gcc; Debian and Ubuntu have them: apt-get install spin gcc libc6-dev"},
		{"gcc", "spin not found: the models are searched with spin and gcc; Debian and Ubuntu have them: apt-get install spin gcc libc6-dev"},
		{"spin", "gcc not found: the models are searched with spin and gcc; Debian and Ubuntu have them: apt-get install spin gcc libc6-dev"},
	} {
		root := fake(t, "good safety holds OUTPUT=holds\n")
		for _, program := range []string{"spin", "gcc"} {
			if program != tt.present {
				if err := os.Remove(filepath.Join(root, "bin", program)); err != nil {
					t.Fatal(err)
				}
			}
		}
		got, err := verify(t, t.Context(), "-root", root)
		if err == nil || err.Error() != tt.want || got != "" {
			t.Errorf("with %q alone: error %v, expected %s; printed %q", tt.present, err, tt.want, got)
		}
	}
}

func TestRunsCanBeChosenByTheBeginningOfTheirNames(t *testing.T) {
	root := fake(t, "r1-a safety holds OUTPUT=holds\nr1-b safety holds OUTPUT=holds\nr2 safety holds OUTPUT=holds\n")
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"r1"}, []string{"little/r1-a", "little/r1-b"}},
		{[]string{"little/r2", "r1-b"}, []string{"little/r1-b", "little/r2"}},
		{[]string{"little"}, []string{"little/r1-a", "little/r1-b", "little/r2"}},
	} {
		got, err := verify(t, t.Context(), append([]string{"-root", root}, tt.args...)...)
		if err != nil {
			t.Error(err)
		}
		names := regexp.MustCompile(`(?m)^little/\S+`).FindAllString(got, -1)
		if diff := cmp.Diff(tt.want, names); diff != "" {
			t.Errorf("%v chose (-want +got):\n%s", tt.args, diff)
		}
	}
	if _, err := verify(t, t.Context(), "-root", root, "r3"); err == nil || !strings.Contains(err.Error(), "begins with r3") {
		t.Errorf("error %v, expected that no run begins with r3", err)
	}
}
