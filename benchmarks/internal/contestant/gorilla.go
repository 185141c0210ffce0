package contestant

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// newGorilla returns gorilla/websocket. Its documentation advises a pool of
// write buffers for many connections that seldom write, buffers that fit the
// messages, NextReader into memory that is used again, PreparedMessage for a
// broadcast, and goroutines of one's own, so that the HTTP server's end.
func newGorilla() *Contestant {
	listen := func(s Settings, handle func(Link)) (*Host, error) {
		serving := newServing(handle)
		up := websocket.Upgrader{ReadBufferSize: gorillaBuffer(s), WriteBufferSize: gorillaBuffer(s), WriteBufferPool: new(sync.Pool)}
		return serveHTTP(serving, func(w http.ResponseWriter, r *http.Request) {
			c, err := up.Upgrade(w, r, nil)
			if err != nil {
				return // Upgrade has told the client, which reports it
			}
			go serving.serve(&gorillaLink{c: c}) // ends with the link, which stop closes
		})
	}
	return &Contestant{
		Name:    "gorilla",
		Modules: []string{"github.com/gorilla/websocket"},
		How: "binary messages, no compression, buffers of 64 KiB (of 4 KiB where connections are many), a pool of write buffers, " +
			"received into one buffer again and again; the usual hub with prepared messages",
		More: "It speaks to browsers and passes HTTP proxies, has text messages and compression, masks what a client sends, " +
			"and carries messages of unknown size in fragments.",
		Listen: listen,
		Hub: func(s Settings) (*Host, Hub, error) {
			return startUsualHub(s, listen,
				func(msg []byte) (*websocket.PreparedMessage, error) {
					return websocket.NewPreparedMessage(websocket.BinaryMessage, msg)
				},
				func(l Link, msg *websocket.PreparedMessage) error {
					return l.(*gorillaLink).c.WritePreparedMessage(msg)
				})
		},
		Dial: func(ctx context.Context, s Settings, address string, _ int) (Link, error) {
			d := websocket.Dialer{ReadBufferSize: gorillaBuffer(s), WriteBufferSize: gorillaBuffer(s)}
			c, _, err := d.DialContext(ctx, "ws://"+address, nil)
			if err != nil {
				return nil, err
			}
			return &gorillaLink{c: c}, nil
		},
	}
}

// gorillaBuffer returns 0 where the buffers of the HTTP server, of 4 KiB, do.
func gorillaBuffer(s Settings) int {
	if s.Kind == OneWay || s.Kind == Duplex || s.Kind == PingPong {
		return floorBuffer
	}
	return 0
}

type gorillaLink struct {
	c      *websocket.Conn
	buffer []byte // owned by Receive
}

func (l *gorillaLink) Send(msg []byte) error { return l.c.WriteMessage(websocket.BinaryMessage, msg) }
func (l *gorillaLink) Flush() error          { return nil }
func (l *gorillaLink) Close() error          { return l.c.Close() }

func (l *gorillaLink) Receive() ([]byte, error) {
	_, r, err := l.c.NextReader()
	if err != nil {
		return nil, err
	}
	l.buffer, err = readAll(r, l.buffer)
	return l.buffer, err
}

// readAll is io.ReadAll into a buffer that is used again.
func readAll(r io.Reader, buffer []byte) ([]byte, error) {
	buffer = buffer[:0]
	for {
		if len(buffer) == cap(buffer) {
			buffer = append(buffer, make([]byte, max(512, len(buffer)))...)[:len(buffer)]
		}
		n, err := r.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if err == io.EOF {
			return buffer, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// httpGrace is how long an HTTP server may take to end.
const httpGrace = 10 * time.Second

// serveHTTP starts a host whose links come about over HTTP.
func serveHTTP(s *serving, handle http.HandlerFunc) (*Host, error) {
	l, err := net.Listen("tcp", loopback)
	if err != nil {
		return nil, err
	}
	server := http.Server{Handler: handle}
	served := make(chan struct{})
	go func() { // ends with the server
		defer close(served)
		server.Serve(l)
	}()
	return &Host{Address: l.Addr().String(), Stop: func() error {
		s.stop()
		ctx, cancel := context.WithTimeout(context.Background(), httpGrace)
		defer cancel()
		err := server.Shutdown(ctx)
		<-served
		return err
	}}, nil
}
