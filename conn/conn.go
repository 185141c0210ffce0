// Package conn is one tinyproto connection: messages over any [net.Conn].
//
// What arrives is received from Inbox, what is to be sent goes to Outbox, and
// both may be used at once, from any number of goroutines. Send and Receive
// are the same with a context and an error per message. The context that a
// connection is made with is its life.
//
// The protocol is that of package wire. In classic mode a message is offered,
// accepted and then written; the receiver accepts only what it has room for. In
// pipelined mode, on which two ends can agree (see [Mode]), messages are written
// without waiting, as many as the receiver's window has room for, and answered
// when its application has them. So in both a slow receiver slows its sender, and
// neither takes memory without bound.
package conn

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tinyproto-go/tinyproto/wire"
)

// Conn is a connection. All its methods may be called concurrently, and at
// any time, also after the end.
//
// A slice belongs to the connection once it is sent, and to the receiver once
// it is received. The connection never writes to a slice that it was given,
// so the same one may be sent on many connections.
type Conn struct {
	nc     net.Conn      // immutable after New
	opts   *Options      // immutable after New
	try    *tryWriter    // immutable after New; nil where every write may wait
	inbox  chan []byte   // made with mu held, once there is a buffer or somebody waits for it; sent to with mu held, or by the writer or the deliverer
	outbox chan []byte   // made once, with mu held; the writer receives, or whoever composes while it does not
	done   atomic.Value  // of chan struct{}, made when it is asked for; closed with mu held, when the state leaves open
	gone   chan struct{} // guarded by mu; closed when no goroutine of the connection is left; nil as long as nobody waits
	wake   chan struct{} // made with mu held, with the writer; cap 1: something that it has to look at
	unlink func() bool   // takes the connection off its context

	mu     sync.Mutex
	ledger wire.Ledger // guarded by mu; of classic mode
	pipe   *pipeline   // guarded by mu; nil in classic mode
	end    ending      // guarded by mu
	stats  counts      // guarded by mu
	watch  watchdog    // guarded by mu

	// Reading. Guarded by mu.
	life        <-chan struct{} // immutable after New: closed when the context ends
	receivers   waiting         // Receives that wait for others to read
	senders     waiting         // Sends that do
	blockedFor  *sending        // the Send that reads
	steps       uint            // counts what was put on the wire, which may allow to parse what is kept
	reads       uint32          // counts reads of the reader goroutine
	shared      atomic.Bool     // set with mu held: Receive and Send may read; never again once it is not
	reader      readerState
	blocked     bool // a Receive or Send waits for the transport
	interrupted bool // it was made to stop waiting

	// Receiving. Guarded by mu, but the memory that partial points into is
	// owned by whoever reads.
	kept     [keptSize]byte           // what is read where no payload is due, and left unparsed
	keptLen  int                      // bytes of kept that no rule allows to parse yet (R3)
	input    input                    // owned by whoever reads; nil in classic mode
	buffer   *[streamBuffer]byte      // owned by whoever reads: borrowed while much is to be read that is not kept
	noted    *sync.Cond               // what note tells the reader; nil until it waits for that
	partial  incoming                 // the message that is arriving
	released atomic.Pointer[released] // nil as long as nothing was handed back
	held     []byte                   // a message that was accepted and waits for the Inbox
	holding  bool
	encoded  bool        // held is to be decoded first
	unheard  atomic.Bool // the reader has bytes that it waits for mu with

	deliverer chan struct{} // guarded by mu; cap 1: the deliverer has to look at the state; nil if there is none

	// Streaming in. Guarded by mu.
	accept     Accept
	offers     uint                         // counts the peer's
	into       *streamingIn                 // the message that is arriving, if it goes to a Writer; nil otherwise
	placement  Placement                    // of the peer's offer, until it is accepted
	placed     uint32                       // its size
	holdOffers bool                         // no offer is decided on before SetAccept
	undecided  bool                         // one is held for that
	settling   bool                         // SetAccept decides on it
	deciding   bool                         // accept is being asked
	emptying   bool                         // emptied is being called
	calling    int32                        // goroutines of the connection that are in the application's code
	emptied    func(moved int64, err error) // the Done of a message of 0 bytes, to be called

	// Sending. Guarded by mu.
	taken      uint64   // messages taken from outbox
	next       outgoing // received from outbox, not yet offered
	current    outgoing // offered, or to be offered again
	finishing  outgoing // its payload is in out, or being streamed
	answers    uint     // counts the peer's, each of which proves that all before its offer was read
	queue      queue    // Sends that wait for their turn
	spare      atomic.Pointer[sending]
	outboxOnce sync.Once
	outboxUsed bool // Outbox was called: the writer has to receive from it
	fetching   bool // the writer may be receiving from outbox now: nobody else may
	streaming  bool // a SendFrom has the stream, and nothing else may be written
	sendLast   bool // the last message picked was a Send's

	// Writing. writing is guarded by mu; out is owned by whoever set it.
	out     batch
	writing bool
	handed  bool // guarded by mu: the writer goroutine has to go on with out

	// Transforming.
	encoding   bool        // guarded by mu: current is being encoded
	hasWriter  bool        // guarded by mu
	transforms []Transform // the writer's
	buffers    [][]byte    // guarded by mu: for encoded messages

	live    int32 // goroutines; guarded by mu
	asked   uint8 // guarded by mu: bytes of the peer's request for pipelined mode
	greeted bool  // guarded by mu: New is through, or nearly
	cut     bool  // guarded by mu: the context ended before that

	source *attended // guarded by mu; nil if there is none
}

