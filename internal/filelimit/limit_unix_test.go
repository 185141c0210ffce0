//go:build unix

package filelimit

import (
	"errors"
	"strings"
	"syscall"
	"testing"
)

func TestALimitIsRaisedWhereItIsTooLowAndLeftAloneElsewhere(t *testing.T) {
	for _, test := range []struct {
		current, most, need   uint64
		wantCurrent, wantMost uint64
		wantRaised            bool
	}{
		{100, 200, 100, 100, 200, false},
		{100, 200, 99, 100, 200, false},
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

func limitOf(t *testing.T) syscall.Rlimit {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	return limit
}

func TestTheLimitOfThisProcessIsRaised(t *testing.T) {
	before := limitOf(t)
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	})
	low := before
	low.Cur /= 2
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	want := low
	want.Cur++
	if err := Raise(uint64(want.Cur)); err != nil {
		t.Fatal(err)
	}
	if got := limitOf(t); got != want {
		t.Errorf("limits %+v, expected %+v", got, want)
	}
	if err := Raise(1); err != nil {
		t.Fatal(err)
	}
	if got := limitOf(t); got != want {
		t.Errorf("limits %+v after asking for less, expected %+v", got, want)
	}
}

func TestALimitThatCannotBeRaisedIsAnErrorThatSaysWhatIsNeeded(t *testing.T) {
	before := limitOf(t)
	err := Raise(4_000_000_000_000) // more than a kernel has
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"4000000000000 open files are needed", "cannot be raised"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q, expected one with %q", err, want)
		}
	}
	if _, ok := errors.AsType[syscall.Errno](err); !ok {
		t.Errorf("error %q, expected one of the system", err)
	}
	if got := limitOf(t); got != before {
		t.Errorf("limits %+v, expected %+v as before", got, before)
	}
}
