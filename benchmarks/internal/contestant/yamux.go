package contestant

import (
	"context"
	"io"
	"net"

	"github.com/hashicorp/yamux"
)

// newYamux returns yamux, with one stream a connection, and messages behind
// their lengths on it, buffered as those of the floor. A larger window than its
// default makes it slower here: it is for links with a longer round trip.
func newYamux() *Contestant {
	return &Contestant{
		Name:    "yamux",
		Modules: []string{"github.com/hashicorp/yamux"},
		How: "one stream a connection, and on it messages behind their lengths in a buffered stream, " +
			"received into one buffer again and again; the usual hub",
		More: "It carries any number of streams over one connection, each with a window of its own, and pings it; " +
			"messages are the program's affair.",
		Listen: func(s Settings, handle func(Link)) (*Host, error) {
			return listenTCP(handle, func(nc net.Conn) (Link, error) { return openYamux(nc, s, yamux.Server, (*yamux.Session).AcceptStream) })
		},
		Dial: func(ctx context.Context, s Settings, address string, _ int) (Link, error) {
			nc, err := dialTCP(ctx, address)
			if err != nil {
				return nil, err
			}
			return openYamux(nc, s, yamux.Client, (*yamux.Session).OpenStream)
		},
	}
}

// openYamux makes a session of nc, with one stream. It closes nc if that fails.
func openYamux(nc net.Conn, s Settings, session func(io.ReadWriteCloser, *yamux.Config) (*yamux.Session, error),
	stream func(*yamux.Session) (*yamux.Stream, error)) (Link, error) {
	cfg := yamux.DefaultConfig()
	cfg.LogOutput = io.Discard
	ses, err := session(nc, cfg)
	if err != nil {
		nc.Close()
		return nil, err
	}
	str, err := stream(ses)
	if err != nil {
		ses.Close() // and nc with it
		return nil, err
	}
	return newStreamLink(yamuxStream{str, ses}, s, false), nil
}

// yamuxStream is a stream whose end is that of its session, too.
type yamuxStream struct {
	*yamux.Stream
	session *yamux.Session
}

func (s yamuxStream) Close() error { return s.session.Close() }
