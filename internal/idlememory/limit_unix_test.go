//go:build unix

package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestALimitOfOpenFilesThatCannotBeRaisedIsAnErrorThatSaysWhatToDo(t *testing.T) {
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), []string{"-n", "4000000000000"}, nil, &stdout, &stderr)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"4000000000064 open files are needed", "cannot be raised", "with -n"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q, expected one with %q", err, want)
		}
	}
	if stdout.Len() > 0 {
		t.Errorf("printed:\n%s", &stdout)
	}
}
