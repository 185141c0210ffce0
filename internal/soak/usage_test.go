package main

import (
	"strings"
	"testing"
)

func TestALeakIsWhatIsUsedBeyondTheTolerance(t *testing.T) {
	before := usage{Heap: 10 << 20, Goroutines: 20, Descriptors: 14}
	const connections = 1000
	allowed := int64(10<<20 + heapTolerance + connections*heapTolerancePer)
	for _, test := range []struct {
		name string
		now  usage
		want []string
	}{
		{"nothing", before, nil},
		{"less", usage{Heap: 1 << 20, Goroutines: 19, Descriptors: 13}, nil},
		{"as much heap as is tolerated", usage{Heap: allowed, Goroutines: 20, Descriptors: 14}, nil},
		{"more heap", usage{Heap: allowed + 1, Goroutines: 20, Descriptors: 14}, []string{"the heap has 12046337 bytes, 10485760 after the warm-up, at most 12046336 expected"}},
		{"a goroutine", usage{Goroutines: 21}, []string{"21 goroutines, 20 after the warm-up"}},
		{"a descriptor", usage{Descriptors: 15}, []string{"15 descriptors, 14 after the warm-up"}},
		{"a connection", usage{Open: 1}, []string{"1 connections are open"}},
		{"all at once", usage{Open: 1, Heap: 1 << 30, Goroutines: 99, Descriptors: 99}, []string{"connections", "heap", "goroutines", "descriptors"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.now.leaks(before, connections)
			if len(got) != len(test.want) {
				t.Fatalf("%q, expected %d leaks", got, len(test.want))
			}
			for i, want := range test.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("%q, expected one with %q", got[i], want)
				}
			}
		})
	}
}

func TestUsageCountsWhatThisProcessHas(t *testing.T) {
	before := collectedUsage(0)
	stop := make(chan struct{})
	started := make(chan struct{})
	memory := make([]byte, 8<<20)
	go func() { // ends with the test
		close(started)
		<-stop
		memory[0] = 1
	}()
	<-started
	after := collectedUsage(0)
	close(stop)
	if after.Goroutines != before.Goroutines+1 {
		t.Errorf("%d goroutines, expected %d", after.Goroutines, before.Goroutines+1)
	}
	if grown := after.Heap - before.Heap; grown < 8<<20 || grown > 9<<20 {
		t.Errorf("the heap grew by %d bytes, expected 8 MiB", grown)
	}
}

func TestNumbersAreShownInUnitsThatSuitThem(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 5 << 20: "5.0 MiB", 3 << 30: "3.0 GiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d bytes are shown as %q, expected %q", n, got, want)
		}
	}
}

func TestKindsAreListedByNameWithoutTheCleanOnes(t *testing.T) {
	if got, want := kindsText(map[string]uint64{reset: 2, clean: 7, closed: 1}), "closed 1, reset 2"; got != want {
		t.Errorf("%q, expected %q", got, want)
	}
	if got, want := kindsText(map[string]uint64{clean: 7}), "none"; got != want {
		t.Errorf("%q, expected %q", got, want)
	}
}
