package wire_test

import (
	"testing"

	"github.com/tinyproto-go/tinyproto/wire"
)

// ruleTest is a conversation that shows one consequence of a rule.
type ruleTest struct {
	name  string
	lines []line
}

func playAll(t *testing.T, tests []ruleTest) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { play(t, tt.lines...) })
	}
}

func TestR1OneOfferAtATime(t *testing.T) {
	playAll(t, []ruleTest{
		{"no size before the answer", []line{
			{offers(1), "SIZE"},
			{offers(1), "may not"},
		}},
		{"no size between the OK and the payload", []line{
			{offers(1), "SIZE"},
			{arrives("ff"), "accepted"},
			{offers(1), "may not"},
		}},
		{"a size right behind the payload", []line{
			{offers(1), "SIZE"},
			{arrives("ff"), "accepted"},
			{writes(wire.Hold), "PAYLOAD"},
			{offers(1), "SIZE"},
		}},
		{"a size right behind the payload of 0 bytes", []line{
			{offers(0), "SIZE"},
			{offers(0), "may not"},
			{arrives("ff"), "accepted"},
			{offers(0), "may not"},
			{writes(wire.Hold), "PAYLOAD"},
			{offers(0), "SIZE"},
		}},
		{"a size right behind a refusal", []line{
			{offers(1), "SIZE"},
			{arrives("fc"), "refused"},
			{offers(1), "SIZE"},
		}},
		{"the peer may offer again right behind its payload", []line{
			{arrives("00000001"), "offer of 1"},
			{writes(wire.Accept), "OK"},
			{arrives("00 00000001"), "payload 1 last, offer of 1"},
		}},
		{"the peer may offer again when refused", []line{
			{arrives("00000001"), "offer of 1"},
			{writes(wire.Refuse), "TOO_LARGE"},
			{arrives("00000001"), "offer of 1"},
		}},
		{"the peer may offer again when deferred", []line{
			{offers(1), "SIZE"},
			{arrives("00000001 ff"), "offer of 1, accepted"},
			{writes(wire.Hold), "CONFLICT, PAYLOAD"},
			{arrives("00000001"), "offer of 1"},
		}},
		{"the peer may not offer again while its offer is unanswered", []line{
			{offers(1), "SIZE"},
			{arrives("00000001"), "offer of 1"},
			{arrives("00000001"), "second offer before the first was settled"},
		}},
		{"the peer may not offer again before its payload", []line{
			{offers(1), "SIZE"},
			{arrives("00000001"), "offer of 1"},
			{writes(wire.Accept), "OK"},
			{arrives("00000001"), "second offer before the first was settled"},
		}},
	})
}

func TestR2DebtsArePaidInTheOrderOfArrival(t *testing.T) {
	playAll(t, []ruleTest{
		{"the answer before the payload, if the size came first", []line{
			{offers(1), "SIZE"},
			{arrives("00000001 ff"), "offer of 1, accepted"},
			{writes(wire.Accept), "OK, PAYLOAD"},
		}},
		{"the payload before the answer, if the OK came first", []line{
			{offers(1), "SIZE"},
			{arrives("ff 00000001"), "accepted, offer of 1"},
			{writes(wire.Accept), "PAYLOAD, OK"},
		}},
		{"a refusal stands where the OK would", []line{
			{offers(1), "SIZE"},
			{arrives("00000001 ff"), "offer of 1, accepted"},
			{writes(wire.Refuse), "TOO_LARGE, PAYLOAD"},
		}},
		{"our own size may go out before a withheld answer", []line{
			{arrives("00000001"), "offer of 1"},
			{writes(wire.Hold), ""},
			{offers(1), "SIZE"},
			{writes(wire.Accept), "OK"},
			// So the peer sees the size first, and answers it first.
			{arrives("ff 00"), "accepted, payload 1 last"},
		}},
		{"our own size may go out between two debts", []line{
			{offers(1), "SIZE"},
			{arrives("ff 00000001"), "accepted, offer of 1"},
			{writes(wire.Hold), "PAYLOAD"},
			{offers(1), "SIZE"},
			{writes(wire.Accept), "OK"},
			{arrives("ff 00"), "accepted, payload 1 last"},
		}},
	})
}

func TestR3TheOldestNoteSaysWhatTheNextBytesAre(t *testing.T) {
	playAll(t, []ruleTest{
		{"no note: a size", []line{
			{arrives("00000001"), "offer of 1"},
		}},
		{"a payload: that many bytes, whatever they look like", []line{
			{arrives("00000009"), "offer of 9"},
			{writes(wire.Accept), "OK"},
			{arrives("fffefdfc f1 00000001"), "payload 9 last"},
		}},
		{"an answer: a byte from f1 up is a signal, which settles it", []line{
			{offers(1), "SIZE"},
			{arrives("fc"), "refused"},
			{arrives("ff"), "answer nobody asked for"},
		}},
		{"an answer: a byte up to f0 begins a size, which settles nothing", []line{
			{offers(1), "SIZE"},
			{arrives("f0ffffff"), "offer of 4043309055"},
			{arrives("ff"), "accepted"},
		}},
		{"payload, answer", []line{
			{arrives("00000001"), "offer of 1"},
			{writes(wire.Accept), "OK"},
			{offers(1), "SIZE"},
			{arrives("ff fc"), "payload 1 last, refused"},
		}},
		{"answer, payload", []line{
			{offers(1), "SIZE"},
			{arrives("00000001"), "offer of 1"},
			{writes(wire.Accept), "OK"},
			{arrives("ff fc"), "accepted, payload 1 last"},
		}},
		{"no note, and a size unanswered: what came early stays unparsed", []line{
			{arrives("00000003 6f6e65"), "offer of 3, 3 bytes unparsed"},
			{arrives("6f6e65"), "3 bytes unparsed"},
			{writes(wire.Accept), "OK"},
			{arrives("6f6e65"), "payload 3 last"},
		}},
		{"no note, and a size unanswered: behind a refusal comes a size", []line{
			{arrives("00000003 00000002"), "offer of 3, 4 bytes unparsed"},
			{writes(wire.Refuse), "TOO_LARGE"},
			{arrives("00000002"), "offer of 2"},
		}},
		{"no note, and a size unanswered: so it is when our payload is out", []line{
			{offers(1), "SIZE"},
			{arrives("ff 00000001 ff"), "accepted, offer of 1, 1 bytes unparsed"},
			{writes(wire.Hold), "PAYLOAD"},
			{arrives("ff"), "1 bytes unparsed"},
		}},
	})
}