// keptSize is all the memory that an idle connection has for its input: the
// longest thing that arrives unasked for is an answer and a size.
const keptSize = 16

// New greets the peer on nc and returns the connection. It blocks until the
// peer's hello has come, for at most Options.HelloTimeout, or until ctx ends.
// If it fails, nc is closed, and the error matches [ErrConnLimit] or
// [ErrRefused] where the peer turned us away, [ErrNotTinyproto] where it
// speaks something else, a timeout, or the cause of ctx.
//
// On a [*tls.Conn], or a transport that stands on one (method NetConn), New
// does the TLS handshake first, if it is not done yet, within the same
// timeout. An error of the handshake says so and has in it what package tls
// says, for errors.As, as a [tls.CertificateVerificationError]; a
// [tls.AlertError] where the peer refused it, which a client of TLS 1.3 may
// learn only instead of a hello. It matches [ErrNotTLS] if the peer does not
// speak TLS. New may then take 1 s more, in which the peer learns why.
//
// ctx is the life of the connection, not only of the greeting: when it ends,
// what is queued at that moment (the Outbox's buffer, Sends in progress) is
// flushed within Options.Grace, and the connection ends with the context's
// cause.
//
// The connection owns nc from here on. A nil opts stands for the defaults.
func New(ctx context.Context, nc net.Conn, opts *Options) (*Conn, error) {
	c := &Conn{
		nc:   nc,
		opts: opts.Shared(),
		try:  newTryWriter(nc),
	}
	setKeepAlive(nc, c.opts.KeepAlive)
	c.life = ctx.Done()
	c.unlink = context.AfterFunc(ctx, func() { c.lifeEnded(ctx) })
	if err := c.greet(ctx); err != nil {
		c.unlink()
		closeNow(nc)
		return nil, err
	}
	c.accept, c.holdOffers = c.opts.Accept, c.opts.HoldOffers
	if c.opts.Transforms != nil {
		if ts := c.opts.Transforms(); len(ts) > 0 {
			c.transforms = ts
		}
	}
	c.watch.began = time.Now()
	c.watch.active = c.watch.now()
	if c.accept == nil && !c.holdOffers && c.transforms == nil && isSocket(nc) {
		c.shared.Store(true)
	}
	if !c.shared.Load() || c.opts.InboxBuffer > 0 {
		c.makeInbox()
	}
	if !c.shared.Load() {
		c.live = 1 // the reader goroutine
	}
	c.mu.Lock()
	if c.greeted = !c.cut; c.cut {
		c.mu.Unlock()
		closeNow(nc)
		return nil, fmt.Errorf("tinyproto: hello with %v: %w", nc.RemoteAddr(), context.Cause(ctx))
	}
	defer func() { // also if Accept exits this goroutine
		c.beginReading()
		c.unlock()
	}()
	c.parseAtOnce() // what came with the hello is settled before an offer of ours (R7)
	if c.pipe != nil {
		c.watchSilence()
		c.flush(false)
		if c.holding {
			c.offerHeld()
		}
	}
	return c, nil
}

