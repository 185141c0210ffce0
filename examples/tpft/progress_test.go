package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// transfer is a file that is at some offset.
func transfer(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestWhereThereIsNoTerminalProgressIsLinesAtMostOneASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		f := transfer(t)
		stop := newProgress(&out).watch("x\x1b", 100<<20, f)
		time.Sleep(50 * time.Millisecond) // by the bubble's clock
		for range 100 {
			f.Seek(1<<20, 1)
			time.Sleep(100 * time.Millisecond)
		}
		stop(true)
		var want strings.Builder
		for i := range int64(10) {
			fmt.Fprintf(&want, "x\\x1b: %d.0 MiB of 100.0 MiB (%d%%), 10.0 MiB/s, %ds left\n", 10*(i+1), 10*(i+1), 9-i)
		}
		want.WriteString("x\\x1b: 100.0 MiB (100%), 10.0 MiB/s, in 10.05s\n")
		if diff := cmp.Diff(want.String(), out.String()); diff != "" {
			t.Errorf("printed (-want +got):\n%s", diff)
		}
	})
}

func TestASlowTransferStillShowsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		f := transfer(t)
		f.Seek(100, 0) // it goes on there
		stop := newProgress(&out).watch("x", 100_100, f)
		time.Sleep(time.Second / 2)
		for range 30 {
			f.Seek(10, 1)
			time.Sleep(time.Second)
		}
		time.Sleep(10 * time.Second) // it stands still
		stop(false)
		want := "x: 200 B of 97.8 KiB (0%), 10 B/s, 2h46m30s left\n" +
			"x: 300 B of 97.8 KiB (0%), 10 B/s, 2h46m20s left\n" +
			"x: 400 B of 97.8 KiB (0%), 10 B/s, 2h46m10s left\n" +
			"x: 400 B of 97.8 KiB (0%), 7 B/s, 3h41m33s left\n" +
			"x: stopped at 400 B of 97.8 KiB (0%)\n"
		if got := out.String(); got != want {
			t.Errorf("printed\n%s, expected\n%s", got, want)
		}
	})
}

func TestABarShowsRateAndTimeLeft(t *testing.T) {
	for _, complete := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			f := transfer(t)
			stop := (&progress{&out, true}).watch("name\x1b[2J", 100<<20, f)
			for range 50 {
				time.Sleep(100 * time.Millisecond)
				f.Seek(1<<20, 1)
			}
			time.Sleep(time.Second)
			if complete {
				f.Seek(50<<20, 1)
			}
			stop(complete)
			text := out.String()
			if !strings.HasPrefix(text, "\r") || !strings.Contains(text, `name\x1b[2J`) || strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
				t.Errorf("drawn: %q", text)
			}
			if !regexp.MustCompile(`\d+(\.\d+)? MiB/s`).MatchString(text) || !strings.Contains(text, ":5s]") {
				t.Errorf("no rate or time left: %q", text)
			}
			if complete != strings.Contains(text, "100%") {
				t.Errorf("complete: %v, drawn: %q", complete, text)
			}
		})
	}
}

func TestABarCountsFromWhereAResumedTransferBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		f := transfer(t)
		f.Seek(900<<20, 0)
		stop := (&progress{&out, true}).watch("name", 1000<<20, f)
		for range 20 {
			time.Sleep(time.Second)
			f.Seek(1<<20, 1)
		}
		stop(false)
		text := out.String()
		if last := text[strings.LastIndex(text, "\r"):]; !strings.Contains(last, "name from 900.0 MiB  20%") ||
			!regexp.MustCompile(`\((1|0\.9\d*|1\.0\d*) MiB/s\)`).MatchString(last) || !strings.Contains(last, ":1m20s]") {
			t.Errorf("drawn: %q", last)
		}
	})
}

func TestEmptyFilesHaveProgressToo(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		var out bytes.Buffer
		p := &progress{&out, terminal}
		p.watch("x", 0, transfer(t))(true)
		if got := out.String(); !strings.HasPrefix(got, "x: 0 B (100%), 0 B/s, in ") {
			t.Errorf("printed %q", got)
		}
	}
}

func TestBytesHaveBinaryUnits(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1 << 20: "1.0 MiB", 10 << 30: "10.0 GiB", 1 << 40: "1.0 TiB", 1<<63 - 1: "8.0 EiB",
	} {
		if got := bytesText(n); got != want {
			t.Errorf("%d is %q, expected %q", n, got, want)
		}
	}
}
