package contestant

import (
	"context"
	"io"
	"log/slog"
	"sync"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/hub"
)

// mode is one in which two peers of this library talk.
type mode struct {
	name string
	set  func(*tinyproto.Options)
}

// modes are those that are compared.
var modes = []mode{
	{name: "classic", set: func(*tinyproto.Options) {}},
	{name: "pipelined", set: func(o *tinyproto.Options) { o.Mode = tinyproto.Pipelined }},
}

// form is a way to use a connection.
type form struct {
	name string
	how  string
	link func(*tinyConn) Link
}

// tinyConn is a connection and its life.
type tinyConn struct {
	*tinyproto.Conn
	ctx    context.Context
	cancel context.CancelFunc
}

func (c *tinyConn) Close() error {
	err := c.Conn.Close()
	c.cancel()
	return err
}

var (
	bySend = form{"send", "with Send and Receive",
		func(c *tinyConn) Link { return sendLink{c} }}
	bySendRelease = form{"send-release", "with Send and Receive, where each message is handed back for reuse when the next one is received",
		func(c *tinyConn) Link { return &releasingSendLink{sendLink: sendLink{c}} }}
	byOutbox = form{"outbox", "with Outbox and Inbox",
		func(c *tinyConn) Link { return outboxLink{c, c.Inbox(), c.Outbox()} }}
	byRelease = form{"release", "with Outbox and Inbox, where each message is handed back for reuse when the next one is received",
		func(c *tinyConn) Link { return &releasingLink{outboxLink: outboxLink{c, c.Inbox(), c.Outbox()}} }}
)

func newTinyproto(m mode, f form) *Contestant {
	t := tiny{m, f}
	c := &Contestant{
		Name:    "tinyproto-" + m.name + "-" + f.name,
		Role:    Ours,
		Modules: []string{"github.com/tinyproto-go/tinyproto"},
		How:     "this library in " + m.name + " mode, " + f.how + "; with buffers where messages follow each other",
		Listen:  t.listen,
		Hub:     t.hub,
		Dial:    t.dial,
	}
	switch f.name {
	case byRelease.name, bySendRelease.name:
		c.Without = map[Kind]string{FanOut: "such small messages are not reused", Idle: "nothing is received", Connects: "nothing is received twice"}
	}
	return c
}

// tiny is this library, as a contestant.
type tiny struct {
	mode mode
	form form
}

// What waits in the Inbox and in the Outbox, at most.
const (
	tinyMessages = 64
	tinyBytes    = 8 << 20
)

func (t tiny) options(s Settings) tinyproto.Options {
	var o tinyproto.Options
	o.MaxMessage = max(uint32(s.Size), 16<<20)
	if s.Kind == OneWay || s.Kind == Duplex || s.Kind == FanOut {
		o.InboxBuffer = min(tinyMessages, max(1, tinyBytes/s.Size))
		o.OutboxBuffer = o.InboxBuffer
	}
	t.mode.set(&o)
	return o
}

func (t tiny) dial(ctx context.Context, s Settings, address string, _ int) (Link, error) {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	c, err := tinyproto.Dial(life, address, &tinyproto.DialOptions{Conn: t.options(s)})
	if err != nil {
		cancel()
		return nil, err
	}
	return t.form.link(&tinyConn{c, life, cancel}), nil
}

func (t tiny) listen(s Settings, handle func(Link)) (*Host, error) {
	serving := newServing(handle)
	return t.serve(s, func(ctx context.Context, c *tinyproto.Conn) error {
		serving.serve(t.form.link(&tinyConn{c, ctx, func() {}}))
		return nil
	}, func() error { serving.stop(); return nil })
}

// serve starts a host with a handler; stop is called when it is to end.
func (t tiny) serve(s Settings, handler tinyproto.Handler, stop func() error) (*Host, error) {
	ctx, cancel := context.WithCancel(context.Background())
	server := tinyproto.Server{Handler: handler, Conn: t.options(s), Logger: slog.New(slog.DiscardHandler)}
	l, err := server.Listen(ctx, loopback)
	if err != nil {
		cancel()
		return nil, err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }() // ends with ctx
	return &Host{Address: l.Addr().String(), Stop: func() error {
		err := stop()
		cancel()
		if ended := <-served; err == nil {
			err = ended
		}
		return err
	}}, nil
}

func (t tiny) hub(s Settings) (*Host, Hub, error) {
	ctx, cancel := context.WithCancel(context.Background())
	h := hub.New(&hub.Options{QueueMessages: s.Queue, QueueBytes: max(hub.DefaultQueueBytes, s.Queue*s.Size)})
	b := &broadcaster{ctx: ctx, hub: h, joined: make(chan struct{}, 1)}
	var running sync.WaitGroup
	ran := make(chan error, 1)
	running.Go(b.listen)                     // ends with the hub
	running.Go(func() { ran <- h.Run(ctx) }) // ends with ctx
	host, err := t.serve(s, hub.Handler(h), func() error {
		cancel()
		running.Wait()
		return <-ran
	})
	if err != nil {
		cancel()
		running.Wait()
	}
	return host, b, err
}

// broadcaster is a hub of this library.
type broadcaster struct {
	ctx    context.Context
	hub    *hub.Hub
	joined chan struct{} // cap 1: somebody has
}

// listen takes the hub's events until it ends.
func (b *broadcaster) listen() {
	for e := range b.hub.Events() {
		if e.Kind == hub.Joined {
			select {
			case b.joined <- struct{}{}:
			default:
			}
		}
	}
}

func (b *broadcaster) Ready(ctx context.Context, n int) error {
	for b.hub.Len() < n {
		select {
		case <-b.joined:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (b *broadcaster) Broadcast(msg []byte) error {
	_, err := b.hub.Broadcast(b.ctx, msg)
	return err
}

// sendLink uses Send and Receive, with a context that can end, as everybody's can.
type sendLink struct{ c *tinyConn }

func (l sendLink) Send(msg []byte) error    { return l.c.Send(l.c.ctx, msg) }
func (l sendLink) Flush() error             { return nil }
func (l sendLink) Receive() ([]byte, error) { return l.c.Receive(l.c.ctx) }
func (l sendLink) Close() error             { return l.c.Close() }

// outboxLink uses Outbox and Inbox, as most programs do.
type outboxLink struct {
	c   *tinyConn
	in  <-chan []byte
	out chan<- []byte
}

func (l outboxLink) Send(msg []byte) error {
	select {
	case l.out <- msg:
		return nil
	case <-l.c.Done():
		return l.ended()
	}
}

func (l outboxLink) Flush() error { return nil }

func (l outboxLink) Receive() ([]byte, error) {
	msg, ok := <-l.in
	if !ok {
		return nil, l.ended()
	}
	return msg, nil
}

func (l outboxLink) ended() error {
	if err := l.c.Err(); err != nil {
		return err
	}
	return io.EOF
}

func (l outboxLink) Close() error { return l.c.Close() }

// releasingLink hands each message back when the next one is received.
type releasingLink struct {
	outboxLink
	last []byte // the receiver's
}

func (l *releasingLink) Receive() (msg []byte, err error) {
	l.c.Release(l.last)
	l.last, err = l.outboxLink.Receive()
	return l.last, err
}

// releasingSendLink does so with Send and Receive.
type releasingSendLink struct {
	sendLink
	last []byte // the receiver's
}

func (l *releasingSendLink) Receive() (msg []byte, err error) {
	l.c.Release(l.last)
	l.last, err = l.sendLink.Receive()
	return l.last, err
}