// Inbox returns the channel of received messages, in the order in which the
// peer sent them. It is closed, once, when no more will come: after the end
// of the connection and when what was accepted has been taken, or when the
// context ended; Err then says why. An empty message is a slice of length 0.
//
// While nobody receives and the buffer is full, the peer's next offers stay
// unanswered, and the connection lives on. From the first call on, for good, a
// goroutine of the connection reads: see Receive.
func (c *Conn) Inbox() <-chan []byte {
	if c.shared.Load() {
		c.mu.Lock()
		c.readAlways()
		c.unlock()
	}
	return c.inbox
}

// makeInbox makes the Inbox, if it is not made yet. mu is held.
func (c *Conn) makeInbox() {
	if c.inbox == nil {
		c.inbox = make(chan []byte, c.opts.InboxBuffer)
	}
}

// endInbox closes the Inbox. mu is held.
func (c *Conn) endInbox() {
	c.makeInbox()
	close(c.inbox)
}

// Outbox returns the channel of messages to send. The connection never closes
// it, and stops receiving from it when Done closes, so select on both:
//
//	select {
//	case c.Outbox() <- msg:
//	case <-c.Done():
//		return c.Err()
//	}
//
// A sole producer may close it instead, to flush it and end the connection
// gracefully, as Shutdown does. That ends both directions: receive the replies
// that are due first. What could not be sent is listed by Unsent.
func (c *Conn) Outbox() chan<- []byte {
	c.outboxOnce.Do(c.useOutbox)
	return c.outbox
}

func (c *Conn) useOutbox() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outbox = make(chan []byte, c.opts.OutboxBuffer)
	c.outboxUsed = true
	c.wakeWriter()
}

// Done returns a channel that is closed as soon as nothing more is taken to
// be sent: the context ended, Shutdown or Close was called, the Outbox was
// closed, or the peer or the transport ended the connection. What had arrived
// can still be received, and what was queued before may still be flushed; Err
// is final once Ended is closed. What the peer does is noticed within about 10 ms where
// nobody calls Receive or Send, nor has called Inbox.
func (c *Conn) Done() <-chan struct{} {
	if done, ok := c.done.Load().(chan struct{}); ok {
		return done
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	done, ok := c.done.Load().(chan struct{})
	if !ok {
		done = make(chan struct{})
		if c.end.state != open {
			close(done)
		}
		c.done.Store(done)
	}
	return done
}

// LocalAddr returns the address of this end.
func (c *Conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// RemoteAddr returns the address of the peer.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// NetConn returns the transport, for what only it knows. Reading, writing or
// closing it breaks the connection.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Stats are counts of one connection, up to the moment of the call.
type Stats struct {
	// MessagesSent were wholly written, MessagesReceived wholly read.
	MessagesSent, MessagesReceived uint64
	// BytesSent and BytesReceived are the payloads of these messages, as they
	// are on the wire.
	BytesSent, BytesReceived uint64
	// Conflicts counts offers put off by CONFLICT, by either end: the price of
	// both talking at once with full inboxes. It loses nothing.
	Conflicts uint64
	// Refused counts our messages that were not sent because of their size, or
	// because they could not be encoded, PeerRefused the peer's that we refused.
	Refused, PeerRefused uint64
	// Pipelined says that the ends agreed to pipelined mode.
	Pipelined bool
	// LastActivity is when bytes last arrived or were written.
	LastActivity time.Time
}

// counts are those of Stats.
type counts struct {
	MessagesSent, MessagesReceived, BytesSent, BytesReceived, Conflicts, Refused, PeerRefused uint64
}

// Stats returns the counts so far. It does not block.
func (c *Conn) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := &c.stats
	return Stats{
		MessagesSent: n.MessagesSent, MessagesReceived: n.MessagesReceived,
		BytesSent: n.BytesSent, BytesReceived: n.BytesReceived,
		Conflicts: n.Conflicts, Refused: n.Refused, PeerRefused: n.PeerRefused,
		Pipelined:    c.pipe != nil,
		LastActivity: c.watch.time(c.watch.active),
	}
}
