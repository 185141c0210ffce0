package main

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestALimiterSpreadsTurnsEvenly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(100)
		began := time.Now()
		var wg sync.WaitGroup
		for range 51 {
			wg.Go(func() { l.wait(1) })
		}
		wg.Wait()
		if took := time.Since(began); took != 500*time.Millisecond {
			t.Errorf("51 turns at 100 per second took %v, expected 500ms", took)
		}
	})
}

func TestALargeCostTakesAsManyTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(10)
		began := time.Now()
		l.wait(costOf(4 << 20))
		l.wait(1)
		if took := time.Since(began); took != 6500*time.Millisecond {
			t.Errorf("the turn after 4 MiB came after %v, expected 6.5s", took)
		}
	})
}

func TestAWaitForATurnEndsWithTheVisit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(0.001)
		l.wait(1)
		began := time.Now()
		for i := range 3 {
			over := make([]<-chan struct{}, 3)
			closed := make(chan struct{})
			over[i] = closed
			time.AfterFunc(time.Second, func() { close(closed) })
			if l.wait(1, over...) {
				t.Errorf("it had its turn, though end %d came before", i)
			}
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("three waits took %v, expected 1s each", took)
		}
		l.reset()
		began = time.Now()
		if !l.wait(1) || time.Since(began) > 0 {
			t.Errorf("after the reset, a turn came after %v, expected none to wait for", time.Since(began))
		}
	})
}

func TestAnIdleLimiterSavesNoTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(10)
		time.Sleep(time.Hour)
		began := time.Now()
		for range 3 {
			l.wait(1)
		}
		if took := time.Since(began); took != 200*time.Millisecond {
			t.Errorf("3 turns at 10 per second took %v, expected 200ms", took)
		}
	})
}