func TestR4WithoutRoomAnAnswerIsHeldUntilAPayloadIsDueBehindIt(t *testing.T) {
	playAll(t, []ruleTest{
		{"held while nothing stands behind it", []line{
			{arrives("00000001"), "offer of 1"},
			{writes(wire.Hold), ""},
			{writes(wire.Hold), ""},
			{writes(wire.Accept), "OK"},
		}},
		{"held while our own offer has no answer", []line{
			{offers(1), "SIZE"},
			{arrives("00000001"), "offer of 1"},
			{writes(wire.Hold), ""},
			{writes(wire.Accept), "OK"},
		}},
		{"held behind a payload", []line{
			{offers(1), "SIZE"},
			{arrives("ff 00000001"), "accepted, offer of 1"},
			{writes(wire.Hold), "PAYLOAD"},
			{writes(wire.Hold), ""},
			{writes(wire.Accept), "OK"},
		}},
		{"CONFLICT as soon as a payload is due behind it", []line{
			{offers(1), "SIZE"},
			{arrives("00000001"), "offer of 1"},
			{writes(wire.Hold), ""},
			{arrives("ff"), "accepted"},
			{writes(wire.Hold), "CONFLICT, PAYLOAD"},
		}},
		{"CONFLICT even if the payload is of 0 bytes", []line{
			{offers(0), "SIZE"},
			{arrives("00000000 ff"), "offer of 0, accepted"},
			{writes(wire.Hold), "CONFLICT, PAYLOAD"},
		}},
		{"OK if room was made in time", []line{
			{offers(1), "SIZE"},
			{arrives("00000001"), "offer of 1"},
			{writes(wire.Hold), ""},
			{arrives("ff"), "accepted"},
			{writes(wire.Accept), "OK, PAYLOAD"},
		}},
		{"the offer that comes again is answered like a new one", []line{
			{offers(1), "SIZE"},
			{arrives("00000001 ff"), "offer of 1, accepted"},
			{writes(wire.Hold), "CONFLICT, PAYLOAD"},
			{arrives("00000001"), "offer of 1"},
			{writes(wire.Hold), ""},
			{writes(wire.Accept), "OK"},
			{arrives("62"), "payload 1 last"},
		}},
	})
}

func TestR5AfterAConflictThePayloadBehindItComesFirst(t *testing.T) {
	playAll(t, []ruleTest{
		{"no size before that payload, one right behind it", []line{
			{offers(1), "SIZE"},
			{arrives("00000002"), "offer of 2"},
			{writes(wire.Accept), "OK"},
			{arrives("fd"), "deferred"},
			{offers(1), "may not"},
			{arrives("00"), "payload 1"},
			{offers(1), "may not"},
			{arrives("00"), "payload 1 last"},
			{offers(1), "SIZE"},
		}},
		{"the payload of 0 bytes is no wait", []line{
			{offers(1), "SIZE"},
			{arrives("00000000"), "offer of 0"},
			{writes(wire.Accept), "OK"},
			{parses("fd"), "deferred, 1 of 1 bytes"},
			{offers(1), "may not"},
			{parses(""), "payload 0 last, 0 of 0 bytes"},
			{offers(1), "SIZE"},
		}},
		{"one after another, each with a message of its own", []line{
			{offers(1), "SIZE"},
			{arrives("00000001"), "offer of 1"},
			{writes(wire.Accept), "OK"},
			{arrives("fd 00 00000001"), "deferred, payload 1 last, offer of 1"},
			{offers(1), "SIZE"},
			{writes(wire.Accept), "OK"},
			{arrives("fd 00"), "deferred, payload 1 last"},
			{offers(1), "SIZE"},
			{arrives("ff"), "accepted"},
		}},
		{"not from a peer that has nothing of ours to wait for", []line{
			{offers(1), "SIZE"},
			{arrives("fd"), "CONFLICT without a payload owed"},
		}},
		{"not from a peer whose offer has no answer", []line{
			{offers(1), "SIZE"},
			{arrives("00000001"), "offer of 1"},
			{arrives("fd"), "CONFLICT without a payload owed"},
		}},
		{"not behind the payload", []line{
			{arrives("00000001"), "offer of 1"},
			{writes(wire.Accept), "OK"},
			{offers(1), "SIZE"},
			{arrives("00 fd"), "payload 1 last, CONFLICT without a payload owed"},
		}},
	})
}
