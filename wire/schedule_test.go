package wire_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var errDeadlock = errors.New("nothing more can happen, and not all is done")

// contents are payloads of every length up to 9 that look like items of the
// protocol: a byte of theirs parsed as one would not go unnoticed.
var contents = []string{
	"", "\xff", "\xfd", "\x00\x00\x00\x01", "\xfc", "\x00",
	"\xff\x00\x00\x00\x02", "\xfd\xff", "\x00\x00\x00\x00\xff\xfd\xfc",
	"\xf1TP\x02", "\xfe\xf0\xff", "\xff\xff\xff\xff\xff\xff",
	"\x00\x00\x00\x05\xff\x00\x00\x00\x05", "", "\x00\xff\xfd\xfc\xfe\xf1\xf0\x01",
}

// messages returns n of the contents.
func messages(from, n int) []string {
	var m []string
	for i := range n {
		m = append(m, contents[(from+i)%len(contents)])
	}
	return m
}

// noLimit is above all contents.
const noLimit = 100

// independent is two applications that send and receive in goroutines of their
// own, and that refuse messages above their limits.
func independent(roomA, roomB int, limitA, limitB uint32, a, b []string) *pair {
	return &pair{
		{room: roomA, limit: limitA, app: application{queue: a}},
		{room: roomB, limit: limitB, app: application{queue: b}},
	}
}

// echoing is an application that sends in one goroutine what it receives, and
// one that keeps up to window messages on the way, from one goroutine as well.
func echoing(roomA, roomB, window int, sent []string) *pair {
	window = min(window, len(sent))
	return &pair{
		{room: roomA, limit: noLimit, app: application{alone: true, queue: sent[:window:window], later: sent[window:]}},
		{room: roomB, limit: noLimit, app: application{alone: true, echo: len(sent)}},
	}
}

// streaming is an echoing application, and one that sends and receives in
// two.
func streaming(roomA, roomB int, sent []string) *pair {
	return &pair{
		{room: roomA, limit: noLimit, app: application{queue: sent}},
		{room: roomB, limit: noLimit, app: application{alone: true, echo: len(sent)}},
	}
}

// circulating is two applications that each send on what they receive, for a
// while, from one goroutine each.
func circulating(roomA, roomB, rounds int, a, b []string) *pair {
	return &pair{
		{room: roomA, limit: noLimit, app: application{alone: true, queue: a, echo: rounds}},
		{room: roomB, limit: noLimit, app: application{alone: true, queue: b, echo: rounds}},
	}
}

// everything is a piece of the input longer than any input.
const everything = 1 << 20

// run makes moves until there are none, and choose picks them.
func run(p *pair, choose func(n int) int) error {
	const many = 100_000 // steps, far more than any of the schedules needs
	for range many {
		possible := p.moves(0, 1, 2, 3, 5, everything)
		if len(possible) == 0 {
			return p.finished()
		}
		if err := p.do(possible[choose(len(possible))]); err != nil {
			return err
		}
	}
	return fmt.Errorf("not finished after %d steps: %v", many, p)
}

// setUp makes a pair of what 4 bytes say.
func setUp(s [4]byte) *pair {
	roomA, roomB := 1+int(s[0]>>2&1), 1+int(s[0]>>3&1)
	from, n := int(s[1]&15), int(s[1]>>4)
	switch s[0] & 3 {
	case 0:
		limits := [...]uint32{noLimit, 6, 3, 0}
		a, b := messages(from, n), messages(from+3, int(s[2]&15))
		return independent(roomA, roomB, limits[s[3]&3], limits[s[3]>>2&3], a, b)
	case 1:
		return echoing(roomA, roomB, 1+int(s[2])%buffers, messages(from, n))
	case 2:
		return streaming(roomA, roomB, messages(from, n))
	}
	a := n % (buffers + 1)
	b := int(s[2]) % (buffers + 1 - a)
	return circulating(roomA, roomB, int(s[3]%32), messages(from, a), messages(from+3, b))
}

