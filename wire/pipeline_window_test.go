package wire_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/tinyproto-go/tinyproto/wire"
)

const noRoom = -1

// windowTests say which sizes a message may have next, by what is unanswered
// before it.
var windowTests = []struct {
	name            string
	messages, bytes uint32
	sizes           []uint32 // sent in this order
	answered        int      // of them
	largest         int64    // that may come next; noRoom: not even an empty one
}{
	{"any message may go alone", 5, 100, nil, 0, wire.MaxSize},
	{"also where the window has 1 message", 1, 1, nil, 0, wire.MaxSize},
	{"also where the window has 0 bytes", 5, 0, nil, 0, wire.MaxSize},

	{"bytes: what is left of them", 5, 100, []uint32{60}, 0, 40},
	{"bytes: of several messages", 5, 100, []uint32{30, 30, 30}, 0, 10},
	{"bytes: all used, an empty message has room", 5, 100, []uint32{60, 40}, 0, 0},
	{"bytes: all used by one message", 5, 100, []uint32{100}, 0, 0},
	{"bytes: empty messages use none", 5, 100, []uint32{0, 0}, 0, 100},
	{"bytes: the largest window", 5, math.MaxUint32, []uint32{wire.MaxSize}, 0, math.MaxUint32 - wire.MaxSize},
	{"bytes: no sum of them wraps around", 5, math.MaxUint32, []uint32{wire.MaxSize, math.MaxUint32 - wire.MaxSize}, 0, 0},

	{"messages: one is all", 1, 100, []uint32{1}, 0, noRoom},
	{"messages: all used", 3, 100, []uint32{1, 1, 1}, 0, noRoom},
	{"messages: all used, by empty ones", 3, 100, []uint32{0, 0, 0}, 0, noRoom},
	{"messages: one is left", 3, 100, []uint32{1, 1}, 0, 98},
	{"messages: a window above the range of a signed number", 1 << 31, 100, []uint32{1}, 0, 99},
	{"messages: the largest window", math.MaxUint32, 100, []uint32{1}, 0, 99},

	{"one larger than the window goes alone: nothing behind it", 5, 100, []uint32{101}, 0, noRoom},
	{"one larger than the window goes alone: the largest", 5, 100, []uint32{wire.MaxSize}, 0, noRoom},
	{"one larger than the window goes alone: not behind an empty one", 5, 100, []uint32{0}, 0, 100},

	{"0 bytes: one message at a time", 5, 0, []uint32{1}, 0, noRoom},
	{"0 bytes: one empty message at a time", 5, 0, []uint32{0}, 0, noRoom},

	{"an answer gives back the bytes of the oldest", 5, 100, []uint32{60, 30}, 1, 70},
	{"an answer gives back one message", 3, 100, []uint32{0, 0, 0}, 1, 100},
	{"an answer to one larger than the window gives all back", 5, 100, []uint32{200}, 1, wire.MaxSize},
	{"an answer to the one message of a window of 0 bytes", 5, 0, []uint32{7}, 1, wire.MaxSize},
	{"several answers", 5, 100, []uint32{10, 20, 30, 40}, 3, 60},
	{"as many answers as messages", 2, 100, []uint32{50, 50}, 2, wire.MaxSize},
}

// granting is a Pipeline whose window in one direction is this one. In the other
// it is different, so that a mix-up shows.
func granting(messages, bytes uint32, toPeer bool) *wire.Pipeline {
	window := wire.Terms{MaxMessage: wire.MaxSize, WindowMessages: messages, WindowBytes: bytes}
	other := wire.Terms{MaxMessage: wire.MaxSize, WindowMessages: 4, WindowBytes: 50}
	if toPeer {
		return wire.NewPipeline(window, other)
	}
	return wire.NewPipeline(other, window)
}

