package wire_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/wire"
)

// window is what an end of a talk grants, with no limit on the message.
func window(messages, bytes uint32) wire.Terms {
	return wire.Terms{MaxMessage: noLimit, WindowMessages: messages, WindowBytes: bytes}
}

// talking makes a talk of two ends.
func talking(a, b talker) *talk {
	a.pipe, b.pipe = wire.NewPipeline(a.grants, b.grants), wire.NewPipeline(b.grants, a.grants)
	return &talk{a, b}
}

// windows are a message at a time, by messages or by bytes, and wider ones, also
// such that some messages are larger than.
var windows = []wire.Terms{
	window(1, noLimit), window(2, 0), window(2, noLimit), window(3, 9),
	window(100, 7), window(3, 1), window(100, 20), window(100, 1000),
}

// setUpTalk makes a talk of what up to 8 bytes say.
func setUpTalk(setup []byte) *talk {
	var s [8]byte
	copy(s[:], setup)
	limits, picky := [...]uint32{noLimit, noLimit, 6, 0}, [...]int{0, 0, 2, 3}
	end := func(window, more byte) talker {
		e := talker{grants: windows[window&7], room: 1 + int(window>>3&3), pings: int(window >> 5 & 3)}
		e.grants.MaxMessage = limits[more&3]
		e.picky = picky[more>>2&3]
		e.leaves, e.trims = more&16 != 0, more&32 != 0
		return e
	}
	a, b := end(s[1], s[2]), end(s[3], s[4])
	from, n := int(s[5]&15), int(s[5]>>4)
	sent := messages(from, n)
	// An echo that is refused never comes: who sends must not wait for it.
	a.leaves = a.leaves || s[2]&15 != 0 || s[4]&15 != 0
	switch s[0] & 3 {
	case 0: // two goroutines at each end
		a.app, b.app = application{queue: sent}, application{queue: messages(from+3, int(s[6]&15))}
	case 1: // an echo, and one that keeps up to 3 messages on the way, from one goroutine as well
		n = min(n, 1+int(s[6]%3))
		a.app = application{alone: true, queue: sent[:n:n], later: sent[n:]}
		b.app = application{alone: true, echo: len(sent)}
	case 2: // an echo, and one that sends and receives in two
		a.app, b.app = application{queue: sent}, application{alone: true, echo: len(sent)}
	case 3: // each sends on what it receives, for a while
		rounds := int(s[7] % 32)
		a.leaves = true
		a.app, b.app = application{queue: sent, echo: rounds}, application{queue: messages(from+3, int(s[6]&15)), echo: rounds}
	}
	return talking(a, b)
}

// runTalk makes moves until there are none, and choose picks them.
func runTalk(p *talk, choose func(n int) int) error {
	const many = 100_000 // steps, far more than any of the schedules needs
	for range many {
		possible := p.moves(1, 2, 3, 5, everything)
		if len(possible) == 0 {
			return p.finished()
		}
		if err := p.do(possible[choose(len(possible))]); err != nil {
			return err
		}
	}
	return fmt.Errorf("not finished after %d steps: %v", many, p)
}

func FuzzTwoPipelines(f *testing.F) {
	for _, setup := range []string{
		"00 00 00 00 00 f0 0f", "00 63 00 6b 00 f3 0c", "00 24 01 45 02 f0 0f", "00 03 04 07 08 f5 0a",
		"01 00 00 00 00 f0 02", "01 05 00 04 00 f5 01", "02 00 00 01 00 f2 00", "02 6e 10 26 0c f1 00",
		"03 02 00 04 00 30 02 1f", "03 00 10 01 10 14 04 1f",
	} {
		f.Add(unhex(setup), []byte{})
		f.Add(unhex(setup), []byte("\x00\x01\x02\x03\x05\x08\x0d\x15\x22\x37\x59\x90\xe9"))
	}
	f.Fuzz(func(t *testing.T, setup, schedule []byte) {
		step := 0
		err := runTalk(setUpTalk(setup), func(n int) int {
			step++
			if step > len(schedule) {
				return step % n // on to the end, at both ends in turn
			}
			return int(schedule[step-1]) % n
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestAnyScheduleOfTwoPipelinesDeliversEveryMessageOnceAndInOrder(t *testing.T) {
	const schedules = 2000
	first := rand.Uint64()
	var delivered, declined, most int
	for i := range uint64(schedules) {
		seed := first + i
		r := rand.New(rand.NewPCG(seed, 0))
		setup := make([]byte, 8)
		for i := range setup {
			setup[i] = byte(r.Uint32())
		}
		p := setUpTalk(setup)
		// A choice among few of the moves starves the others, which is what gets
		// ends far apart.
		width := 1 + r.IntN(12)
		err := runTalk(p, func(n int) int {
			most = max(most, p[0].pipe.Unanswered())
			return r.IntN(min(n, width))
		})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for j := range p {
			delivered += len(p[j].delivered)
			declined += len(p[j].declined)
		}
	}
	t.Logf("seeds from %d: %d messages delivered, %d refused, up to %d at a time unanswered", first, delivered, declined, most)
	if delivered < schedules || declined < schedules || most < 8 {
		t.Errorf("seeds from %d: %d messages delivered, %d refused, up to %d at a time unanswered: too few to prove anything", first, delivered, declined, most)
	}
}

func TestAnEchoInPipelinedModeComesBackWhole(t *testing.T) {
	sent := messages(0, 30)
	for _, w := range windows {
		t.Run(fmt.Sprintf("window of %d messages, %d bytes", w.WindowMessages, w.WindowBytes), func(t *testing.T) {
			for seed := range uint64(30) {
				r := rand.New(rand.NewPCG(seed, 0))
				p := talking(
					talker{grants: w, room: 1, app: application{queue: sent}},
					talker{grants: w, room: 1, app: application{alone: true, echo: len(sent)}},
				)
				if err := runTalk(p, r.IntN); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if diff := cmp.Diff(sent, p[0].app.taken); diff != "" {
					t.Fatalf("seed %d: received (-sent +received):\n%s", seed, diff)
				}
			}
		})
	}
}
