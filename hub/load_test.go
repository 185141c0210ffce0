package hub_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/hub"
)

// How a life ends, by its number.
type ending int

const (
	peerShutsDown ending = iota
	askedToLeave         // it says so, and the hub calls Leave
	thrownOut            // it says so, and the hub calls Close
	peerCloses
	peerResets // while it sends something large
	staysOn    // until the hub ends
	stopsReading
	endings
)

// endOf deals the ends out: most by far are graceful, and few stop reading.
func endOf(number int) ending {
	if number%40 == 0 {
		return stopsReading
	}
	return ending(number) % stopsReading
}

// exact reports whether both ends must agree on what was delivered. Otherwise
// one message may be in doubt: written and not read, or read and given up. In
// pipelined mode those may be that were received and whose answers did not arrive.
func (e ending) exact() bool {
	return e == peerShutsDown || e == askedToLeave || e == staysOn
}

const (
	livesAtOnce = 2000
	livesInAll  = 2600
	thingsToSay = 3
	roomSize    = 10
)

var errThrownOut = errors.New("thrown out")

// life is one member from the point of view of its peer.
type life struct {
	number   int
	conn     *conn.Conn
	nc       net.Conn
	sent     int           // messages that the hub accepted
	received int           // final once over is closed
	welcomed chan struct{} // closed when the first message was answered
	over     chan struct{} // closed when nothing more will be received
	trouble  error
}

// crowd is the program around the hub: what it does with events.
type crowd struct {
	h *hub.Hub

	// Owned by the loop over events until the hub has ended.
	lives map[int]*registered // by number
	heard int                 // messages
	peak  int                 // members at once

	ticks chan struct{} // each has somebody else broadcast
}

type registered struct {
	member *hub.Member
	said   int
	left   bool
	err    error
}

// Go raises the limit of open files as far as it may; this needs about 4,100.
func TestEveryCountOf2000MembersThatComeAndGoAddsUp(t *testing.T) {
	eachMode(t, testEveryCountOf2000MembersThatComeAndGoAddsUp)
}

func testEveryCountOf2000MembersThatComeAndGoAddsUp(t *testing.T) {
	h := hub.New(&hub.Options{Grace: time.Minute}) // a busy machine is no slow member
	c := &crowd{h: h, lives: map[int]*registered{}, ticks: make(chan struct{}, livesInAll)}
	hubCtx, endHub := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(hubCtx) }() // ends with hubCtx
	looped := make(chan struct{})
	go func() { // ends with the hub
		defer close(looped)
		c.loop(t)
	}()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serverCtx, endServer := context.WithCancel(context.Background()) // it must not end before the hub
	server := tinyproto.Server{Handler: hub.Handler(h), Logger: slog.New(slog.DiscardHandler)}
	server.MaxHellos = -1 // all greet at once
	served := make(chan error, 1)
	go func() { served <- server.Serve(serverCtx, l) }() // ends with serverCtx
	ticked := make(chan struct{})
	go func() { // ends when ticks is closed
		defer close(ticked)
		n := 0
		for range c.ticks { // races the loop over events
			n++
			h.BroadcastWhere(hubCtx, fmt.Appendf(nil, "tick %d", n), func(m *hub.Member) bool { return m.ID()[0] == 'A'+byte(n%26) })
		}
	}()

	lives := make([]*life, livesInAll)
	room := make(chan struct{}, livesAtOnce)
	var welcomed, done sync.WaitGroup
	welcomed.Add(livesAtOnce)
	for number := range lives {
		room <- struct{}{}
		v := &life{number: number, welcomed: make(chan struct{}), over: make(chan struct{})}
		lives[number] = v
		done.Go(func() { // ends with the life, but for those that stay on
			defer func() { <-room }()
			nc, err := net.Dial("tcp", l.Addr().String())
			if err == nil {
				v.nc = nc
				v.conn, err = conn.New(context.Background(), nc, asking(nil))
			}
			if err != nil {
				t.Error(err)
				close(v.over)
				if number < livesAtOnce {
					welcomed.Done()
				}
				return
			}
			go v.receive() // ends with the connection
			v.say("life %d", number)
			select {
			case <-v.welcomed:
			case <-v.conn.Done():
			}
			if number < livesAtOnce { // so many there are at the same time, before the first leaves
				welcomed.Done()
				welcomed.Wait()
			}
			v.live()
		})
	}
	done.Wait()
	if s := h.Stats(); s.Joined != livesInAll {
		t.Errorf("%d have joined, expected %d", s.Joined, livesInAll)
	}
	// Those who stopped reading stay until they are evicted.
	for stuck := true; stuck; {
		n, err := h.BroadcastRoom(hubCtx, "stuck", []byte("for you 0"))
		stuck = n > 0 && err == nil
	}
	close(c.ticks)
	<-ticked
	endHub()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	<-looped
	endServer()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	for _, v := range lives {
		<-v.over
		if v.conn != nil {
			v.conn.Close()
		}
	}
	c.check(t, lives)
}

