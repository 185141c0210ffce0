package wire_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/wire"
)

// isMoved is payload that is taken off the stream without Parse.
func isMoved(n uint32) event {
	return func(l *wire.Pipeline) string {
		item := l.Moved(n)
		left, inside := l.Receiving()
		return fmt.Sprintf("%s, %d left of it: %t, at %d", describeItem(item), left, inside, l.Offset())
	}
}

func TestPayloadThatIsMovedIsPayloadThatIsParsedInPipelinedMode(t *testing.T) {
	const max = wire.MaxSize
	performAll(t, []pipelineTest{
		{"all at once", []scene{
			{comes("00000003"), "data of 3"},
			{isMoved(3), "payload 3 last, 0 left of it: false, at 7"},
			{comes("00000001"), "data of 1"},
		}},
		{"behind what was parsed, and before", []scene{
			{comes("00000005 61"), "data of 5, payload 1"},
			{isMoved(2), "payload 2, 2 left of it: true, at 7"},
			{comes("6161 00000001"), "payload 2 last, data of 1"},
		}},
		{"nothing yet", []scene{
			{comes("00000003"), "data of 3"},
			{isMoved(0), "incomplete, 3 left of it: true, at 4"},
			{isMoved(3), "payload 3 last, 0 left of it: false, at 7"},
		}},
		{"an empty message", []scene{
			{comesOnce("00000000"), "data of 0, 4 of 4 bytes"},
			{isMoved(0), "payload 0 last, 0 left of it: false, at 4"},
		}},
		{"the largest message", []scene{
			{comes("f0ffffff"), "data of 4043309055"},
			{isMoved(max - 1), fmt.Sprintf("payload %d, 1 left of it: true, at %d", int64(max)-1, int64(max)+3)},
			{isMoved(1), fmt.Sprintf("payload 1 last, 0 left of it: false, at %d", int64(max)+4)},
		}},
	})
}

func TestTheEndInsideAPayloadThatIsMovedSaysHowMuchCameInPipelinedMode(t *testing.T) {
	l := perform(t, scene{comes("0000000a"), "data of 10"})
	l.Moved(7)
	want := &wire.IncompleteError{Accepted: true, PayloadBytes: 7, Payload: 10, NoBye: true, NoPeerBye: true}
	if diff := cmp.Diff(want, l.End()); diff != "" {
		t.Errorf("End (-want +got):\n%s", diff)
	}
	if !l.InsideItem() {
		t.Error("the peer owes bytes, expected InsideItem")
	}
}
