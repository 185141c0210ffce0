package tinytest

import (
	"fmt"
	"strings"
	"time"
)

// Op says what an [Event] is.
type Op string

// The operations. Those of a link concern all its connections.
const (
	OpDial       Op = "dial"        // At was connected to Peer, which may yet have to accept it
	OpAccept     Op = "accept"      // At accepted the connection of Peer
	OpRefuse     Op = "refuse"      // a Dial of At to Peer was refused
	OpWrite      Op = "write"       // At wrote N bytes, or as many of a Write found room
	OpRead       Op = "read"        // At read N bytes
	OpEnd        Op = "end"         // At read the end of the stream
	OpCloseWrite Op = "close write" // At ended its stream
	OpCut        Op = "cut"         // the network ended the stream of At: Link.CloseWrite
	OpClose      Op = "close"       // At closed the connection
	OpBreak      Op = "break"       // At lost the connection: Err says why
	OpStall      Op = "stall"       // a link: nothing moves in Direction for the time D
	OpPartition  Op = "partition"   // a link: nothing moves in Direction
	OpHeal       Op = "heal"        // a link: all moves again
	OpReset      Op = "reset"       // a link: its connections are reset
	OpRefusing   Op = "refusing"    // a link: new connections are refused
	OpAccepting  Op = "accepting"   // a link: they no longer are
	OpConditions Op = "conditions"  // a link: Conditions are the new ones
)

// Event is something that happened in a [Network].
type Event struct {
	Time time.Time
	Op   Op
	At   string // address of the end, or dialling name of the link
	Peer string // address of the other end, or listening name of the link
	N    int    // bytes, of OpWrite and OpRead

	// Head is the beginning of what was written or read, at most 16 bytes.
	Head []byte

	Err        error         // of OpBreak
	D          time.Duration // of OpStall
	Direction  Direction     // of OpStall and OpPartition
	Conditions Conditions    // of OpConditions
}

// String describes the event in a line, without its time.
func (e Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s > %s: %s", e.At, e.Peer, e.Op)
	switch e.Op {
	case OpWrite, OpRead:
		fmt.Fprintf(&b, " %d [% x", e.N, e.Head)
		if e.N > len(e.Head) {
			b.WriteString(" ...")
		}
		b.WriteByte(']')
	case OpBreak:
		fmt.Fprintf(&b, ": %v", e.Err)
	case OpStall:
		fmt.Fprintf(&b, " %v for %v", e.Direction, e.D)
	case OpPartition:
		fmt.Fprintf(&b, " %v", e.Direction)
	case OpConditions:
		fmt.Fprintf(&b, " %+v", e.Conditions)
	}
	return b.String()
}

// headLen is how much of the data an event shows.
const headLen = 16

// trace tells whoever wants to know. mu is held.
func (n *Network) trace(e Event, data []byte) {
	if n.config.Trace == nil {
		return
	}
	e.Time = time.Now()
	e.N = len(data)
	e.Head = append([]byte(nil), data[:min(len(data), headLen)]...)
	n.config.Trace(e)
}