func TestASenderKeepsWithinTheWindowThatThePeerGrants(t *testing.T) {
	for _, tt := range windowTests {
		t.Run(tt.name, func(t *testing.T) {
			l := granting(tt.messages, tt.bytes, false)
			for _, size := range tt.sizes {
				if got := sends(size)(l); got != "DATA" {
					t.Fatalf("a message of %d bytes: %s", size, got)
				}
			}
			for i := range tt.answered {
				if got, want := comes("ff")(l), fmt.Sprintf("accepted %d", tt.sizes[i]); got != want {
					t.Fatalf("answer %d: %s, expected %s", i, got, want)
				}
			}
			if got, want := l.Unanswered(), len(tt.sizes)-tt.answered; got != want {
				t.Errorf("Unanswered = %d, expected %d", got, want)
			}
			for size := range sizesAround(tt.largest) {
				if got := l.MaySend(size); got != (int64(size) <= tt.largest) {
					t.Errorf("MaySend(%d) = %v", size, got)
				}
			}
		})
	}
}

func TestAPeerThatOverrunsTheWindowBreaksTheProtocol(t *testing.T) {
	for _, tt := range windowTests {
		t.Run(tt.name, func(t *testing.T) {
			for size := range sizesAround(tt.largest) {
				l := granting(tt.messages, tt.bytes, true)
				for _, size := range tt.sizes {
					if got, want := message(size)(l), fmt.Sprintf("data of %d, payload %d last", size, size); got != want {
						t.Fatalf("a message of %d bytes: %s", size, got)
					}
				}
				for range tt.answered {
					l.Answer()
				}
				if got, want := l.Owed(), len(tt.sizes)-tt.answered; got != want {
					t.Errorf("Owed = %d, expected %d", got, want)
				}
				want := fmt.Sprintf("data of %d, 4 of 4 bytes", size)
				if int64(size) > tt.largest {
					want = wire.WindowOverrun.String()
				}
				if got := comesOnce(fmt.Sprintf("%08x", size))(l); got != want {
					t.Errorf("%s, expected %s", got, want)
				}
			}
		})
	}
}

// sizesAround are sizes at, below and above a limit, and the least and the largest.
func sizesAround(limit int64) map[uint32]bool {
	sizes := map[uint32]bool{0: true, wire.MaxSize: true}
	for size := max(0, limit-1); size <= min(limit+1, wire.MaxSize); size++ {
		sizes[uint32(size)] = true
	}
	return sizes
}

func TestAWindowIsCountedWhenItIsUsedAndWhenTheAnswerIsGiven(t *testing.T) {
	one := wire.Terms{MaxMessage: wire.MaxSize, WindowMessages: 1, WindowBytes: 100}
	for _, tt := range []pipelineTest{
		{"a message of the peer's counts while it arrives", []scene{
			{comes("00000002 61"), "data of 2, payload 1"},
			{func(l *wire.Pipeline) string { return fmt.Sprint(l.Owed()) }, "1"},
			{comes("61"), "payload 1 last"},
			{func(l *wire.Pipeline) string { return fmt.Sprint(l.Owed()) }, "1"},
		}},
		{"the peer may use the room as soon as Answer was called", []scene{
			{comes("00000001 61"), "data of 1, payload 1 last"},
			{answers, "0 owed"},
			{comes("00000001 61"), "data of 1, payload 1 last"},
			{comes("00000001 61"), wire.WindowOverrun.String()},
		}},
		{"we may use the room as soon as the answer is parsed", []scene{
			{sends(1), "DATA"},
			{sends(1), "may not"},
			{comes("ff"), "accepted 1"},
			{sends(1), "DATA"},
		}},
		{"TOO_LARGE gives back what OK would", []scene{
			{sends(200), "DATA"},
			{sends(0), "may not"},
			{comes("fc"), "refused 200"},
			{sends(200), "DATA"},
		}},
		{"the two directions are apart", []scene{
			{comes("00000001 61"), "data of 1, payload 1 last"},
			{sends(1), "DATA"},
			{answers, "0 owed"},
			{sends(1), "may not"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := wire.NewPipeline(one, one)
			for i, scene := range tt.scenes {
				if got := scene.event(l); got != scene.want {
					t.Fatalf("scene %d: %q, expected %q", i, got, scene.want)
				}
			}
		})
	}
}
