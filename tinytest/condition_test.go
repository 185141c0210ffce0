package tinytest_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/tinytest"
)

// arrivals reads all, and returns how much came when.
func arrivals(t *testing.T, nc *tinytest.Conn) []string {
	began := time.Now()
	var all []string
	for buf := make([]byte, 1<<20); ; {
		n, err := nc.Read(buf)
		if n > 0 {
			all = append(all, fmt.Sprintf("%v: %d", time.Since(began), n))
		}
		if err == io.EOF {
			return append(all, fmt.Sprintf("%v: end", time.Since(began)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestConditionsDecideWhatArrivesWhen(t *testing.T) {
	for _, c := range []struct {
		name string
		link tinytest.Conditions
		want []string
	}{
		{"at once", tinytest.Conditions{Buffer: 10000}, []string{"0s: 2000", "1s: 1000", "1s: end"}},
		{"at once, and without a buffer", tinytest.Conditions{}, []string{"0s: 2000", "1s: 1000", "1s: end"}},
		{"latency", tinytest.Conditions{Buffer: 10000, Latency: 3 * time.Second}, []string{"3s: 2000", "4s: 1000", "4s: end"}},
		{"without a buffer, the writer waits for it", tinytest.Conditions{Latency: 3 * time.Second}, []string{"3s: 2000", "7s: 1000", "7s: end"}},
		{"bandwidth", tinytest.Conditions{Buffer: 10000, Bandwidth: 1000}, []string{"1.46s: 1460", "2s: 540", "3s: 1000", "3s: end"}},
		{"bandwidth behind a pause", tinytest.Conditions{Buffer: 10000, Bandwidth: 4000},
			[]string{"365ms: 1460", "500ms: 540", "1.25s: 1000", "1.25s: end"}},
		{"a small buffer", tinytest.Conditions{Buffer: 1500, Latency: time.Second}, []string{"1s: 1500", "2s: 500", "3s: 1000", "3s: end"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, _ := pair(c.link)
				go func() { // ends when all is written
					a.Write(make([]byte, 2000))
					time.Sleep(time.Second)
					a.Write(make([]byte, 1000))
					a.CloseWrite()
				}()
				got := arrivals(t, b)
				if c.link.Latency > 0 && c.link.Buffer == 0 {
					got[len(got)-1] = "7s: end" // the end comes a latency behind
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestJitterKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const jitter = time.Second
		a, b, _ := pair(tinytest.Conditions{Buffer: 1 << 20, Latency: time.Second, Jitter: jitter})
		want := data(200)
		go func() { // ends when all is written
			for _, c := range want {
				a.Write([]byte{c})
				time.Sleep(jitter / 20)
			}
		}()
		began := time.Now()
		var gaps = map[time.Duration]bool{}
		var last time.Duration
		for i, c := range want {
			expect(t, b, string([]byte{c}))
			at := time.Since(began) - time.Duration(i)*jitter/20
			if at < time.Second || at > time.Second+jitter {
				t.Errorf("byte %d came after %v", i, at)
			}
			gaps[time.Since(began)-last] = true
			last = time.Since(began)
		}
		if len(gaps) < 20 {
			t.Errorf("only %d different gaps", len(gaps))
		}
	})
}

func TestMaxSegmentCutsAndJoinsAtRandom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := pair(tinytest.Conditions{Buffer: 1 << 20, MaxSegment: 7})
		want := data(3000)
		for p := range 1000 { // three bytes a write
			a.Write(want[3*p:][:3])
		}
		a.CloseWrite()
		var got []byte
		sizes := map[int]int{}
		for buf := make([]byte, 100); ; {
			n, err := b.Read(buf)
			if err != nil {
				break
			}
			got = append(got, buf[:n]...)
			sizes[n]++
		}
		if !bytes.Equal(got, want) {
			t.Error("what was read is not what was written")
		}
		for n := range 7 {
			if sizes[n+1] < 20 {
				t.Errorf("of %v Reads too few returned %d bytes", sizes, n+1)
			}
		}
		if len(sizes) != 7 {
			t.Errorf("Reads returned %v", sizes)
		}
	})
}

func TestASegmentTravelsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, most = 3000, 10
		a, b, _ := pair(tinytest.Conditions{Buffer: 1 << 20, MaxSegment: most, Latency: time.Second, Jitter: time.Second})
		a.Write(data(size))
		a.CloseWrite()
		at := map[time.Duration]bool{}
		began := time.Now()
		for {
			if _, err := b.Read(make([]byte, 100)); err != nil {
				break
			}
			at[time.Since(began)] = true
		}
		// Late ones hold up those behind them, so they come in bursts.
		if len(at) < 4 || len(at) > size/most {
			t.Errorf("the segments arrived at %d moments", len(at))
		}
	})
}

func TestTheSameSeedDrawsTheSame(t *testing.T) {
	run := func(seed uint64) (got []string) {
		synctest.Test(t, func(t *testing.T) {
			n := tinytest.NewNetwork(tinytest.Config{Seed: seed, Conditions: tinytest.Conditions{
				Buffer: 1 << 20, Latency: time.Second, Jitter: time.Second, MaxSegment: 20}})
			for range 2 {
				a, b := n.Pair("a", "b")
				a.Write(data(1000))
				a.CloseWrite()
				got = append(got, arrivals(t, b)...)
			}
		})
		return got
	}
	first := run(1)
	if diff := cmp.Diff(first, run(1)); diff != "" {
		t.Errorf("two runs with one seed differ:\n%s", diff)
	}
	if cmp.Equal(first, run(2)) {
		t.Error("two seeds draw the same")
	}
	if half := len(first) / 2; cmp.Equal(first[:half], first[half:]) {
		t.Error("two connections draw the same")
	}
}

func TestConditionsCanChangeWhileAConnectionIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, link := pair(tinytest.Conditions{Buffer: 10, Latency: time.Second})
		began := time.Now()
		a.Write([]byte("slow"))
		link.Set(tinytest.Conditions{Buffer: 10})
		a.Write([]byte("fast")) // but never ahead
		expect(t, b, "slowfast")
		if d := time.Since(began); d != time.Second {
			t.Errorf("all was there after %v", d)
		}
		done := begin(a.Write, make([]byte, 20))
		if tryWait(done) != nil {
			t.Error("a Write did not wait for room")
		}
		link.Set(tinytest.Conditions{Buffer: 20})
		if tryWait(done) == nil {
			t.Error("a Write waits though there is room now")
		}
		if diff := cmp.Diff(tinytest.Conditions{Buffer: 20}, link.Conditions()); diff != "" {
			t.Errorf("conditions (-want +got):\n%s", diff)
		}
		link.Set(tinytest.Conditions{Latency: -1, Jitter: -1, Bandwidth: -1, Buffer: -1, MaxSegment: -1})
		if diff := cmp.Diff(tinytest.Conditions{}, link.Conditions()); diff != "" {
			t.Errorf("negative conditions (-want +got):\n%s", diff)
		}
	})
}

func TestWithoutABufferAWriteEndsWhenAllOfItWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := pair(tinytest.Conditions{})
		done := begin(a.Write, []byte("message"))
		expect(t, b, "messag")
		if tryWait(done) != nil {
			t.Error("it ended before")
		}
		expect(t, b, "e")
		if r := tryWait(done); r == nil || r.n != 7 || r.err != nil {
			t.Errorf("it returned %+v", r)
		}
	})
}
