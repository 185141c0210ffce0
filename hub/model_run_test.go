package hub_test

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/hub"
)

var (
	seeds    = flag.Uint64("seeds", 2000, "how many games the model test plays")
	onlySeed = flag.Uint64("seed", 0, "the one game that it plays, as it printed it")
)

func TestAHubIsInEveryStateLikeItsModel(t *testing.T) {
	eachMode(t, testAHubIsInEveryStateLikeItsModel)
}

func testAHubIsInEveryStateLikeItsModel(t *testing.T) {
	first, last := uint64(1), *seeds
	if *onlySeed != 0 {
		first, last = *onlySeed, *onlySeed
	}
	var reached coverage
	for seed := first; seed <= last; seed++ {
		synctest.Test(t, func(t *testing.T) { play(t, seed, &reached) })
		if t.Failed() {
			t.Fatalf("again with: go test -run %s ./hub -seed %d", t.Name(), seed)
		}
	}
	if *onlySeed == 0 && reached != (coverage{true, true, true, true, true, true, true, true, true}) {
		t.Errorf("not all that matters was played: %+v", reached)
	}
}

// game is a hub, its model, and what was done to both.
type game struct {
	t       *testing.T
	rand    *rand.Rand
	h       *hub.Hub
	end     context.CancelFunc
	ended   chan error
	model   *model
	began   time.Time
	players []*player // in the order of model.members
	calls   map[*modelCall]chan answer
	log     []string
	told    gauges

	mu     sync.Mutex
	events map[*hub.Member][]string
}

// player is a member with its peer.
type player struct {
	m        *hub.Member
	peer     *conn.Conn
	appetite chan int
	took     []string // the test reads it while nothing moves
}

// answer is what a call returned.
type answer struct {
	queued int
	err    error
}

func play(t *testing.T, seed uint64, reached *coverage) {
	random := rand.New(rand.NewPCG(seed, 0))
	g := &game{t: t, rand: random, began: time.Now(), events: map[*hub.Member][]string{}, ended: make(chan error, 1),
		calls: map[*modelCall]chan answer{}}
	g.model = &model{reached: *reached, opts: hub.Options{
		Full:          hub.Policy(random.IntN(4)),
		QueueMessages: 1 + random.IntN(4),
		QueueBytes:    []int{60, 200}[random.IntN(2)],
		EventBuffer:   random.IntN(3),
		Grace:         time.Duration(1+random.IntN(10)) * time.Second,
	}}
	opts := g.model.opts
	opts.Observer = g.told.observer()
	g.h = hub.New(&opts)
	ctx, cancel := context.WithCancel(t.Context())
	g.end = cancel
	go func() { g.ended <- g.h.Run(ctx) }() // ends with ctx
	go g.listen()                           // ends with the hub
	for number := range 40 {
		what := g.step(number)
		g.log = append(g.log, what)
		g.sayByes()
		synctest.Wait()
		if !g.compare() {
			break
		}
	}
	if !t.Failed() {
		g.log = append(g.log, "the end")
		g.endHub()
		g.sayByes()
		g.sleep(g.model.opts.Grace)
		synctest.Wait()
		g.compare()
	}
	*reached = g.model.reached
	g.end()
	<-g.ended
	for _, p := range g.players {
		close(p.appetite)
		p.peer.Close()
	}
	if t.Failed() {
		t.Logf("options %+v, and then:\n%s", g.model.opts, strings.Join(g.log, "\n"))
	}
}

// sayByes has the peers of those who have left say BYE, as programs do. Classic mode
// does without.
func (g *game) sayByes() {
	for _, member := range g.model.byes {
		if inPipelined() {
			go sayBye(g.players[member.name].peer) // ends with the connection
		}
	}
	g.model.byes = nil
}

// listen keeps the events of each member.
func (g *game) listen() {
	for e := range g.h.Events() {
		what := e.Kind.String()
		switch e.Kind {
		case hub.Message:
			what += ": " + string(e.Body)
		case hub.Left:
			what += ": " + class(e.Err)
		}
		g.mu.Lock()
		g.events[e.Member] = append(g.events[e.Member], what)
		g.mu.Unlock()
	}
}

