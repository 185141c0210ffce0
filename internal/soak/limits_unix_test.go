//go:build unix

package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestALimitOfDescriptorsThatCannotBeRaisedIsAnErrorThatSaysWhatToDo(t *testing.T) {
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), []string{"-connections", "4000000000000"}, nil, &stdout, &stderr)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"6000000000256 open files are needed", "cannot be raised", "with -connections"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q, expected one with %q", err, want)
		}
	}
}

func TestCPUTimeGrowsWithWork(t *testing.T) {
	before := cpuTime()
	for n := 0; cpuTime() == before; n++ {
		if n == 1<<24 {
			t.Fatal("it does not grow")
		}
	}
}
