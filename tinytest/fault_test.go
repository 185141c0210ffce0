package tinytest_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/tinytest"
)

func TestAStallHoldsUpWhatIsOnItsWay(t *testing.T) {
	for _, c := range []struct {
		name        string
		dir         tinytest.Direction
		there, back time.Duration // when what is written now arrives
	}{
		{"both ways", tinytest.Both, 5 * time.Second, 5 * time.Second},
		{"there", tinytest.ToListener, 5 * time.Second, time.Second},
		{"back", tinytest.ToDialer, time.Second, 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, link := pair(tinytest.Conditions{Buffer: 100, Latency: time.Second})
				began := time.Now()
				a.Write([]byte("x"))
				b.Write([]byte("x"))
				link.Stall(c.dir, 5*time.Second)
				link.Stall(c.dir, 2*time.Second) // shortens nothing
				back := begin(a.Read, make([]byte, 1))
				there := begin(b.Read, make([]byte, 1))
				if d := (<-there).at.Sub(began); d != c.there {
					t.Errorf("arrived there after %v, expected %v", d, c.there)
				}
				if d := (<-back).at.Sub(began); d != c.back {
					t.Errorf("arrived back after %v, expected %v", d, c.back)
				}
			})
		})
	}
}

func TestWhatArrivedBeforeAStallCanBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, link := pair(tinytest.Conditions{Buffer: 100, Latency: time.Second})
		a.Write([]byte("before"))
		time.Sleep(time.Second)
		a.Write([]byte("after"))
		a.CloseWrite()
		began := time.Now()
		link.Stall(tinytest.Both, time.Minute)
		expect(t, b, "before")
		if d := time.Since(began); d != 0 {
			t.Errorf("read after %v", d)
		}
		expect(t, b, "after")
		if _, err := b.Read(make([]byte, 1)); err != io.EOF || time.Since(began) != time.Minute {
			t.Errorf("the end came after %v: %v", time.Since(began), err)
		}
	})
}

func TestAPartitionHoldsUpAllUntilItHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, link := pair(tinytest.Conditions{Buffer: 5})
		link.Partition(tinytest.Both)
		done := begin(a.Write, []byte("0123456"))
		time.Sleep(time.Hour)
		if tryWait(done) != nil {
			t.Error("a Write of more than the buffer holds went through")
		}
		link.Heal()
		expect(t, b, "0123456")
		<-done
	})
}

func TestTheEndOfOneEndDoesNotCrossAPartition(t *testing.T) {
	for name, end := range map[string]func(*tinytest.Conn){
		"Close":            func(c *tinytest.Conn) { c.Close() },
		"a Close by reset": func(c *tinytest.Conn) { c.SetLinger(0); c.Close() },
		"CloseWrite":       func(c *tinytest.Conn) { c.CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, link := pair(tinytest.Conditions{Buffer: 5})
				link.Partition(tinytest.Both)
				read := begin(b.Read, make([]byte, 1))
				end(a)
				time.Sleep(time.Hour)
				if r := tryWait(read); r != nil {
					t.Errorf("Read returned %v", r.err)
				}
				link.Heal()
				if r := tryWait(read); r == nil || r.err == nil {
					t.Errorf("Read returned %+v when the partition had healed", r)
				}
			})
		})
	}
}

func TestAHealedStallIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, link := pair(tinytest.Conditions{Buffer: 5})
		began := time.Now()
		link.Stall(tinytest.Both, time.Hour)
		link.Heal()
		a.Write([]byte("x"))
		expect(t, b, "x")
		if d := time.Since(began); d != 0 {
			t.Errorf("read after %v", d)
		}
	})
}

func TestAResetOfTheLinkBreaksAllItsConnectionsAndNoOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := tinytest.NewNetwork(tinytest.Config{Conditions: tinytest.Conditions{Buffer: 10}})
		var hit []*tinytest.Conn
		for range 3 {
			a, b := n.Pair("a", "b")
			hit = append(hit, a, b)
		}
		spared, peer := n.Pair("b", "a")
		n.Link("a", "b").Reset()
		for _, nc := range hit {
			if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, errReset) {
				t.Errorf("Read returned %v", err)
			}
		}
		spared.Write([]byte("x"))
		expect(t, peer, "x")
	})
}

func TestTheNetworkCanEndTheStreamOfAnEnd(t *testing.T) {
	for name, dir := range map[string]tinytest.Direction{"there": tinytest.ToListener, "back": tinytest.ToDialer} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from, to, link := pair(tinytest.Conditions{Buffer: 10})
				if dir == tinytest.ToDialer {
					from, to = to, from
				}
				from.Write([]byte("before"))
				link.CloseWrite(dir)
				if got, err := io.ReadAll(to); string(got) != "before" || err != nil {
					t.Errorf("read %q, %v", got, err)
				}
				if _, err := from.Write([]byte("x")); !errors.Is(err, errPipe) {
					t.Errorf("Write returned %v", err)
				}
				to.Write([]byte("back"))
				expect(t, from, "back")
			})
		})
	}
}
