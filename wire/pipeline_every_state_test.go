package wire_test

import (
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/wire"
)

func TestEveryByteInEveryStateOfAPipeline(t *testing.T) {
	list := situations()
	for _, s := range list {
		next := 0
		for _, r := range s.bytes() {
			for ; next <= int(r.last); next++ {
				if next < int(r.first) {
					t.Fatalf("%v: the table skips byte %#02x", s, next)
				}
				if got := s.outcome(t, byte(next)); got != r.outcome {
					t.Errorf("%v: byte %#02x: %s, expected: %s", s, next, got, r.outcome)
				}
			}
		}
		if next != 256 {
			t.Errorf("%v: the table ends at byte %#02x", s, next)
		}
		if t.Failed() {
			return // one situation says enough
		}
	}
	// 5 states of the peer's messages, each with 32 of the flags and every place
	// where there is room for it, but for 16 behind the peer's BYE.
	if want := 32*(7+7+5+4+4) - 16*(6+6+4+3+3); len(list) != want {
		t.Errorf("%d situations, expected %d", len(list), want)
	}
}

// outcome parses one byte and checks how much of it is taken.
func (s situation) outcome(t *testing.T, b byte) string {
	t.Helper()
	l := s.pipeline()
	before := l.Offset()
	item, n, err := l.Parse([]byte{b})
	if err != nil {
		s.checkViolation(t, l, before, b, err)
		return violationOf(err)
	}
	taken, what := 1, describeItem(item)
	switch item.Kind {
	case wire.Payload:
		taken = int(item.Size)
	case wire.Incomplete:
		what = "size"
	case wire.Data:
		what = "data"
		if item.Size != uint32(b) { // the bytes before it are zeros
			t.Errorf("%v: byte %#02x begins a message of %d", s, b, item.Size)
		}
	}
	if n != taken || l.Offset() != before+int64(taken) {
		t.Errorf("%v: byte %#02x (%s): %d bytes taken, Offset from %d to %d", s, b, what, n, before, l.Offset())
	}
	return what
}

// checkViolation asserts that an error tells where it is, and that it is final. A
// message is known to overrun the window when its size is complete, and the error
// is about the first byte of that.
func (s situation) checkViolation(t *testing.T, l *wire.Pipeline, before int64, b byte, err error) {
	t.Helper()
	want := wire.ProtocolError{Seen: b, Offset: before - int64(s.place.inSize)}
	if s.place.inSize > 0 {
		want.Seen = 0x00
	}
	e, ok := err.(*wire.ProtocolError)
	if !ok || e.Seen != want.Seen || e.Offset != want.Offset {
		t.Errorf("%v: byte %#02x at %d: %#v", s, b, before, err)
	}
	if _, n, again := l.Parse([]byte{b}); n != 0 || fmt.Sprint(again) != err.Error() {
		t.Errorf("%v: byte %#02x: %v, and then: %d bytes taken, %v", s, b, err, n, again)
	}
}

func TestEndInEveryStateOfAPipeline(t *testing.T) {
	clean := 0
	for _, s := range situations() {
		l := s.pipeline()
		before := viewOfPipeline(l)
		got, want := l.End(), s.end()
		if want == io.EOF {
			clean++
			if got != io.EOF {
				t.Errorf("%v: not clean: %v", s, got)
			}
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: End (-want +got):\n%s", s, diff)
		}
		if diff := cmp.Diff(before, viewOfPipeline(l)); diff != "" {
			t.Errorf("%v: End changes the Pipeline:\n%s", s, diff)
		}
	}
	if want := 8; clean != want { // by our BYE, and the two PINGs, which may stay unanswered
		t.Errorf("%d clean ends, expected %d", clean, want)
	}
}

func TestWhatMayBeWrittenInEveryStateOfAPipeline(t *testing.T) {
	for _, s := range situations() {
		want := pipelineView{
			Owed:       len(s.theirs.sizes),
			Left:       s.place.left,
			Receiving:  s.place.size != noRoom,
			InsideItem: s.place.input != "",
			MayPing:    !s.pinged,
			Bye:        s.bye,
			PeerBye:    s.peerBye,
			MaySend:    "85: true, 86: true, 4043309055: true",
			End:        fmt.Sprint(s.end()),
		}
		if want.Receiving {
			want.Owed++
		}
		if s.waiting { // 7 and 8 bytes of 100
			want.Unanswered = 2
			want.MaySend = "85: true, 86: false, 4043309055: false"
		}
		if s.bye {
			want.MaySend = "85: false, 86: false, 4043309055: false"
		}
		for _, size := range s.theirs.sizes {
			want.Offset += wire.SizeLen + int64(size)
		}
		for _, is := range []bool{s.asked, s.peerBye} {
			if is {
				want.Offset++
			}
		}
		want.Offset += int64(len(unhex(s.place.input)))
		if diff := cmp.Diff(want, viewOfPipeline(s.pipeline(), 85, 86, wire.MaxSize)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", s, diff)
		}
	}
}

func TestTrimChangesNothingInEveryStateOfAPipeline(t *testing.T) {
	for _, s := range situations() {
		l := s.pipeline()
		before := viewOfPipeline(l, 85, 86, wire.MaxSize)
		l.Trim()
		if diff := cmp.Diff(before, viewOfPipeline(l, 85, 86, wire.MaxSize)); diff != "" {
			t.Errorf("%v (-before +behind):\n%s", s, diff)
		}
	}
}
