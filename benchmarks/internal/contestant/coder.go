package contestant

import (
	"context"
	"net/http"

	"github.com/coder/websocket"
)

// newCoder returns coder/websocket, without compression, which is its default,
// and with Reader into memory that is used again instead of Read.
func newCoder() *Contestant {
	return &Contestant{
		Name:    "coder",
		Modules: []string{"github.com/coder/websocket"},
		How:     "binary messages, no compression, received into one buffer again and again; the usual hub",
		More: "It speaks to browsers, also compiled to WebAssembly in one, passes HTTP proxies, has text messages, " +
			"compression and pings, masks what a client sends, and its calls take contexts.",
		Listen: func(s Settings, handle func(Link)) (*Host, error) {
			serving := newServing(handle)
			return serveHTTP(serving, func(w http.ResponseWriter, r *http.Request) {
				c, err := websocket.Accept(w, r, nil)
				if err != nil {
					return // Accept has told the client, which reports it
				}
				serving.serve(newCoderLink(c))
			})
		},
		Dial: func(ctx context.Context, s Settings, address string, _ int) (Link, error) {
			c, _, err := websocket.Dial(ctx, "ws://"+address, nil)
			if err != nil {
				return nil, err
			}
			return newCoderLink(c), nil
		},
	}
}

type coderLink struct {
	c      *websocket.Conn
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	buffer []byte // owned by Receive
}

func newCoderLink(c *websocket.Conn) *coderLink {
	c.SetReadLimit(-1)
	l := &coderLink{c: c}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

func (l *coderLink) Send(msg []byte) error { return l.c.Write(l.ctx, websocket.MessageBinary, msg) }
func (l *coderLink) Flush() error          { return nil }

func (l *coderLink) Receive() ([]byte, error) {
	_, r, err := l.c.Reader(l.ctx)
	if err != nil {
		return nil, err
	}
	l.buffer, err = readAll(r, l.buffer)
	return l.buffer, err
}

func (l *coderLink) Close() error {
	l.cancel()
	return l.c.CloseNow()
}
