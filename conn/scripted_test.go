package conn_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/transcript"
	"github.com/tinyproto-go/tinyproto/wire"
)

// patience bounds what would otherwise hang when the library is broken.
const patience = 20 * time.Second

// checkError compares err with what it has to match, all of it: an error type
// that knows something by what it knows, anything else with errors.Is. Nothing
// to match means that err has to be nil.
func checkError(t testing.TB, err error, want ...error) {
	t.Helper()
	if len(want) == 0 && err != nil {
		t.Errorf("error %q, expected none", err)
	}
	for _, w := range want {
		diff := ""
		switch w := w.(type) {
		case *wire.ProtocolError:
			diff = diffError(err, w)
		case *wire.IncompleteError:
			// Its text is exactly those fields that mean something.
			diff = diffError(err, w, cmp.Comparer(func(a, b *wire.IncompleteError) bool { return a.Error() == b.Error() }))
		case *wire.HelloError:
			diff = diffError(err, w)
		case *conn.StallError:
			diff = diffError(err, w, cmpopts.IgnoreFields(conn.StallError{}, "State"))
		default:
			if !errors.Is(err, w) {
				diff = fmt.Sprintf("-%v", w)
			}
		}
		if diff != "" {
			t.Errorf("error %v\ndoes not match %T (-want +got):\n%s", err, w, diff)
		}
	}
}

func diffError[E error](err error, want E, opts ...cmp.Option) string {
	got, ok := errors.AsType[E](err)
	if !ok {
		return fmt.Sprintf("-%#v", want)
	}
	return cmp.Diff(want, got, opts...)
}

// summary shows short bytes as they are and long ones by their hash, in the
// way of the transcripts, so that a difference stays readable.
func summary(p []byte) string {
	if len(p) <= 1024 {
		return fmt.Sprintf("%x", p)
	}
	return fmt.Sprintf("@%d:sha256:%x", len(p), sha256.Sum256(p))
}

func summaries(messages [][]byte) []string {
	all := []string{}
	for _, m := range messages {
		all = append(all, summary(m))
	}
	return all
}

type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// A step is a run of bytes that one of two ends writes, or its end of stream.
type step struct {
	mine bool // the Conn's
	data []byte
	end  transcript.End
}

// An item is a step that is exactly one item of the protocol, or a piece of
// one where the recording ends inside.
type item struct {
	step
	kind itemKind
	// then is what the Conn's application does about it.
	then []action
}

type itemKind uint8

const (
	itemHello itemKind = iota
	itemOffer
	itemAnswer
	itemPayload
	itemEnd
)

// An action of the application: to send a message, to expect one, or to end.
type action struct {
	kind actionKind
	msg  *message
	gate chan struct{} // closed when the peer has come to this point
}

type actionKind uint8

const (
	toSend actionKind = iota
	toReceive
	toShutdown
	toClose
)

type message struct {
	size uint32
	body []byte // as much of it as was written
}

func (m *message) complete() bool { return uint64(len(m.body)) == uint64(m.size) }

// sent is the message as an application would send it: what the recording
// lacks of it is zero.
func (m *message) sent() []byte {
	return append(bytes.Clone(m.body), make([]byte, int(m.size)-len(m.body))...)
}

// talker is how far one end has come in its stream.
type talker struct {
	greeted    bool
	size       []byte // the beginning of a size
	messages   []*message
	unanswered int // offers without an answer
	accepted   int // offers that were answered OK
	received   int // messages that this end's application has seen
}

// inside reports whether the payload of the newest message is incomplete.
func (k *talker) inside() bool {
	n := len(k.messages)
	return n > 0 && !k.messages[n-1].complete()
}

// dissect takes a session apart. It is a parser of its own and knows less than
// package wire does: sections 2 and 3 of PROTOCOL.md, and that a legacy end may
// write a payload before its offer was answered.
func dissect(steps []step) []item {
	var items []item
	me, peer := &talker{}, &talker{}
	for _, s := range steps {
		if s.end != transcript.NoEnd {
			it := item{step: s, kind: itemEnd}
			if s.mine {
				kind := toShutdown
				if s.end == transcript.RST {
					kind = toClose
				}
				it.then = []action{{kind: kind, gate: make(chan struct{})}}
			}
			items = append(items, it)
			continue
		}
		from, to := me, peer
		if !s.mine {
			from, to = peer, me
		}
		for p := s.data; len(p) > 0; {
			n, it := 1, item{}
			signal := p[0] > wire.MaxSize>>24 && to.unanswered > 0 && len(from.size) == 0
			switch {
			case !from.greeted:
				it.kind, from.greeted = itemHello, true
			case from.inside() && (from.unanswered == 0 || !signal):
				m := from.messages[len(from.messages)-1]
				it.kind, n = itemPayload, int(min(int64(len(p)), int64(m.size)-int64(len(m.body))))
				m.body = append(m.body, p[:n]...)
			case signal:
				it.kind = itemAnswer
				to.unanswered--
				if p[0] == byte(wire.OK) {
					to.accepted++
				}
			default:
				it.kind, n = itemOffer, min(len(p), wire.SizeLen-len(from.size))
				if from.size = append(from.size, p[:n]...); len(from.size) < wire.SizeLen {
					break
				}
				m := &message{size: binary.BigEndian.Uint32(from.size)}
				from.size, from.messages = nil, append(from.messages, m)
				from.unanswered++
				if s.mine {
					it.then = []action{{kind: toSend, msg: m, gate: make(chan struct{})}}
				}
			}
			for k := peer; k.received < k.accepted && k.messages[k.received].complete(); k.received++ {
				it.then = append(it.then, action{kind: toReceive, msg: k.messages[k.received]})
			}
			it.step = step{mine: s.mine, data: p[:n:n]}
			items = append(items, it)
			p = p[n:]
		}
	}
	return items
}

// orderly moves the peer's items up to where a Conn needs them. A legacy end
// sends before it was greeted and writes a payload before it was told to; a
// Conn that plays this end waits for both. The bytes of either direction and
// their order are the same.
func orderly(items []item) []step {
	var steps []step
	left := items
	greeted, unanswered := false, 0
	for len(left) > 0 {
		next := left[0]
		if next.mine && (next.kind != itemHello && !greeted || (next.kind == itemOffer || next.kind == itemPayload) && unanswered > 0) {
			for i, it := range left {
				if !it.mine {
					// The peer's next item goes first.
					next, left = it, append(append([]item{it}, left[:i]...), left[i+1:]...)
					break
				}
			}
		}
		switch {
		case !next.mine && next.kind == itemHello:
			greeted = true
		case !next.mine && next.kind == itemAnswer:
			unanswered--
		case next.mine && next.kind == itemOffer:
			unanswered++
		}
		steps = append(steps, next.step)
		left = left[1:]
	}
	return steps
}
