package main

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tinyproto-go/tinyproto/hub"
)

// chat is a hub and its program: what one member sends goes to the others.
type chat struct {
	w     *world
	hub   *hub.Hub
	ctx   context.Context // of the hub
	ended chan struct{}   // closed when Run has returned

	mu      sync.Mutex
	members map[*hub.Member]*endpoint // guarded by mu
	order   []*hub.Member             // guarded by mu: those who joined, in order
	posts   []post                    // guarded by mu: what was sent to members, in order
	heard   int                       // guarded by mu: messages among the events
	left    int                       // guarded by mu: Left events
	joined  int                       // guarded by mu: Joined events
}

// post is a message to the members.
type post struct {
	body     []byte
	producer int         // the goroutine that sent it
	from     *hub.Member // nil: the program
	only     *hub.Member // perhaps the sender itself; nil: to all others
}

// runHub starts a hub behind a server, and its members.
func (w *world) runHub() {
	p := w.plan.hub
	ch := &chat{w: w, ended: make(chan struct{}), members: map[*hub.Member]*endpoint{}}
	w.chat = ch
	hubCtx := w.until(w.plan.server.endAt)
	ch.ctx = hubCtx
	ch.hub = hub.New(&hub.Options{QueueMessages: p.messages, QueueBytes: p.bytes, Full: p.policy, EventBuffer: p.events,
		Grace: p.grace, Observer: &hub.Observer{Joined: ch.join}, Logger: w.logger()})

	serverCtx, endServer := context.WithCancelCause(context.Background())
	if !p.serverOutlives {
		context.AfterFunc(hubCtx, func() { endServer(errServer) })
	}
	l, err := w.net.Listen(serverName)
	if err != nil {
		panic(err) // the plan is wrong
	}
	w.serve(serverCtx, l, w.plan.clients[0].served, hub.Handler(ch.hub))
	w.all.Go(ch.listen) // ends with the hub
	if w.plan.hub.announcements > 0 {
		w.all.Go(ch.announce) // ends with hubCtx, or when all is said
	}
	w.all.Go(func() { // ends with hubCtx
		go func() { // ends with the hub
			ch.hub.Run(hubCtx)
			close(ch.ended)
		}()
		<-hubCtx.Done()
		began := time.Now()
		<-ch.ended
		if took, limit := time.Since(began), graceOf(p.grace)+2*time.Second; took > limit {
			w.violate("Run returned %v after the end of its context, expected at most %v", took, limit)
		}
		endServer(errServer)
	})
	w.startClients()
}

// join makes a member known. The hub calls it before it hands on anything.
func (ch *chat) join(m *hub.Member) {
	e := ch.w.newEndpoint(ch.w.clientOf(m.Conn()).served)
	e.isServer, e.noDrain, e.member = true, true, m
	ch.w.attach(e, m.Conn(), true)
	e.watch()
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.members[m] = e
	ch.order = append(ch.order, m)
	if len(ch.members) == len(ch.w.plan.clients) {
		close(ch.w.ready)
	}
}

// listen is the hub's program.
func (ch *chat) listen() {
	p := ch.w.plan.hub
	for e := range ch.hub.Events() {
		ch.mu.Lock()
		member := ch.members[e.Member]
		switch e.Kind {
		case hub.Joined:
			ch.joined++
		case hub.Left:
			ch.left++
		case hub.Message:
			ch.heard++
		}
		n := ch.heard
		ch.mu.Unlock()
		ch.w.logf("hub: %s %v %s %v", member.name, e.Kind, lazy(e.Body), e.Err)
		if e.Kind != hub.Message {
			continue
		}
		member.take(e.Body, false)
		ch.pass(e, n)
		if p.leaveEvery > 0 && n%p.leaveEvery == 0 {
			member.mu.Lock()
			member.ended.late = true
			member.mu.Unlock()
			if n%2 == 0 {
				e.Member.Leave()
			} else {
				e.Member.Close(errMember)
			}
		}
		if p.think > 0 {
			time.Sleep(p.think)
		}
		if n == p.deafAfter {
			ch.w.logf("hub: the program takes no more events")
			<-ch.ended // and what is left after that
		}
	}
}

// pass sends a message to the other members, or to one of them.
func (ch *chat) pass(e hub.Event, n int) {
	ctx, cancel := context.WithTimeoutCause(ch.ctx, time.Second, errPatience)
	defer cancel()
	if ch.w.plan.gentle {
		ctx = ch.ctx
	}
	body := bytes.Clone(e.Body)
	if every := ch.w.plan.hub.sendDirectEach; every > 0 && n%every == 0 {
		ch.mu.Lock()
		to := ch.order[n%len(ch.order)]
		ch.mu.Unlock()
		ch.post(post{body: body, from: e.Member, only: to})
		if err := ch.hub.Send(ctx, to.ID(), body); err != nil {
			ch.check(err)
		}
		return
	}
	ch.post(post{body: body, from: e.Member})
	if _, err := ch.hub.Broadcast(ctx, body, e.Member); err != nil {
		ch.check(err)
	}
}

// announce sends messages of its own to all.
func (ch *chat) announce() {
	for i := range ch.w.plan.hub.announcements {
		if !ch.w.sleep(ch.ctx, ch.w.plan.hub.announceEvery) {
			return
		}
		body := body(announcer, i, headerLen+i)
		ch.post(post{body: body, producer: 1})
		ctx, cancel := context.WithTimeoutCause(ch.ctx, time.Second, errPatience)
		if _, err := ch.hub.Broadcast(ctx, body); err != nil {
			ch.check(err)
		}
		cancel()
	}
}

// announcer is the number of the program itself, as a sender.
const announcer = 250

func (ch *chat) post(p post) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.posts = append(ch.posts, p)
}

// check expects the errors of the hub to be named ones.
func (ch *chat) check(err error) {
	for _, known := range []error{hub.ErrNotMember, hub.ErrDropped, hub.ErrEvicted, errPatience, errServer, errLimit} {
		if errors.Is(err, known) {
			return
		}
	}
	ch.w.violate("hub: an error without a name: %v", err)
}
