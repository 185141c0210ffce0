package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// What a client asks the server for.
const (
	serviceEcho    = "echo"    // every message back
	serviceRequest = "request" // a message of the size that each asks for
	serviceSink    = "sink"    // take them
	serviceSource  = "source"  // send, until the end or Count messages
	serviceStream  = "stream"  // take and send messages piece by piece
	serviceMember  = "member"  // join a hub
)

// intro is the body of a client's first message, number 0.
type intro struct {
	Role, Service string
	Channels      bool          `json:",omitempty"` // the server uses the channels instead of the calls
	Count         int           `json:",omitempty"` // of a source; 0 means until the end
	Limit         int           `json:",omitempty"` // of the sizes that a source sends
	Pause         time.Duration `json:",omitempty"` // of a sink, before each message
	File          bool          `json:",omitempty"` // streams go into a file
	Hub           string        `json:",omitempty"`
	Room          int           `json:",omitempty"`
}

func (i *intro) message(session uint64) []byte {
	text, err := json.Marshal(i)
	if err != nil {
		panic(err) // of strings and numbers
	}
	return composeBody(session, 0, text, headerSize+len(text))
}

// fromServer marks the messages of the server's end of a session, fromRoom
// those of a room.
const (
	fromServer = 1 << 63
	fromRoom   = 1 << 62
)

// guest is the server's end of a connection.
type guest struct {
	*endpoint
	server *server
	intro  intro
	in     sequence // owned by whoever takes the client's messages
	out    uint64   // number of the next message; owned by the handler, or its hub's loop

	room string        // of a member
	left chan struct{} // closed when a member has left
}

// next composes the next message of the server's own.
func (g *guest) next(size int) []byte {
	msg := compose(g.in.from|fromServer, g.out, size)
	g.out++
	return msg
}

// serve is the life of a connection of the server's.
func (g *guest) serve(ctx context.Context) error {
	msg, err := g.Receive(ctx)
	if err != nil {
		return nil // it went before it said who it is
	}
	g.take(len(msg), nil)
	if err := g.introduce(msg); err != nil {
		g.violated(err)
		return err
	}
	g.server.sabotage.leak()
	switch g.intro.Service {
	case serviceEcho:
		g.echo(ctx)
	case serviceRequest:
		g.request(ctx)
	case serviceSink:
		g.sink(ctx)
	case serviceSource:
		g.source(ctx)
	case serviceStream:
		return g.stream(ctx)
	case serviceMember:
		return g.join()
	}
	return nil
}

func (g *guest) introduce(msg []byte) error {
	g.in.from = senderOf(msg)
	if err := g.in.take(msg); err != nil {
		return fmt.Errorf("introduction: %w", err)
	}
	if err := json.Unmarshal(msg[min(headerSize, len(msg)):], &g.intro); err != nil {
		return fmt.Errorf("introduction: %w", err)
	}
	g.note(func(a *account) {
		a.Session, a.Role, a.Service = g.in.from, g.intro.Role, g.intro.Service
	})
	return nil
}

// echo sends every message back.
func (g *guest) echo(ctx context.Context) {
	if g.intro.Channels {
		for msg := range g.Inbox() {
			g.take(len(msg), g.in.take(msg))
			for range g.server.sabotage.copies() {
				if !g.post(msg) {
					g.note(func(a *account) { a.Swallowed++ })
				}
			}
		}
		return
	}
	for {
		msg, err := g.Receive(ctx)
		if err != nil {
			return
		}
		g.take(len(msg), g.in.take(msg))
		for range g.server.sabotage.copies() {
			g.send(ctx, msg) // what fails is counted, and Receive tells when it is over
		}
	}
}

// request answers each message with one of the size that it ends with.
func (g *guest) request(ctx context.Context) {
	for {
		msg, err := g.Receive(ctx)
		if err != nil {
			return
		}
		g.take(len(msg), g.in.take(msg))
		size, err := asked(msg)
		if err != nil {
			g.violated(err)
			return
		}
		err = g.send(ctx, g.next(size))
		if kindOf(err) == tooLarge {
			g.out-- // which the client does not see
			g.send(ctx, g.next(headerSize))
		}
	}
}

// sink takes messages, at leisure if it is to.
func (g *guest) sink(ctx context.Context) {
	for msg := range g.Inbox() {
		g.take(len(msg), g.in.take(msg))
		pause(g.intro.Pause, ctx.Done())
	}
}

// source sends until it has sent enough, or until the end.
func (g *guest) source(ctx context.Context) {
	rng := rand.New(rand.NewPCG(g.in.from, 0))
	for n := 0; g.intro.Count == 0 || n < g.intro.Count; n++ {
		msg := g.next(sizes(rng, g.intro.Limit))
		if g.intro.Channels {
			if !g.post(msg) {
				return
			}
		} else if err := g.send(ctx, msg); err != nil {
			return
		}
	}
}

// streamed is the end of a message that was streamed in.
type streamed struct {
	size int64
	err  error
}

// stream takes each message piece by piece, into a file or not, and sends one
// of the same size back in the same way.
func (g *guest) stream(ctx context.Context) error {
	var file *os.File
	var sum *checker
	if g.intro.File {
		var err error
		if file, err = os.CreateTemp(g.server.dir, "stream"); err != nil {
			return err
		}
		defer os.Remove(file.Name())
		defer file.Close()
	}
	done := make(chan streamed, 1) // the client waits for the answer before it sends the next
	g.SetAccept(func(size uint32) conn.Placement {
		p := conn.Placement{Done: func(moved int64, err error) { done <- streamed{moved, err} }}
		if file == nil {
			sum = new(checker)
			p.Writer = sum
		} else {
			file.Seek(0, io.SeekStart) // what goes wrong shows in the content
			p.Writer = file
		}
		return p
	})
	// The client offers nothing before it knows that it is awaited.
	if err := g.send(ctx, g.next(headerSize)); err != nil {
		return nil
	}
	for {
		select {
		case s := <-done:
			if s.err != nil {
				continue // broken off, with the connection
			}
			if file != nil {
				sum = new(checker)
				if _, err := io.Copy(sum, io.NewSectionReader(file, 0, s.size)); err != nil {
					return err
				}
			}
			g.take(int(s.size), g.in.takeChecked(sum))
			g.sendFrom(ctx, reading(g.in.from|fromServer, g.out, int(s.size)), int(s.size))
			g.out++
		case <-g.Inbox(): // nothing goes there: it is closed
			select {
			case s := <-done:
				done <- s
				continue // which may be chosen later than it came
			default:
				return nil
			}
		}
	}
}
