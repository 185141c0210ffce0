package wire_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/wire"
)

// event is something that happens to one end in pipelined mode. It returns what
// comes of it, in words, as an act does in classic mode.
type event func(*wire.Pipeline) string

// comes is input, parsed as far as it can be.
func comes(input string) event {
	p := unhex(input)
	return func(l *wire.Pipeline) string {
		var seen []string
		rest := p
		for {
			item, n, err := l.Parse(rest)
			if err != nil {
				return strings.Join(append(seen, violationOf(err)), ", ")
			}
			rest = rest[n:]
			if item.Kind == wire.Incomplete {
				break
			}
			seen = append(seen, describeItem(item))
		}
		if len(rest) > 0 {
			seen = append(seen, fmt.Sprintf("%d bytes unparsed", len(rest)))
		}
		return strings.Join(seen, ", ")
	}
}

// comesOnce is input in a single call of Parse, which may leave an empty payload
// for the next.
func comesOnce(input string) event {
	p := unhex(input)
	return func(l *wire.Pipeline) string {
		item, n, err := l.Parse(p)
		if err != nil {
			return violationOf(err)
		}
		return fmt.Sprintf("%s, %d of %d bytes", describeItem(item), n, len(p))
	}
}

// message is a whole message of the peer's.
func message(size uint32) event {
	return func(l *wire.Pipeline) string {
		item, _, err := l.Parse(wire.AppendSize(nil, size))
		if err != nil {
			return violationOf(err)
		}
		return describeItem(item) + ", " + describeItem(l.Moved(size))
	}
}

// sends is a message of ours, if the Pipeline lets us write one.
func sends(size uint32) event {
	return func(l *wire.Pipeline) string {
		if !l.MaySend(size) {
			return "may not"
		}
		l.Send(size)
		return "DATA"
	}
}

// answers is the answer to the oldest message of the peer's.
func answers(l *wire.Pipeline) string {
	l.Answer()
	return fmt.Sprintf("%d owed", l.Owed())
}

func pings(l *wire.Pipeline) string {
	if !l.MayPing() {
		return "may not"
	}
	l.Ping()
	return "PING"
}

func pongs(l *wire.Pipeline) string {
	l.Pong()
	return "PONG"
}

func saysBye(l *wire.Pipeline) string {
	l.Bye()
	return "BYE"
}

func describeItem(item wire.Item) string {
	switch item.Kind {
	case wire.Data:
		return fmt.Sprintf("data of %d", item.Size)
	case wire.Accepted:
		return fmt.Sprintf("accepted %d", item.Size)
	case wire.Refused:
		return fmt.Sprintf("refused %d", item.Size)
	case wire.PingItem:
		return "PING"
	case wire.PongItem:
		return "PONG"
	case wire.ByeItem:
		return "BYE"
	}
	return describe(item)
}

// scene is an event and what must come of it.
type scene struct {
	event event
	want  string
}

// ample are terms that nothing in these tests exceeds.
var ample = wire.Terms{MaxMessage: wire.MaxSize, WindowMessages: 100, WindowBytes: wire.MaxSize}

// perform runs a conversation on a new Pipeline with ample windows and returns it.
func perform(t *testing.T, scenes ...scene) *wire.Pipeline {
	t.Helper()
	l := wire.NewPipeline(ample, ample)
	for i, scene := range scenes {
		if diff := cmp.Diff(scene.want, scene.event(l)); diff != "" {
			t.Fatalf("scene %d (-want +got):\n%s", i, diff)
		}
	}
	return l
}

// pipelineTest is a conversation that shows one consequence of a rule.
type pipelineTest struct {
	name   string
	scenes []scene
}

func performAll(t *testing.T, tests []pipelineTest) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { perform(t, tt.scenes...) })
	}
}

