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

func TestALimitIsRaisedWhereItIsTooLowAndLeftAloneElsewhere(t *testing.T) {
	for _, test := range []struct {
		current, most, need   uint64
		wantCurrent, wantMost uint64
		wantRaised            bool
	}{
		{100, 200, 100, 100, 200, false},
		{100, 200, 150, 150, 200, true},
		{100, 200, 300, 300, 300, true},
	} {
		current, most := test.current, test.most
		raised := raise(&current, &most, test.need)
		if current != test.wantCurrent || most != test.wantMost || raised != test.wantRaised {
			t.Errorf("limits %d and %d for %d files: %d and %d, raised: %v, expected %d and %d, raised: %v",
				test.current, test.most, test.need, current, most, raised, test.wantCurrent, test.wantMost, test.wantRaised)
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