// loop is the program: it answers, broadcasts to rooms and to all, and has
// members leave.
func (c *crowd) loop(t *testing.T) {
	ctx := t.Context()
	numbers := map[*hub.Member]int{}
	sequence := 0
	for e := range c.h.Events() {
		switch e.Kind {
		case hub.Joined:
			numbers[e.Member] = -1
			c.peak = max(c.peak, len(numbers))
		case hub.Left:
			number, ok := numbers[e.Member]
			if !ok {
				t.Error("somebody left twice, or never joined")
			}
			delete(numbers, e.Member)
			if number >= 0 {
				r := c.lives[number]
				r.left, r.err = true, e.Err
			}
		case hub.Message:
			c.heard++
			sequence++
			number, ok := numbers[e.Member]
			if !ok {
				t.Errorf("%q comes from one who is not there", e.Body)
				continue
			}
			var k int
			switch {
			case number < 0:
				if _, err := fmt.Sscanf(string(e.Body), "life %d", &number); err != nil {
					t.Errorf("%q comes first", e.Body)
					continue
				}
				numbers[e.Member] = number
				c.lives[number] = &registered{member: e.Member, said: 1}
				e.Member.Enter(fmt.Sprint(number / roomSize))
				if endOf(number) == stopsReading {
					e.Member.Enter("stuck")
				}
				if err := c.h.Send(ctx, e.Member.ID(), []byte("welcome 0")); err != nil && endOf(number).exact() {
					t.Errorf("welcome: %v", err)
				}
				continue
			case string(e.Body) == "leave":
				e.Member.Leave()
			case string(e.Body) == "throw me out":
				e.Member.Close(errThrownOut)
			default:
				if _, err := fmt.Sscanf(string(e.Body), "thing %d", &k); err == nil && k != c.lives[number].said {
					t.Errorf("life %d: thing %d comes as message %d", number, k, c.lives[number].said)
				}
			}
			c.lives[number].said++
			if sequence%1000 == 0 {
				c.h.Broadcast(ctx, fmt.Appendf(nil, "all %d", sequence))
			} else {
				c.h.BroadcastRoom(ctx, fmt.Sprint(number/roomSize), fmt.Appendf(nil, "room %d", sequence), e.Member)
			}
			if sequence%10 == 0 {
				select {
				case c.ticks <- struct{}{}:
				default:
				}
			}
		}
	}
}

func (v *life) say(format string, args ...any) {
	if v.conn.Send(context.Background(), fmt.Appendf(nil, format, args...)) == nil {
		v.sent++
	}
}

