package wire_test

import (
	"fmt"
	"io"
	"strings"

	"github.com/tinyproto-go/tinyproto/wire"
)

// situation is a state that a Pipeline can be in, as far as it matters to what
// comes next: one of each of these. They are independent of one another, but
// where possible says that they exclude each other.
type situation struct {
	theirs  unansweredTheirs
	place   place
	waiting bool // two messages of ours are unanswered
	pinged  bool // PING of ours has no PONG
	asked   bool // PING of the peer's has no PONG
	bye     bool // ours
	peerBye bool
}

// granted is what both ends grant in each situation.
var granted = wire.Terms{MaxMessage: wire.MaxSize, WindowMessages: 3, WindowBytes: 100}

// unansweredTheirs is what is unanswered of the peer's complete messages.
type unansweredTheirs struct {
	name  string
	sizes []uint32
	room  int // the largest message that may follow, of those up to 255 bytes
}

var allTheirs = []unansweredTheirs{
	{"nothing owed", nil, 255},
	{"60 bytes owed", []uint32{60}, 40},
	{"the whole window owed", []uint32{100}, 0},
	{"more than the window owed", []uint32{200}, noRoom},
	{"all messages owed, empty ones", []uint32{0, 0, 0}, noRoom},
}

// place is where in an item the input stands.
type place struct {
	name   string
	input  string // that leads there
	size   int    // of the message that is arriving; noRoom: none is
	left   uint32 // of its bytes
	inSize int    // bytes of a size that have come
	bytes  []byteRange
}

var places = []place{
	{"between items", "", noRoom, 0, 0, nil}, // see situation.bytes
	{"1 byte of a size", "00", noRoom, 0, 1, all("size")},
	{"2 bytes of a size", "0000", noRoom, 0, 2, all("size")},
	{"3 bytes of a size", "000000", noRoom, 0, 3, nil}, // see situation.bytes
	{"before a message of 2 bytes", "00000002", 2, 2, 0, all("payload 1")},
	{"before the last byte of a message", "00000002 ff", 2, 1, 0, all("payload 1 last")},
	{"before an empty message", "00000000", 0, 0, 0, all("payload 0 last")},
}

// possible reports whether a correct peer can bring this about.
func (s situation) possible() bool {
	if s.peerBye && s.place.input != "" {
		return false
	}
	return s.place.size <= s.theirs.room
}

// situations are all that are possible.
func situations() []situation {
	var list []situation
	for _, theirs := range allTheirs {
		for _, place := range places {
			for flags := range 1 << 5 {
				is := func(i int) bool { return flags&(1<<i) != 0 }
				s := situation{theirs, place, is(0), is(1), is(2), is(3), is(4)}
				if s.possible() {
					list = append(list, s)
				}
			}
		}
	}
	return list
}

func (s situation) String() string {
	words := []string{s.theirs.name, s.place.name}
	for _, flag := range []struct {
		is   bool
		name string
	}{{s.waiting, "ours unanswered"}, {s.pinged, "our PING"}, {s.asked, "the peer's PING"}, {s.bye, "our BYE"}, {s.peerBye, "the peer's BYE"}} {
		if flag.is {
			words = append(words, flag.name)
		}
	}
	return strings.Join(words, ", ")
}

// after returns a Pipeline to which these things have happened.
func after(events ...event) *wire.Pipeline {
	l := wire.NewPipeline(granted, granted)
	for _, event := range events {
		event(l)
	}
	return l
}

// pipeline returns one in this state.
func (s situation) pipeline() *wire.Pipeline {
	var events []event
	for _, size := range s.theirs.sizes {
		events = append(events, message(size))
	}
	if s.waiting {
		events = append(events, sends(7), sends(8))
	}
	if s.pinged {
		events = append(events, pings)
	}
	if s.asked {
		events = append(events, comes("f2"))
	}
	if s.bye {
		events = append(events, saysBye)
	}
	if s.peerBye {
		events = append(events, comes("f4"))
	}
	if s.place.size == 0 { // its payload is not taken
		return after(append(events, comesOnce(s.place.input))...)
	}
	return after(append(events, comes(s.place.input))...)
}

// bytes is what comes of each byte.
func (s situation) bytes() []byteRange {
	violates := func(v wire.Violation) string { return v.String() }
	either := func(is bool, yes string, no wire.Violation) string {
		if is {
			return yes
		}
		return violates(no)
	}
	switch {
	case s.place.inSize == wire.SizeLen-1:
		switch s.theirs.room {
		case noRoom:
			return all(violates(wire.WindowOverrun))
		case 255:
			return all("data")
		}
		room := byte(s.theirs.room)
		return []byteRange{{0x00, room, "data"}, {room + 1, 0xff, violates(wire.WindowOverrun)}}
	case s.place.input != "":
		return s.place.bytes
	}
	unknown := violates(wire.UnknownItem)
	return []byteRange{
		{0x00, 0xf0, either(!s.peerBye, "size", wire.DataAfterBye)},
		{0xf1, 0xf1, unknown},
		{0xf2, 0xf2, either(!s.asked, "PING", wire.SecondPing)},
		{0xf3, 0xf3, either(s.pinged, "PONG", wire.UnaskedPong)},
		{0xf4, 0xf4, either(!s.peerBye, "BYE", wire.SecondBye)},
		{0xf5, 0xfb, unknown},
		{0xfc, 0xfc, either(s.waiting, "refused 7", wire.UnaskedAnswer)},
		{0xfd, 0xfe, unknown},
		{0xff, 0xff, either(s.waiting, "accepted 7", wire.UnaskedAnswer)},
	}
}

// end is what the end of the stream means.
func (s situation) end() error {
	e := wire.IncompleteError{
		SizeBytes: s.place.inSize,
		Owing:     len(s.theirs.sizes),
		NoBye:     !s.bye,
		NoPeerBye: !s.peerBye,
	}
	if s.place.size != noRoom {
		e.Accepted = true
		e.Payload = uint32(s.place.size)
		e.PayloadBytes = e.Payload - s.place.left
	}
	if s.waiting {
		e.Pending = 2
	}
	if s.peerBye && !s.waiting && len(s.theirs.sizes) == 0 && s.place.inSize == 0 {
		return io.EOF
	}
	return &e
}

// pipelineView is what a Pipeline shows of its state.
type pipelineView struct {
	Unanswered, Owed int
	Left             uint32
	Receiving        bool
	InsideItem       bool
	MayPing          bool
	Bye, PeerBye     bool
	MaySend          string // of sizes around what is left of the window
	Offset           int64
	End              string
}

func viewOfPipeline(l *wire.Pipeline, sizes ...uint32) pipelineView {
	v := pipelineView{
		Unanswered: l.Unanswered(),
		Owed:       l.Owed(),
		InsideItem: l.InsideItem(),
		MayPing:    l.MayPing(),
		Offset:     l.Offset(),
		End:        fmt.Sprint(l.End()),
	}
	v.Left, v.Receiving = l.Receiving()
	v.Bye, v.PeerBye = l.Byes()
	var may []string
	for _, size := range sizes {
		may = append(may, fmt.Sprintf("%d: %v", size, l.MaySend(size)))
	}
	v.MaySend = strings.Join(may, ", ")
	return v
}
