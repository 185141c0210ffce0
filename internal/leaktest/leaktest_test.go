package leaktest

import "testing"

func TestLeftFindsWhatIsBlockedAndForgetsWhatEnded(t *testing.T) {
	before := stacks()
	release := make(chan struct{})
	ended := make(chan struct{})
	go func() { defer close(ended); <-release }() // ends with release
	if n := len(stacks()) - len(before); n != 1 {
		t.Errorf("a blocked goroutine shows as %d, expected 1", n)
	}
	close(release)
	<-ended
	if found := left(before); len(found) != 0 {
		t.Errorf("goroutines that ended are reported: %v", found)
	}
}