// live says what there is to say, and ends as is its lot.
func (v *life) live() {
	for i := range thingsToSay {
		v.say("thing %d", i+1)
	}
	switch endOf(v.number) {
	case peerShutsDown:
		v.conn.Shutdown(context.Background())
	case askedToLeave:
		v.say("leave")
		<-v.conn.Done()
	case thrownOut:
		v.say("throw me out")
		<-v.conn.Done()
	case peerCloses:
		v.conn.Close()
	case peerResets:
		sent := make(chan struct{})
		go func() { // ends with the reset
			defer close(sent)
			v.conn.Send(context.Background(), make([]byte, 4<<20))
		}()
		v.nc.(*net.TCPConn).SetLinger(0)
		v.nc.Close()
		<-sent
		v.conn.Close()
	}
}

// receive counts what comes. Of each kind, all that a life receives comes in
// the order in which it was sent.
func (v *life) receive() {
	defer close(v.over)
	last := map[string]int{}
	for msg := range v.conn.Inbox() {
		v.received++
		var kind string
		var n int
		fmt.Sscanf(string(msg), "%s %d", &kind, &n)
		if n <= last[kind] && n > 0 { // those that are not numbered have 0
			v.trouble = fmt.Errorf("%q comes after %d", msg, last[kind])
		}
		last[kind] = n
		if kind == "welcome" {
			close(v.welcomed)
			if endOf(v.number) == stopsReading {
				<-v.conn.Done() // and then it takes what had arrived
			}
		}
	}
}

// check compares what the hub counted with what the lives did.
func (c *crowd) check(t *testing.T, lives []*life) {
	var members []*hub.Member
	var received, delivered, doubts, evicted int
	for _, v := range lives {
		r := c.lives[v.number]
		if r == nil {
			t.Fatalf("nobody heard of life %d", v.number)
		}
		members = append(members, r.member)
		s := r.member.Stats()
		e := endOf(v.number)
		doubt := int(s.Delivered) - v.received
		unheard := v.sent - r.said
		switch {
		case e == peerResets && unheard >= -1 && unheard <= 1, e == peerCloses && (unheard == 0 || unheard == 1):
		case inPipelined() && e == thrownOut && unheard == -1: // which is the answer
		case unheard != 0:
			t.Errorf("life %d: %d messages were accepted, %d were heard (end %d)", v.number, v.sent, r.said, e)
		}
		least, most := -1, 1
		if inPipelined() {
			least, most = -int(s.Undelivered), 0
		}
		if doubt != 0 && (e.exact() || doubt < least || doubt > most) {
			t.Errorf("life %d: %d messages were received, %d delivered (end %d, %v): %+v", v.number, v.received, s.Delivered, e, r.err, s)
		}
		if v.trouble != nil {
			t.Errorf("life %d: %v", v.number, v.trouble)
		}
		if !r.left || r.err != r.member.Err() {
			t.Errorf("life %d left: %v, %v; its error is %v", v.number, r.left, r.err, r.member.Err())
		}
		switch {
		case e == stopsReading && !errors.Is(r.err, hub.ErrEvicted), e == thrownOut && r.err != errThrownOut,
			e == peerShutsDown && r.err != nil && !errors.Is(r.err, io.ErrUnexpectedEOF), // it need not answer an offer after its end
			(e == askedToLeave || e == staysOn) && r.err != nil:
			t.Errorf("life %d: end %d with %v", v.number, e, r.err)
		}
		received += v.received
		delivered += int(s.Delivered)
		if doubt != 0 {
			doubts++
		}
		if e == stopsReading {
			evicted++
		}
	}
	if c.peak < livesAtOnce {
		t.Errorf("at most %d members at once, expected %d", c.peak, livesAtOnce)
	}
	reconcile(t, c.h, members)
	s := c.h.Stats()
	if int(s.Received) != c.heard || s.Unheard != 0 || int(s.Evicted) != evicted || int(s.Delivered) != delivered {
		t.Errorf("%d messages were heard, %d evicted, %d delivered; the hub counted %+v", c.heard, evicted, delivered, s)
	}
	t.Logf("%d messages delivered, %d received, %d ends in doubt; %+v", delivered, received, doubts, s)
}
