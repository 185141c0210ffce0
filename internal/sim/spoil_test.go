package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// gentleSeeds are runs in which enough happens for something to go wrong in: n in
// classic mode, and n in which the first client asks for pipelined mode.
func gentleSeeds(n int, topologies ...topology) (found []seed) {
	for _, pipelined := range []bool{false, true} {
		most := len(found) + n
		for s := (seed{number: 1}); len(found) < most; s.number++ {
			p := s.draw()
			if slices.Contains(topologies, p.topology) && p.gentle && plenty(p) && p.clients[0].dialer.options.pipelined == pipelined {
				found = append(found, s)
			}
		}
	}
	return found
}

// plenty reports whether the first client sends some messages that nothing
// else looks like, in an order that is known.
func plenty(p *plan) bool {
	c := p.clients[0]
	if len(c.dialer.sender.producers) != 1 || c.dialer.sender.request || c.served.options.streamFrom > 0 || len(p.clients) > 2 {
		return false
	}
	n := 0
	for _, m := range c.dialer.sender.producers[0].messages {
		if m.size >= headerLen {
			n++
		}
	}
	return n > 4
}

// A check that finds nothing proves nothing: each of these has to be found, in
// every run that it happens in.
func TestWhatIsWrongInARunIsFound(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(w *world)
		want  string
	}{
		{"one message is dropped", spoilThird(func(body []byte) [][]byte { return nil }), ""},
		{"one is delivered twice", spoilThird(func(body []byte) [][]byte { return [][]byte{body, body} }), "received 2 times"},
		{"one bit is changed", spoilThird(func(body []byte) [][]byte {
			body = bytes.Clone(body)
			body[len(body)-1] ^= 1
			return [][]byte{body}
		}), "never sent"},
		{"two are swapped", func(w *world) {
			var held []byte // and n: one goroutine receives at this end
			n := 0
			w.spoil = func(e *endpoint, body []byte) [][]byte {
				if e.plan != w.plan.clients[0].served || len(body) < headerLen {
					return [][]byte{body}
				}
				switch n++; n {
				case 2:
					held = body
					return nil
				case 3:
					return [][]byte{body, held}
				}
				return [][]byte{body}
			}
		}, ""},
		{"an error has no name", func(w *world) {
			w.spoil = func(e *endpoint, body []byte) [][]byte {
				e.notice(fmt.Errorf("reading: %w", errors.New("something happened")))
				return [][]byte{body}
			}
		}, "without a name (something happened)"},
		{"an error has no reason", func(w *world) {
			w.spoil = func(e *endpoint, body []byte) [][]byte {
				e.notice(errWithin) // no Shutdown of such a run has a bound
				return [][]byte{body}
			}
		}, "without a reason"},
		{"a goroutine is left", func(w *world) {
			var once atomic.Bool
			w.spoil = func(e *endpoint, body []byte) [][]byte {
				if !once.Swap(true) {
					// It is left for good, so it is none of this module's.
					var mu sync.Mutex
					mu.Lock()
					time.AfterFunc(0, sync.NewCond(&mu).Wait)
				}
				return [][]byte{body}
			}
		}, "goroutines are left"},
		{"something ends too late", func(w *world) {
			var once atomic.Bool
			w.spoil = func(e *endpoint, body []byte) [][]byte {
				if !once.Swap(true) {
					time.Sleep(w.plan.limit + 2*patience)
				}
				return [][]byte{body}
			}
		}, "hang: "},
		{"something takes too long", func(w *world) {
			w.spoil = func(e *endpoint, body []byte) [][]byte {
				began := time.Now()
				time.Sleep(time.Millisecond)
				e.bound("Close", began, 0)
				return [][]byte{body}
			}
		}, "Close took 1ms, expected at most 0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, s := range gentleSeeds(8, pairTopology, serverTopology, hubTopology) {
				r := play(t, s, c.spoil)
				if wrong := strings.Join(r.violated, "\n"); wrong == "" || !strings.Contains(wrong, c.want) {
					t.Errorf("seed %v: found %q, expected %q", s, wrong, c.want)
				}
			}
		})
	}
}

// spoilThird changes the third message of some length that any end of the first
// client receives.
func spoilThird(change func([]byte) [][]byte) func(*world) {
	return func(w *world) {
		var n atomic.Int64
		w.spoil = func(e *endpoint, body []byte) [][]byte {
			if len(body) >= headerLen && n.Add(1) == 3 {
				return change(body)
			}
			return [][]byte{body}
		}
	}
}

func TestMessagesThatAreKeptBeyondTheBoundAreFound(t *testing.T) {
	for _, s := range gentleSeeds(8, pairTopology) {
		r := play(t, s, func(w *world) {
			w.plan.probes = []time.Duration{20 * time.Minute} // all has been sent by then
			for _, o := range w.plan.options() {
				o.windowMessages = 2 // in either mode less than what is sent
			}
			w.spoil = func(e *endpoint, body []byte) [][]byte { return nil } // and nothing taken
		})
		if wrong := strings.Join(r.violated, "\n"); !strings.Contains(wrong, "messages are received and not taken, expected at most") {
			t.Errorf("seed %v: found %q", s, wrong)
		}
	}
}