// buffers is how many messages can be on the way between two applications with
// one goroutine each before they can block one another for ever: at each end,
// one in the inbox, one that is being offered and one in the hand of the
// application are 6, and one place has to be free for anything to move.
const buffers = 5

func FuzzTwoLedgers(f *testing.F) {
	for _, s := range [][4]byte{
		{0x00, 0xf0, 0x0f, 0x00}, {0x0c, 0xf3, 0x0c, 0x02}, {0x00, 0xf1, 0x0f, 0x0e},
		{0x01, 0xf0, 0x04, 0x00}, {0x05, 0xf5, 0x03, 0x00}, {0x02, 0xf0, 0x00, 0x00}, {0x0e, 0xf2, 0x00, 0x00},
		{0x03, 0x30, 0x02, 0x1f}, {0x0b, 0x14, 0x04, 0x1f},
	} {
		f.Add(s[0], s[1], s[2], s[3], []byte{})
		f.Add(s[0], s[1], s[2], s[3], []byte("\x00\x01\x02\x03\x05\x08\x0d\x15\x22\x37\x59\x90\xe9"))
	}
	f.Fuzz(func(t *testing.T, a, b, c, d byte, schedule []byte) {
		step := 0
		err := run(setUp([4]byte{a, b, c, d}), func(n int) int {
			step++
			if step > len(schedule) {
				return step % n // on to quiescence, at both ends in turn
			}
			return int(schedule[step-1]) % n
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// conflictsIn counts the CONFLICTs that both ends have received.
func conflictsIn(p *pair) int { return p[0].conflicts + p[1].conflicts }

func TestAnyScheduleDeliversEveryMessageOnceAndInOrder(t *testing.T) {
	const schedules = 2000
	first := rand.Uint64()
	arrived, conflicts := 0, 0
	for i := range uint64(schedules) {
		seed := first + i
		r := rand.New(rand.NewPCG(seed, 0))
		s := r.Uint32()
		p := setUp([4]byte{byte(s), byte(s >> 8), byte(s >> 16), byte(s >> 24)})
		// A choice among few of the moves starves the others, which is what
		// gets ends far apart.
		width := 1 + r.IntN(12)
		if err := run(p, func(n int) int { return r.IntN(min(n, width)) }); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		arrived += p[0].arrived + p[1].arrived
		conflicts += conflictsIn(p)
	}
	t.Logf("seeds from %d: %d messages, %d times CONFLICT", first, arrived, conflicts)
	if arrived < schedules || conflicts < schedules/100 {
		t.Errorf("seeds from %d: only %d messages and %d times CONFLICT: too few to prove anything", first, arrived, conflicts)
	}
}

func TestIndependentReceiversGetEverythingWithinTheirLimits(t *testing.T) {
	within := func(m []string, limit int) []string {
		var few []string
		for _, msg := range m {
			if len(msg) <= limit {
				few = append(few, msg)
			}
		}
		return few
	}
	a, b := messages(0, 15), messages(5, 15)
	p := independent(1, 1, 4, 2, a, b)
	if err := run(p, func(n int) int { return n / 2 }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(within(a, 2), p[1].app.taken); diff != "" {
		t.Errorf("received with a limit of 2 (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(within(b, 4), p[0].app.taken); diff != "" {
		t.Errorf("received with a limit of 4 (-want +got):\n%s", diff)
	}
}

func TestAnEchoFromOneGoroutineComesBackWhole(t *testing.T) {
	for window := 1; window <= buffers; window++ {
		t.Run(fmt.Sprintf("window %d", window), func(t *testing.T) {
			sent := messages(0, 30)
			conflicts := 0
			for seed := range uint64(100) {
				r := rand.New(rand.NewPCG(seed, 0))
				p := echoing(1, 1, window, sent)
				if err := run(p, r.IntN); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if diff := cmp.Diff(sent, p[0].app.taken); diff != "" {
					t.Fatalf("seed %d: received (-sent +received):\n%s", seed, diff)
				}
				conflicts += conflictsIn(p)
			}
			if window >= 4 && conflicts == 0 {
				t.Error("no CONFLICT at all: too few to prove anything")
			}
		})
	}
}
