package conn

import (
	"log/slog"
	"math"
	"time"

	"github.com/tinyproto-go/tinyproto/wire"
)

// Defaults of [Options].
const (
	DefaultMaxMessage   = 16 << 20
	DefaultHelloTimeout = 10 * time.Second
	DefaultStallTimeout = 30 * time.Second
	DefaultGrace        = 5 * time.Second
	DefaultKeepAlive    = 15 * time.Second

	DefaultWindowMessages = 4096
	DefaultWindowBytes    = 1 << 20
	DefaultPeerTimeout    = 30 * time.Second
)

// Options are the limits and the buffers of a connection. A nil *Options and
// the zero value both stand for the defaults. New copies what it is given.
type Options struct {
	// MaxMessage is the largest message to accept, in bytes. A larger one is
	// answered TOO_LARGE, and the connection lives on. Zero means 16 MiB;
	// the protocol's own limit is [wire.MaxSize], and larger values mean that.
	MaxMessage uint32

	// Budget bounds what the messages that arrive on several connections take
	// together. Nil means no bound but that of each. Servers of package tinyproto set one.
	Budget *Budget

	// Mode is how messages are moved. Zero is [Either]: classic mode, unless the
	// peer asks for pipelined mode.
	Mode Mode

	// WindowMessages and WindowBytes are how many messages, and how many bytes of
	// them, the peer may have sent in pipelined mode before the application has
	// taken them; a larger message goes alone. They bound what waits behind the
	// Inbox, and also what of ours is unanswered, where the peer grants more: so a
	// fast link with a long way needs large ones at both ends. Zero means 4096 messages
	// and 1 MiB; negative WindowBytes mean one message at a time. More than the protocol
	// can carry means all of it.
	WindowMessages uint32
	WindowBytes    int64

	// PeerTimeout is how long the peer may be silent in pipelined mode: after
	// half of it, a PING asks for a sign of life. It passes, too, while a peer of
	// this library is in a slow Accept or Writer. Zero means 30 s; negative means for
	// ever.
	PeerTimeout time.Duration

	// InboxBuffer is how many received messages wait in the Inbox before the
	// peer has to: its next offer is answered once the application has taken
	// one. One more is held beyond the buffer. Zero means no buffer.
	InboxBuffer int

	// OutboxBuffer is how many messages the Outbox takes before a sender
	// waits. Zero means no buffer: a sender waits until its message is next.
	OutboxBuffer int

	// HelloTimeout is how long the peer may take to greet, the TLS handshake
	// included. Zero means 10 s; negative means for ever.
	HelloTimeout time.Duration

	// StallTimeout is how long a peer may make no progress inside a message,
	// either way: while it sends one that was accepted, or does not read one
	// that it accepted. Zero means 30 s; negative means for ever.
	StallTimeout time.Duration

	// AnswerTimeout is how long the peer may leave an offer unanswered. Zero
	// means for ever: the answer is the peer's flow control, and a peer that
	// is busy answers late.
	AnswerTimeout time.Duration

	// Grace is how long the connection goes on to send what is queued after
	// its context has ended. Zero means 5 s; negative means not at all.
	Grace time.Duration

	// KeepAlive is the period of TCP keep-alive probes, for transports that
	// have them. Zero means 15 s; negative means none.
	KeepAlive time.Duration

	// MaxRefused is how many messages of the Outbox the peer may refuse
	// (TOO_LARGE) before the connection ends. They are kept for Unsent. Zero
	// means that the first one ends it, with an error that matches ErrTooLarge.
	// A message refused to Send fails that Send alone and does not count.
	MaxRefused int

	// Accept decides on each message that the peer offers: into the Inbox, into
	// a Writer, or refused. Nil means into the Inbox. It may be called before New
	// returns.
	Accept Accept

	// HoldOffers leaves the peer's offers unanswered until Conn.SetAccept is
	// called: so a Handler of a server decides on the first one, too. In pipelined mode
	// it withholds our terms, so that an end before SetAccept, even one by Shutdown, is
	// to the peer one in the middle.
	HoldOffers bool

	// Transforms makes the transforms of one connection, which are that
	// connection's own. They are applied in this order to what is sent, and in
	// reverse to what is received; the peer needs the same. The limit of
	// MaxMessage holds before and after decoding. Nil means none.
	Transforms func() []Transform

	// Logger receives a record at level Debug when the connection ends. Nil
	// means silence.
	Logger *slog.Logger

	shared *Options // these themselves, if Shared has made them
}

// largestMessage is what the protocol can carry and a slice can hold.
const largestMessage = uint32(min(wire.MaxSize, math.MaxInt))

// Shared returns a copy of o, in which the defaults are filled in, for many
// connections to share: New does not copy it again. It must not be changed, nor copied
// for other options: in it, zero means none where negative did in o. o may be nil.
func (o *Options) Shared() *Options {
	if o != nil && o.shared == o {
		return o
	}
	r := &Options{}
	if o != nil {
		*r = *o
	}
	r.shared = r
	if r.MaxMessage == 0 {
		r.MaxMessage = DefaultMaxMessage
	}
	r.MaxMessage = min(r.MaxMessage, largestMessage)
	r.InboxBuffer = max(r.InboxBuffer, 0)
	r.OutboxBuffer = max(r.OutboxBuffer, 0)
	r.HelloTimeout = orDefault(r.HelloTimeout, DefaultHelloTimeout)
	r.StallTimeout = orDefault(r.StallTimeout, DefaultStallTimeout)
	r.Grace = orDefault(r.Grace, DefaultGrace)
	r.PeerTimeout = orDefault(r.PeerTimeout, DefaultPeerTimeout)
	if r.WindowMessages == 0 {
		r.WindowMessages = DefaultWindowMessages
	}
	if r.WindowBytes == 0 {
		r.WindowBytes = DefaultWindowBytes
	}
	r.WindowBytes = min(max(r.WindowBytes, 0), math.MaxUint32)
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	return r
}

// orDefault maps zero to the default and negative to 0, which means none to
// whoever uses the result.
func orDefault(d, def time.Duration) time.Duration {
	switch {
	case d == 0:
		return def
	case d < 0:
		return 0
	}
	return d
}