// step does something to the hub and its model, and returns what.
func (g *game) step(number int) string {
	choice := g.rand.IntN(100)
	if len(g.players) == 0 || choice < 8 && len(g.players) < 8 {
		return g.join()
	}
	i := g.rand.IntN(len(g.players))
	p, member := g.players[i], g.model.members[i]
	switch {
	case choice < 20:
		n := []int{0, 0, 1, 2, all}[g.rand.IntN(5)]
		p.appetite <- n
		member.appetite = n
		g.model.flow(member)
		return fmt.Sprintf("%d takes %d messages", i, n)
	case choice < 24:
		p.m.Leave()
		g.model.leave(member, nil)
		return fmt.Sprintf("%d leaves", i)
	case choice < 26:
		p.m.Close(errEndedByModel)
		g.model.leave(member, errEndedByModel)
		return fmt.Sprintf("%d is closed", i)
	case choice < 29:
		p.peer.Close()
		g.model.peerClosed(member)
		return fmt.Sprintf("%d's peer closes", i)
	case choice < 37:
		return g.say(i, number)
	case choice < 42:
		room := g.room()
		if entered := p.m.Enter(room); entered == member.gone {
			g.t.Errorf("entering as one that left: %v, returned %v", member.gone, entered)
		}
		if !member.gone {
			member.rooms[room] = true
		}
		return fmt.Sprintf("%d enters %s", i, room)
	case choice < 45:
		room := g.room()
		p.m.Exit(room)
		delete(member.rooms, room)
		return fmt.Sprintf("%d exits %s", i, room)
	case choice < 52:
		d := time.Duration(1+g.rand.IntN(3000)) * time.Millisecond
		g.sleep(d)
		return fmt.Sprintf("%v pass", d)
	case choice == 52:
		g.endHub()
		return "the end"
	}
	return g.send(number, i)
}

var rooms = []string{"hall", "garden", "cellar"}

func (g *game) room() string { return rooms[g.rand.IntN(len(rooms))] }

func (g *game) sleep(d time.Duration) {
	time.Sleep(d)
	g.model.advance(d)
}

func (g *game) endHub() {
	g.end()
	g.model.end()
}

func (g *game) join() string {
	maxMessage := []int{1000, 50}[g.rand.IntN(2)]
	own, theirs := pipePair()
	c, peer := greet(g.t, own, theirs, narrow(conn.Options{MaxMessage: uint32(maxMessage)}))
	m, err := g.h.Join(c)
	if joins := g.model.join(maxMessage); !joins {
		if class(err) != hub.ErrClosed.Error() {
			g.t.Errorf("join after the end: %v", err)
		}
		return "nobody can join any more"
	}
	if err != nil {
		g.t.Fatal(err)
	}
	p := &player{m: m, peer: peer, appetite: make(chan int)}
	g.players = append(g.players, p)
	go p.eat() // ends when appetite is closed
	return fmt.Sprintf("%d joins, and accepts %d bytes", len(g.players)-1, maxMessage)
}

// eat takes as many messages as it is told to.
func (p *player) eat() {
	inbox := p.peer.Inbox()
	for n := all; ; {
		from := inbox
		if n == 0 {
			from = nil
		}
		select {
		case more, ok := <-p.appetite:
			if !ok {
				return
			}
			n = more
		case msg, ok := <-from:
			if !ok {
				inbox = nil
				continue
			}
			p.took = append(p.took, string(msg))
			n--
		}
	}
}

// say has a peer send messages.
func (g *game) say(i, number int) string {
	p, member := g.players[i], g.model.members[i]
	n := 1 + g.rand.IntN(3)
	gone := member.gone
	for k := range n {
		if !gone {
			member.events = append(member.events, fmt.Sprintf("message: %d, %d", number, k))
			g.model.stats.Received++
		}
	}
	go func() { // ends with the last message, or the connection
		for k := range n {
			if err := p.peer.Send(g.t.Context(), fmt.Appendf(nil, "%d, %d", number, k)); (err != nil) != gone {
				g.t.Errorf("a peer, gone: %v, sends: %v", gone, err)
			}
		}
	}()
	return fmt.Sprintf("%d says %d things", i, n)
}

