package conn_test

import (
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// As t.FailNow in a callback does.
func TestACallbackThatExitsItsGoroutineEndsTheConnection(t *testing.T) {
	for _, where := range callbacks {
		t.Run(where.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := newStage(t, nc, peer, conn.Options{Accept: func(uint32) conn.Placement {
					return where.place(runtime.Goexit)
				}})
				where.reach(s, nil)
				s.received()
				<-s.ended
				if s.c.Err() == nil {
					t.Error("Err is nil, expected the reason")
				}
			})
		})
	}
}
