package conn_test

import (
	"testing"
	"testing/synctest"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/wire"
)

// pipelinedState is what a connection in pipelined mode may be doing when it ends.
type pipelinedState struct {
	endState
	theirs  wire.Terms // zero is generous
	inDoubt bool       // the message of stage.send is on its way
}

var (
	idlePipelined = pipelinedState{endState: idle}

	answeredPipelined = pipelinedState{endState: endState{
		name: "all answered",
		reach: func(s *stage) {
			s.queue("last")
			s.peer.hears(dataOf("last")...)
			s.peer.says(ok)
		},
	}}
	unansweredPipelined = pipelinedState{endState: endState{
		name:    "messages unanswered",
		options: conn.Options{OutboxBuffer: 2},
		reach: func(s *stage) {
			s.send("sent")
			s.peer.hears(dataOf("sent")...)
			s.queue("second", "third")
			s.peer.hears(dataOf("second", "third")...)
		},
		unsent: []string{"second", "third"},
	}, inDoubt: true}
	noWindow = pipelinedState{endState: endState{
		name:    "no window",
		options: conn.Options{OutboxBuffer: 3},
		reach: func(s *stage) {
			s.queue("first")
			s.peer.hears(dataOf("first")...)
			s.send("sent")
			synctest.Wait()
			s.queue("second", "third")
		},
		unsent: []string{"first", "second", "third"},
	}, theirs: wire.Terms{MaxMessage: 100, WindowMessages: 1, WindowBytes: 100}}
	writingPipelined = pipelinedState{endState: endState{
		name:    "the peer does not read a message",
		options: conn.Options{OutboxBuffer: 2},
		reach: func(s *stage) {
			s.queue(large, "second")
			s.peer.hears(append(offerOf(len(large)), large[0])...)
			s.send("sent")
		},
		unsent: []string{large, "second"},
	}}
	readingPipelined = pipelinedState{endState: endState{
		name:  "in the middle of a message of the peer",
		reach: func(s *stage) { s.peer.says(dataOf("half a message")[:8]...) },
	}}
	fullPipelined = pipelinedState{endState: endState{
		name:    "Inbox full",
		options: conn.Options{InboxBuffer: 2},
		reach: func(s *stage) {
			s.peer.says(dataOf("first", "second", "third", "fourth")...)
			s.peer.hears(ok, ok)
		},
		inbox: []string{"first", "second"},
		held:  []string{"third", "fourth"},
	}}
	saidBye = pipelinedState{endState: endState{
		name: "BYE said, and all answered",
		reach: func(s *stage) {
			s.send("sent")
			s.peer.hears(dataOf("sent")...)
			s.peer.says(ok)
			<-s.sent
			s.sent = nil
			close(s.c.Outbox())
			s.peer.hears(bye)
		},
	}}
	saidByeUnanswered = pipelinedState{endState: endState{
		name:    "BYE said, and a message unanswered",
		options: conn.Options{OutboxBuffer: 1},
		reach: func(s *stage) {
			s.queue("last")
			s.peer.hears(dataOf("last")...)
			close(s.c.Outbox())
			s.peer.hears(bye)
		},
		unsent: []string{"last"},
	}}
	heardBye = pipelinedState{endState: endState{
		name:    "the peer's BYE read, and a message unanswered",
		options: conn.Options{OutboxBuffer: 1},
		reach: func(s *stage) {
			s.queue("last")
			s.peer.hears(dataOf("last")...)
			s.peer.says(bye)
		},
		unsent: []string{"last"},
	}}
	heardByeFull = pipelinedState{endState: endState{
		name: "the peer's BYE read, and a message not taken",
		reach: func(s *stage) {
			s.peer.says(append(dataOf("first"), bye)...)
		},
		held: []string{"first"},
	}}
	saidByesUnanswered = pipelinedState{endState: endState{
		name:    "both BYEs said, and a message unanswered",
		options: conn.Options{OutboxBuffer: 1},
		reach: func(s *stage) {
			s.queue("last")
			s.peer.hears(dataOf("last")...)
			close(s.c.Outbox())
			s.peer.hears(bye)
			s.peer.says(bye)
		},
		unsent: []string{"last"},
	}}
	saidByes = pipelinedState{endState: endState{
		name: "both BYEs said",
		reach: func(s *stage) {
			s.peer.says(bye)
			close(s.c.Outbox())
			s.peer.hears(bye)
		},
	}}
)

// stage is a connection in that state.
func (state pipelinedState) stage(t *testing.T) *stage {
	nc, peer := memPair(t, 1<<10)
	theirs := state.theirs
	if theirs == (wire.Terms{}) {
		theirs = generous
	}
	s := newPipelined(t, nc, peer, state.options, theirs)
	state.reach(s)
	synctest.Wait()
	return s
}

var pipelinedStates = []pipelinedState{idlePipelined, answeredPipelined, unansweredPipelined, noWindow, writingPipelined,
	readingPipelined, fullPipelined, saidBye, saidByeUnanswered, heardBye, heardByeFull, saidByesUnanswered, saidByes}
