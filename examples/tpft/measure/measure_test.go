package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// asProgram makes the test binary the program itself, which starts itself for
// the ends that it compares with.
const asProgram = "MEASURE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	leaktest.Main(m)
}

// run runs the program, and returns its exit status.
func run(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestEachWayIsMeasuredAndComparedWithTheFloor(t *testing.T) {
	dir := t.TempDir()
	status, stdout, stderr := run(t, "-size", "1048576", "-chunk-size", "300000", "-rounds", "1", "-dir", dir)
	if status != 0 || stderr != "" {
		t.Fatalf("status %d, stderr %q; expected 0 and nothing", status, stderr)
	}
	const figures = ` +[0-9]+ +[0-9]+\.[0-9]{2} \([0-9.]+-[0-9.]+\) +[0-9]+\.[0-9]{2} +[0-9]+\.[0-9]{2} +([0-9]+\.[0-9]|unknown) +([0-9]+\.[0-9]|unknown)`
	want := []string{
		`1048576 bytes, messages of 300000, 1 rounds in turn; medians \(min-max of the ratio\)`,
		`way +MB/s +of the floor +sender CPU s +receiver CPU s +sender MiB +receiver MiB`,
		`floor +[0-9]+ +1\.00 \(1\.00-1\.00\) .*`, `tpft upload` + figures, `tpft download` + figures, `in memory` + figures,
	}
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines, expected %d:\n%s", len(lines), len(want), stdout)
	}
	for i, line := range lines {
		if !regexp.MustCompile(`^` + want[i] + `$`).MatchString(line) {
			t.Errorf("line %d is %q, expected %s", i+1, line, want[i])
		}
	}
	if names, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(names) > 0 {
		t.Errorf("%q was left behind, %v", names, err)
	}
}

func TestWhatCannotBeMeasuredIsAnError(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"-rounds 0", "measure: -rounds 0: expected 1 or more\n"},
		{"-size 0", "measure: -size 0: expected 1 or more\n"},
		{"-chunk-size 0", "measure: -chunk-size 0: expected 1 to 2147483647\n"},
		{"-size 1 more", "measure: unexpected argument \"more\"\n"},
		{"-dir missing", "measure: stat missing: no such file or directory\n"},
		{"end sideways", "measure: no such end: \"sideways\" []\n"},
	} {
		if status, stdout, stderr := run(t, strings.Fields(tt.args)...); status != 1 || stdout != "" || !strings.HasSuffix(stderr, tt.want) {
			t.Errorf("%s: status %d, stdout %q, stderr %q; expected 1, nothing and %q", tt.args, status, stdout, stderr, tt.want)
		}
	}
}
