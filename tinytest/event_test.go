package tinytest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/tinytest"
)

func TestTraceIsToldOfAllThatHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		began := time.Now()
		n := tinytest.NewNetwork(tinytest.Config{
			Conditions: tinytest.Conditions{Buffer: 20},
			Trace: func(e tinytest.Event) {
				got = append(got, fmt.Sprintf("%v %v", e.Time.Sub(began), e))
			},
		})
		l := listen(t, n, "server")
		link := n.Link("alice", "server")
		link.Refuse(true)
		n.DialFrom(t.Context(), "alice", "server")
		link.Refuse(false)
		a, err := n.DialFrom(t.Context(), "alice", "server")
		if err != nil {
			t.Fatal(err)
		}
		b, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		a.Write([]byte{1, 0xab})
		b.Read(make([]byte, 20))
		link.Stall(tinytest.ToListener, time.Second)
		a.Write(make([]byte, 20))
		b.Read(make([]byte, 20))
		link.Partition(tinytest.Both)
		link.Heal()
		link.Set(tinytest.Conditions{Buffer: 1})
		link.CloseWrite(tinytest.ToListener)
		b.Read(make([]byte, 1))
		b.(*tinytest.Conn).CloseWrite()
		b.Close()
		link.Reset()
		a.Close()
		want := []string{
			"0s alice > server: refusing",
			"0s alice > server: refuse",
			"0s alice > server: accepting",
			"0s alice:1 > server: dial",
			"0s server > alice:1: accept",
			"0s alice:1 > server: write 2 [01 ab]",
			"0s server > alice:1: read 2 [01 ab]",
			"0s alice > server: stall to the listener for 1s",
			"0s alice:1 > server: write 20 [00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ...]",
			"1s server > alice:1: read 20 [00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ...]",
			"1s alice > server: partition both ways",
			"1s alice > server: heal",
			"1s alice > server: conditions {Latency:0s Jitter:0s Bandwidth:0 Buffer:1 MaxSegment:0}",
			"1s alice:1 > server: cut",
			"1s server > alice:1: end",
			"1s server > alice:1: close write",
			"1s server > alice:1: close",
			"1s alice > server: reset",
			"1s alice:1 > server: break: connection reset by peer",
			"1s alice:1 > server: close",
		}
		if diff := cmp.Diff(want, got); runtimeIsUnix && diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}
