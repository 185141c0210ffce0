package wire_test

import (
	"testing"

	"github.com/tinyproto-go/tinyproto/wire"
)

func TestByeIsTheLastWordButForAnswers(t *testing.T) {
	performAll(t, []pipelineTest{
		{"behind ours no message may be sent, not even an empty one", []scene{
			{saysBye, "BYE"},
			{sends(1), "may not"},
			{sends(0), "may not"},
		}},
		{"ours leaves the peer free to send", []scene{
			{saysBye, "BYE"},
			{comes("00000001 61 00000000"), "data of 1, payload 1 last, data of 0, payload 0 last"},
			{answers, "1 owed"},
			{answers, "0 owed"},
		}},
		{"ours leaves the answers to what we sent due", []scene{
			{sends(1), "DATA"},
			{sends(2), "DATA"},
			{saysBye, "BYE"},
			{comes("ff fc"), "accepted 1, refused 2"},
			{sends(1), "may not"},
		}},
		{"behind the peer's there is no message", []scene{
			{comes("f4"), "BYE"},
			{comes("00000001"), wire.DataAfterBye.String()},
		}},
		{"nor an empty one, nor the beginning of one", []scene{
			{comes("f4"), "BYE"},
			{comes("00"), wire.DataAfterBye.String()},
		}},
		{"behind the peer's there may be answers, PING and PONG", []scene{
			{sends(1), "DATA"},
			{sends(2), "DATA"},
			{pings, "PING"},
			{comes("f4 ff f2 f3 fc"), "BYE, accepted 1, PING, PONG, refused 2"},
		}},
		{"the peer's leaves us free to send", []scene{
			{comes("f4"), "BYE"},
			{sends(1), "DATA"},
			{comes("ff"), "accepted 1"},
		}},
		{"the peer's leaves our answers due", []scene{
			{comes("00000001 61 f4"), "data of 1, payload 1 last, BYE"},
			{answers, "0 owed"},
		}},
		{"the peer says it once", []scene{
			{comes("f4"), "BYE"},
			{comes("f4"), wire.SecondBye.String()},
		}},
		{"in a payload it is payload", []scene{
			{comes("00000002 f4"), "data of 2, payload 1"},
			{comes("f4 f4"), "payload 1 last, BYE"},
		}},
		{"both may say it at once", []scene{
			{saysBye, "BYE"},
			{comes("f4"), "BYE"},
		}},
		{"a liveness check goes on behind both", []scene{
			{saysBye, "BYE"},
			{comes("f4"), "BYE"},
			{pings, "PING"},
			{comes("f3 f2"), "PONG, PING"},
			{pongs, "PONG"},
		}},
	})
}

func TestByesSaysWhoHasSaidIt(t *testing.T) {
	for _, tt := range []struct {
		events       []event
		ours, theirs bool
	}{
		{nil, false, false},
		{[]event{saysBye}, true, false},
		{[]event{comes("f4")}, false, true},
		{[]event{saysBye, comes("f4")}, true, true},
	} {
		ours, theirs := after(tt.events...).Byes()
		if ours != tt.ours || theirs != tt.theirs {
			t.Errorf("after %d events: Byes = %v, %v", len(tt.events), ours, theirs)
		}
	}
}

func TestAPingIsAnsweredByAPongAndOneIsPending(t *testing.T) {
	performAll(t, []pipelineTest{
		{"ours: none before the answer to the last", []scene{
			{pings, "PING"},
			{pings, "may not"},
			{comes("f3"), "PONG"},
			{pings, "PING"},
		}},
		{"ours: it is not answered by other signs of life", []scene{
			{sends(1), "DATA"},
			{pings, "PING"},
			{comes("ff 00000001 61 f2"), "accepted 1, data of 1, payload 1 last, PING"},
			{pings, "may not"},
		}},
		{"the peer's: none before our answer to the last", []scene{
			{comes("f2"), "PING"},
			{comes("f2"), wire.SecondPing.String()},
		}},
		{"the peer's: another one behind our answer", []scene{
			{comes("f2"), "PING"},
			{pongs, "PONG"},
			{comes("f2"), "PING"},
		}},
		{"the peer's: other items behind it are fine", []scene{
			{sends(1), "DATA"},
			{comes("f2 ff 00000001 61 f4"), "PING, accepted 1, data of 1, payload 1 last, BYE"},
			{pongs, "PONG"},
		}},
		{"both at once", []scene{
			{pings, "PING"},
			{comes("f2"), "PING"},
			{pongs, "PONG"},
			{comes("f3"), "PONG"},
		}},
		{"a PONG that nobody asked for", []scene{
			{comes("f3"), wire.UnaskedPong.String()},
		}},
		{"a second PONG", []scene{
			{pings, "PING"},
			{comes("f3 f3"), "PONG, " + wire.UnaskedPong.String()},
		}},
		{"the peer's PING asks for no PONG of its own", []scene{
			{comes("f2"), "PING"},
			{comes("f3"), wire.UnaskedPong.String()},
		}},
		{"a full window is no matter", []scene{
			{sends(wire.MaxSize), "DATA"},
			{sends(1), "may not"},
			{pings, "PING"},
		}},
	})
}

func TestAnAnswerNeedsAMessageOfOurs(t *testing.T) {
	performAll(t, []pipelineTest{
		{"OK to nothing", []scene{{comes("ff"), wire.UnaskedAnswer.String()}}},
		{"TOO_LARGE to nothing", []scene{{comes("fc"), wire.UnaskedAnswer.String()}}},
		{"one answer too many", []scene{
			{sends(1), "DATA"},
			{comes("ff ff"), "accepted 1, " + wire.UnaskedAnswer.String()},
		}},
		{"one TOO_LARGE too many", []scene{
			{sends(1), "DATA"},
			{comes("fc fc"), "refused 1, " + wire.UnaskedAnswer.String()},
		}},
		{"a message of the peer's is none of ours", []scene{
			{comes("00000001 61"), "data of 1, payload 1 last"},
			{comes("ff"), wire.UnaskedAnswer.String()},
		}},
		{"CONFLICT is no answer here", []scene{
			{sends(1), "DATA"},
			{comes("fd"), wire.UnknownItem.String()},
		}},
		{"nor is a second hello of a server that is full", []scene{
			{sends(1), "DATA"},
			{comes("fe"), wire.UnknownItem.String()},
		}},
		{"nor is a second request for pipelined mode an item", []scene{
			{comes("f1545002"), wire.UnknownItem.String()},
		}},
	})
}