// send sends to one, or to some.
func (g *game) send(number, i int) string {
	size := g.rand.IntN(45)
	if g.rand.IntN(8) == 0 {
		size += 100
	}
	body := make([]byte, size)
	if size >= 2 {
		binary.BigEndian.PutUint16(body, uint16(number))
	}
	// No two deadlines are the same, nor that of a member that leaves.
	patience := time.Duration(1+g.rand.IntN(5))*time.Second + time.Duration(number+1)*time.Microsecond
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience, errImpatient)
	m := g.players[i].m
	var to []*modelMember
	var call func() (int, error)
	var what string
	switch g.rand.IntN(5) {
	case 0:
		what = fmt.Sprint("to ", i)
		to = g.model.present(func(x *modelMember) bool { return x.name == i })
		call = func() (int, error) { return 0, g.h.Send(ctx, m.ID(), body) }
	case 1:
		what = fmt.Sprint("to all but ", i)
		to = g.model.present(func(x *modelMember) bool { return x.name != i })
		call = func() (int, error) { return g.h.Broadcast(ctx, body, m) }
	case 2:
		room := g.room()
		what = "to the " + room
		to = g.model.present(func(x *modelMember) bool { return x.rooms[room] })
		call = func() (int, error) { return g.h.BroadcastRoom(ctx, room, body) }
	case 3:
		odd := map[*hub.Member]bool{}
		for k := 1; k < len(g.players); k += 2 {
			odd[g.players[k].m] = true
		}
		what = "to every second"
		to = g.model.present(func(x *modelMember) bool { return x.name%2 == 1 })
		call = func() (int, error) {
			return g.h.BroadcastWhere(ctx, body, func(m *hub.Member) bool { return odd[m] })
		}
	default:
		what = "to all"
		to = g.model.present(func(*modelMember) bool { return true })
		call = func() (int, error) { return g.h.Broadcast(ctx, body) }
	}
	answers := make(chan answer, 1)
	go func() { // ends with ctx
		defer cancel()
		n, err := call()
		answers <- answer{n, err}
	}()
	c := g.model.send(number, patience, body, to)
	c.single = strings.HasPrefix(what, fmt.Sprint("to ", i))
	g.calls[c] = answers
	return fmt.Sprintf("message %d of %d bytes %s", number, size, what)
}

// compare reports whether hub and model are alike.
func (g *game) compare() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.told.mu.Lock()
	defer g.told.mu.Unlock()
	if now := time.Since(g.began); now != g.model.now {
		g.t.Errorf("%v have passed, %v in the model", now, g.model.now)
	}
	if want, got := g.model.totals(), g.h.Stats(); want != got {
		g.differ("counts", want, got)
	}
	if want, got := g.model.roomSizes(), maps.Collect(g.h.Rooms()); !maps.Equal(want, got) {
		g.differ("rooms", want, got)
	}
	s := g.model.stats
	if g.told.joined != int(s.Joined) || g.told.left != int(s.Left) || g.told.evicted != int(s.Evicted) || g.told.dropped != int(s.Dropped) {
		g.t.Errorf("the observer was told of %d joined, %d left, %d evicted, %d dropped; expected %+v",
			g.told.joined, g.told.left, g.told.evicted, g.told.dropped, s)
	}
	for i, member := range g.model.members {
		p := g.players[i]
		if want, got := member.counts(), p.m.Stats(); want != got {
			g.differ(fmt.Sprintf("counts of %d", i), want, got)
		}
		if !slices.Equal(member.took, p.took) {
			g.differ(fmt.Sprintf("what %d received", i), member.took, p.took)
		}
		if !slices.Equal(member.events, g.events[p.m]) {
			g.differ(fmt.Sprintf("events of %d", i), member.events, g.events[p.m])
		}
		if want := [2]int{len(member.queue), bytesOf(member.queue)}; want != g.told.queued[p.m] {
			g.t.Errorf("the observer was told that %v messages and bytes are queued for %d, expected %v", g.told.queued[p.m], i, want)
		}
		for _, room := range rooms {
			if p.m.In(room) != member.rooms[room] {
				g.t.Errorf("%d in %s: %v", i, room, p.m.In(room))
			}
		}
	}
	for c, answers := range g.calls {
		select {
		case a := <-answers:
			delete(g.calls, c)
			g.check(c, a)
		default:
			if len(c.waits) == 0 {
				g.t.Errorf("message %d waits for nobody in the model; the hub has not returned", c.number)
			}
		}
	}
	return !g.t.Failed()
}

func (g *game) differ(what string, want, got any) {
	g.t.Errorf("%s (-model +hub):\n%s", what, cmp.Diff(want, got))
}

// check checks what a call returned.
func (g *game) check(c *modelCall, got answer) {
	want := answer{c.queued, c.err}
	switch {
	case len(c.waits) > 0:
		g.t.Errorf("message %d still waits for %d members in the model; the hub returned %d, %v", c.number, len(c.waits), got.queued, got.err)
		return
	case c.single && c.queued == 0 && c.err == nil:
		want.err = hub.ErrNotMember
	case !c.single && c.err != errImpatient:
		want.err = nil // what a policy drops is no error of a broadcast
	}
	if c.single {
		want.queued = 0
	}
	if got.queued != want.queued || class(got.err) != class(want.err) {
		g.t.Errorf("message %d: queued for %d, %v; expected %d, %v", c.number, got.queued, got.err, want.queued, want.err)
	}
}
