package conn

import "fmt"

// Source is where a connection fetches messages to send, when it can send them:
// another way beside Send and the Outbox, for whoever has messages for many
// connections, and neither a goroutine for each nor the time to wait for one.
//
// Next returns the next message; or false if there is none now, and then
// Conn.Notify tells when there may be one again. It is not called for a message
// that would have to wait for an earlier one's answer, nor while the Outbox or a
// Send has one, nor once Done is closed.
//
// Sent is called exactly once for each message that Next has returned, in their
// order, with its fate: nil once it is written and accepted, in pipelined mode once
// it is answered; or the error that Send would return. One that the peer refuses
// ([ErrTooLarge]) does not end the connection. None is listed by Unsent. The last
// of these calls comes before Close and Shutdown return, unless a Transform is at
// work on the message.
//
// The connection calls both, never at the same time, from any of its goroutines or
// from one that uses it, and is locked meanwhile: they must neither wait for
// anything nor call its methods.
type Source interface {
	Next() (msg []byte, ok bool)
	Sent(msg []byte, err error)
}

// Attend has the connection fetch messages from s, at once if there is something
// else to write, and else from the next Notify on. It does not block. A connection
// can have but one Source: Attend fails if it has one.
func (c *Conn) Attend(s Source) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.source != nil {
		return fmt.Errorf("tinyproto: the connection with %v has a Source", c.nc.RemoteAddr())
	}
	c.source = &attended{Source: s}
	return nil
}

// Notify tells the connection that its Source may have messages, which is
// needed only after Next has returned false, and before it is called at all. It
// fetches what can be sent now, and writes what the transport takes at once: it
// does not block, but it calls the Source. It does nothing if there is none.
func (c *Conn) Notify() {
	c.mu.Lock()
	defer c.unlock()
	if c.source != nil {
		c.flush(false)
	}
}

// attended is the Source of a connection. It is guarded by Conn.mu.
type attended struct {
	Source
	early []fate // decided, while the fate of one before them is not
}

// fate is what became of a message.
type fate struct {
	msg []byte
	err error
}

// fetch makes the Source's next message current, if there is one that need not wait
// for an answer first. It reports whether there was.
func (c *Conn) fetch() bool {
	if c.source == nil || c.end.state != open {
		return false
	}
	if pl := c.pipe; pl != nil && (!pl.MaySend(1) || pl.sent.Len() >= int(pl.most)) {
		return false // those known to be refused take a place there, which bounds how many wait
	}
	msg, ok := c.source.Next()
	if ok {
		c.current = outgoing{active: true, fetched: true, body: msg}
	}
	return ok
}

// settleFetched tells the Source what became of m, once it knows that of those before m: in
// classic mode the message before may be in a write that has not returned.
func (c *Conn) settleFetched(m *outgoing, err error) {
	s := c.source
	if f := &c.finishing; f != m && f.active && f.fetched {
		s.early = append(s.early, fate{m.body, err})
		return
	}
	s.Sent(m.body, err)
	for _, f := range s.early {
		s.Sent(f.msg, f.err)
	}
	s.early = nil
}
