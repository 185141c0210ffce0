package wire_test

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tinyproto-go/tinyproto/wire"
)

// check compares the Pipeline with the accounts kept here, and these with what the
// other end has and what is on its way.
func (e *talker) check(other *talker) error {
	if err := e.checkBalance(other); err != nil {
		return err
	}
	if err := e.checkWindow(other.grants); err != nil {
		return err
	}
	if !isPrefix(e.accepted, other.delivered) || !isPrefix(e.refused, other.declined) {
		return fmt.Errorf("accepted %q of the delivered %q, refused %q of the declined %q", e.accepted, other.delivered, e.refused, other.declined)
	}
	insideSize := len(e.items) > 0 && e.items[0].what == "DATA" && !e.inside && e.items[0].left < wire.SizeLen+int(e.items[0].size)
	left, inside := e.pipe.Receiving()
	bye, peerBye := e.pipe.Byes()
	owed := len(e.owed)
	if e.inside {
		owed++
	}
	clean := e.peerBye && len(e.unanswered) == 0 && owed == 0 && !insideSize
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"Unanswered", e.pipe.Unanswered(), len(e.unanswered)},
		{"Owed", e.pipe.Owed(), owed},
		{"Receiving", inside, e.inside},
		{"the rest of Receiving", !inside || int(left) == e.items[0].left, true},
		{"InsideItem", e.pipe.InsideItem(), e.inside || insideSize},
		{"MayPing", e.pipe.MayPing(), !e.pinged},
		{"our BYE", bye, e.bye},
		{"the peer's BYE", peerBye, e.peerBye},
		{"Offset", e.pipe.Offset(), e.parsed},
		{"End is clean", e.pipe.End() == io.EOF, clean},
	} {
		if c.got != c.want {
			return fmt.Errorf("%s: %v, expected %v", c.name, c.got, c.want)
		}
	}
	if clean {
		return e.checkAgreement(other)
	}
	return nil
}

// checkBalance: what is unanswered here is, oldest first, what the answers on their
// way here are about, then those that the other end has given and not written, then
// what it owes, and then what is on its way there.
func (e *talker) checkBalance(other *talker) error {
	var sizes []uint32
	add := func(items []item, whats ...string) {
		for _, i := range items {
			if slices.Contains(whats, i.what) {
				sizes = append(sizes, i.size)
			}
		}
	}
	add(e.items, "OK", "TOO_LARGE")
	add(other.answers, "OK", "TOO_LARGE")
	sizes = append(sizes, sizesOf(other.owed)...)
	add(other.items, "DATA")
	if got := sizesOf(e.unanswered); !slices.Equal(got, sizes) {
		return fmt.Errorf("unanswered are %v, expected %v", got, sizes)
	}
	return nil
}

// checkWindow asserts that the window that the other grants is kept, and that its
// room is what MaySend says.
func (e *talker) checkWindow(w wire.Terms) error {
	used := int64(0)
	for _, size := range sizesOf(e.unanswered) {
		used += int64(size)
	}
	n := int64(len(e.unanswered))
	if n > 1 && (n > int64(w.WindowMessages) || used > int64(w.WindowBytes)) {
		return fmt.Errorf("%d messages of %d bytes are unanswered in a window of %+v", n, used, w)
	}
	for size := range uint32(20) {
		may := n == 0 || w.WindowBytes > 0 && n < int64(w.WindowMessages) && used+int64(size) <= int64(w.WindowBytes)
		if got := e.pipe.MaySend(size); got != (may && !e.bye) {
			return fmt.Errorf("MaySend(%d) = %v with %d messages of %d bytes in a window of %+v", size, got, n, used, w)
		}
	}
	return nil
}

// checkAgreement: at an end of this stream that is clean the other one needs no
// more than what was written, and its end is clean too.
func (e *talker) checkAgreement(other *talker) error {
	for _, i := range e.items {
		if i.what != "PING" && i.what != "PONG" {
			return fmt.Errorf("the end is clean with %v to come", e.items)
		}
	}
	if len(other.owed)+len(other.answers) > 0 || other.inside || !other.bye {
		return fmt.Errorf("the end is clean and the other end owes %q, has %d answers to write, is inside a message: %v, has said BYE: %v",
			other.owed, len(other.answers), other.inside, other.bye)
	}
	return nil
}

func isPrefix(some, all []string) bool {
	return len(some) <= len(all) && slices.Equal(some, all[:len(some)])
}

func sizesOf(messages []string) []uint32 {
	var sizes []uint32
	for _, msg := range messages {
		sizes = append(sizes, uint32(len(msg)))
	}
	return sizes
}

// finished says what is not delivered, or not settled, when nothing more can
// happen.
func (p *talk) finished() error {
	for i := range p {
		e, other := &p[i], &p[1-i]
		open := len(e.input) + len(e.items) + len(e.inbox) + len(e.answers) + len(e.app.queue) + len(e.app.later)
		if open > 0 || e.pinged || e.asked || e.pipe.End() != io.EOF {
			return fmt.Errorf("%w: %v", errDeadlock, p)
		}
		if !slices.Equal(e.accepted, other.delivered) || !slices.Equal(e.refused, other.declined) || !slices.Equal(other.delivered, other.app.taken) {
			return fmt.Errorf("the ends do not agree: %v", p)
		}
	}
	return nil
}

// String is what a failure shows: all that the future depends on.
func (p *talk) String() string {
	var b strings.Builder
	for i := range p {
		e := &p[i]
		fmt.Fprintf(&b, "\nend %d: grants %+v, refuses every %d, input %x %v, unanswered %q, owed %q, answers %v, arriving %q (%v)\n"+
			"\tpinged %v, asked %v, bye %v, peerBye %v, pings left %d, parsed %d\n"+
			"\taccepted %q, refused %q, inbox %q, application: queue %q, later %q, echo %d, taken %q",
			i, e.grants, e.picky, e.input, e.items, e.unanswered, e.owed, e.answers, e.arriving, e.inside,
			e.pinged, e.asked, e.bye, e.peerBye, e.pings, e.parsed,
			e.accepted, e.refused, e.inbox, e.app.queue, e.app.later, e.app.echo, e.app.taken)
	}
	return b.String()
}