func TestTheSizeOfDataMayBeSplitAnywhere(t *testing.T) {
	const size = "01020304"
	for cut := range 1 << 3 { // a bit for each of the three places
		var scenes []scene
		for from, i := 0, 1; i <= wire.SizeLen; i++ {
			switch {
			case i == wire.SizeLen:
				scenes = append(scenes, scene{comes(size[2*from:]), "data of 16909060"})
			case cut&(1<<(i-1)) != 0:
				scenes = append(scenes, scene{comes(size[2*from : 2*i]), ""})
				from = i
			}
		}
		t.Run(fmt.Sprintf("in %d pieces, cuts %03b", len(scenes), cut), func(t *testing.T) {
			l := perform(t, scenes...)
			if got := l.Offset(); got != wire.SizeLen {
				t.Errorf("Offset = %d behind a size", got)
			}
			if left, inside := l.Receiving(); left != 0x01020304 || !inside {
				t.Errorf("Receiving = %#x, %v", left, inside)
			}
		})
	}
}

func TestMessagesAreParsedOneAfterTheOtherAndBetweenAnswers(t *testing.T) {
	performAll(t, []pipelineTest{
		{"many in one piece", []scene{
			{comes("00000001 61 00000000 00000002 6263"), "data of 1, payload 1 last, data of 0, payload 0 last, data of 2, payload 2 last"},
		}},
		{"a payload in pieces is what there is of it", []scene{
			{comes("00000006"), "data of 6"},
			{comes("61"), "payload 1"},
			{comes("6262"), "payload 2"},
			{comes(""), ""},
			{comes("616161 00000001"), "payload 3 last, data of 1"},
		}},
		{"a payload may look like any item", []scene{
			{comes("0000000a"), "data of 10"},
			{comes("fffcf2f3f4f1 00000001"), "payload 10 last"},
		}},
		{"a size may look like signals behind its first byte", []scene{
			{comes("00ffff"), ""},
			{sends(1), "DATA"},
			{comes("ff"), "data of 16777215"},
		}},
		{"an empty message is complete without another byte", []scene{
			{comesOnce("00000000"), "data of 0, 4 of 4 bytes"},
			{comesOnce(""), "payload 0 last, 0 of 0 bytes"},
			{comesOnce(""), "incomplete, 0 of 0 bytes"},
		}},
		{"and whatever is behind it waits until it is taken", []scene{
			{sends(1), "DATA"},
			{comesOnce("00000000"), "data of 0, 4 of 4 bytes"},
			{comesOnce("ff"), "payload 0 last, 0 of 1 bytes"},
			{comesOnce("ff"), "accepted 1, 1 of 1 bytes"},
		}},
		{"answers, PING, PONG and BYE stand between messages", []scene{
			{sends(3), "DATA"},
			{sends(5), "DATA"},
			{pings, "PING"},
			{
				comes("ff 00000001 61 f2 00000000 fc f3 00000001 62 f4"),
				"accepted 3, data of 1, payload 1 last, PING, data of 0, payload 0 last, refused 5, PONG, data of 1, payload 1 last, BYE",
			},
		}},
		{"an answer is about the oldest message that has none", []scene{
			{sends(3), "DATA"},
			{sends(0), "DATA"},
			{comes("fc"), "refused 3"},
			{sends(5), "DATA"},
			{comes("ff"), "accepted 0"},
			{comes("ff"), "accepted 5"},
		}},
	})
}

// To skip a message that is too large, and to answer so, is its receiver's affair.
func TestAMessageAboveTheLimitIsParsedLikeAnyOther(t *testing.T) {
	small := ample
	small.MaxMessage = 2
	l := wire.NewPipeline(small, small)
	for _, scene := range []scene{
		{comes("00000003 616263"), "data of 3, payload 3 last"},
		{answers, "0 owed"},
		{sends(3), "DATA"},
		{comes("fc"), "refused 3"},
	} {
		if got := scene.event(l); got != scene.want {
			t.Errorf("%q, expected %q", got, scene.want)
		}
	}
}

func TestTheLargestMessageArrivesInPipelinedMode(t *testing.T) {
	l := perform(t, scene{comes("f0ffffff"), "data of 4043309055"})
	piece := make([]byte, 16<<20)
	var got int64
	for {
		item, n, err := l.Parse(piece)
		if err != nil || item.Kind != wire.Payload || int(item.Size) != n {
			t.Fatalf("behind %d bytes: %+v, %d, %v", got, item, n, err)
		}
		got += int64(n)
		if item.Last {
			break
		}
	}
	if got != wire.MaxSize || l.Offset() != wire.SizeLen+wire.MaxSize {
		t.Errorf("%d payload bytes, Offset %d", got, l.Offset())
	}
}
