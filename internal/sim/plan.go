package main

import (
	"time"

	"github.com/tinyproto-go/tinyproto/hub"
	"github.com/tinyproto-go/tinyproto/tinytest"
)

// plan is all that a seed decides about a run. It is drawn before the run
// begins, so nothing that happens in the run changes it.
type plan struct {
	seed     uint64
	topology topology
	gentle   bool          // no faults, and an end that must lose nothing
	limit    time.Duration // when the context of everything ends
	network  tinytest.Conditions
	clients  []*clientPlan
	faults   []faultPlan
	probes   []time.Duration // when to look at the memory that is used

	server serverPlan
	hub    hubPlan
	relay  relayPlan
}

type topology string

const (
	pairTopology   topology = "pair"   // one connection, without a server
	serverTopology topology = "server" // a server and its clients
	hubTopology    topology = "hub"    // a hub and its members
	relayTopology  topology = "relay"  // a client, a relay, and the server behind it
)

// clientPlan is a client with what serves it.
type clientPlan struct {
	name   string
	start  time.Duration // when it dials
	dialer *endPlan
	served *endPlan // the accepted end; with a relay, the one at the far side
}

// endPlan is one end of a connection and its application.
type endPlan struct {
	name     string
	number   int // of the sender, in its messages
	options  optionsPlan
	sender   senderPlan
	receiver receiverPlan
	finish   finishPlan
}

type optionsPlan struct {
	inbox, outbox int
	maxMessage    int // 0: the default
	maxRefused    int
	grace         time.Duration
	stallTimeout  time.Duration
	answerTimeout time.Duration
	streamFrom    int  // messages of so many bytes and more go into a Writer; 0: none
	failingWriter int  // each so-manieth Writer fails; 0: none
	refuseEvery   int  // each so-manieth offer is refused; 0: none
	transforms    bool // on both ends of a connection
	slowWriter    time.Duration
	closeInDone   int // the so-manieth Done calls Close; 0: none

	pipelined      bool // of an end that dials: it asks for pipelined mode
	classic        bool // of an accepted end: it refuses that, and the other dials again
	windowMessages int  // 0: the default, as of the following
	windowBytes    int
	peerTimeout    time.Duration

	hold time.Duration // HoldOffers, until it calls SetAccept after so long; 0: not held
}

// way is how a message is sent.
type way string

const (
	byOutbox   way = "Outbox"
	bySend     way = "Send"
	bySendFrom way = "SendFrom"
)

type senderPlan struct {
	producers []producerPlan
	echo      bool // sends back what it receives, by way
	way       way
	request   bool // awaits a reply to each message
}

// producerPlan is a goroutine that sends.
type producerPlan struct {
	messages []messagePlan
	think    time.Duration // between messages
	patience time.Duration // of each Send; 0: without a bound
}

type messagePlan struct {
	way    way
	size   int
	failAt int           // of a SendFrom: where its Reader fails; -1: nowhere
	pause  time.Duration // of a SendFrom: before each Read
}

type receiverPlan struct {
	how       receiving
	think     time.Duration // after each message
	stopAfter int           // so many messages; -1: never
}

type receiving string

const (
	byRange    receiving = "range Inbox"
	byReceive  receiving = "Receive"
	byMessages receiving = "Messages"
)

// finishPlan is how an end ends its connection, and when.
type finishPlan struct {
	kind      finish
	afterWork bool          // when all was sent, and received what is due
	at        time.Duration // otherwise, from its beginning
	within    time.Duration // of finishWithin
	again     bool          // something else ends it at the same moment, too
}

type finish string

const (
	finishNever    finish = "never"
	finishShutdown finish = "Shutdown"
	finishWithin   finish = "Shutdown within"
	finishClose    finish = "Close"
	finishCancel   finish = "context"
	finishOutbox   finish = "close(Outbox)"
	finishReturn   finish = "return" // of a Handler, like the following
	finishError    finish = "return error"
	finishPanic    finish = "panic"
)

type serverPlan struct {
	maxConns int
	grace    time.Duration
	endAt    time.Duration // of its context; 0: with everything
}

type hubPlan struct {
	policy                     hub.Policy
	messages, bytes, events    int
	grace                      time.Duration
	think                      time.Duration // of the program, after each event
	leaveEvery, sendDirectEach int           // each so-manieth message makes its member leave or ends it, or is for one alone; 0: none
	serverOutlives             bool          // the connections end by the hub, not with it
	deafAfter                  int           // so many messages, the program takes no more events; 0: never
	announcements              int           // messages to all, besides those of the members
	announceEvery              time.Duration
}

type relayPlan struct {
	recorded bool // the relay is a loop of ours, not flow.Forward
	way      way
	near     optionsPlan // the accepted end at the relay
	far      optionsPlan // the dialled one
}

type faultPlan struct {
	at         time.Duration
	client     int // whose link
	far        bool
	kind       fault
	direction  tinytest.Direction
	duration   time.Duration // of a stall or partition; 0: it never heals
	conditions tinytest.Conditions
}

type fault string

const (
	faultStall      fault = "stall"
	faultPartition  fault = "partition"
	faultReset      fault = "reset"
	faultCloseWrite fault = "half-close"
	faultConditions fault = "conditions"
	faultRefuse     fault = "refuse"
)
