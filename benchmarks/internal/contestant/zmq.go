package contestant

import (
	"context"
	"fmt"
	"io"
	"log"
	"strings"
	"sync"

	"github.com/go-zeromq/zmq4"
)

// newZMQ returns the pure Go implementation of ZeroMQ, with a pair of PAIR
// sockets for each link: these are for two peers that both talk whenever they
// like, as a link does.
func newZMQ() *Contestant {
	const one = "a PAIR socket serves one connection, and so a host as many as it listens for"
	return &Contestant{
		Name:    "zmq4",
		Modules: []string{"github.com/go-zeromq/zmq4"},
		How:     "go-zeromq/zmq4, ZeroMQ in pure Go: PAIR sockets, no security",
		More: "ZeroMQ has socket types for many patterns (publish, push, request, routing), multipart messages, reconnection, " +
			"and many languages.",
		Without: map[Kind]string{
			Connects: one,
			Idle:     one,
			FanOut:   "a subscriber of its PUB sockets can't know from when on it receives, so that nothing could be verified",
		},
		Listen: listenZMQ,
		Dial: func(ctx context.Context, s Settings, address string, n int) (Link, error) {
			addresses := strings.Split(address, ",")
			if n >= len(addresses) {
				return nil, fmt.Errorf("link %d to a host that listens for %d", n, len(addresses))
			}
			l := newZMQLink()
			if err := l.socket.Dial(addresses[n]); err != nil {
				l.Close()
				return nil, err
			}
			return l, nil
		},
	}
}

// listenZMQ listens on an address for each link.
func listenZMQ(s Settings, handle func(Link)) (*Host, error) {
	serving := newServing(handle)
	var running sync.WaitGroup
	var addresses []string
	stop := func() error {
		serving.stop()
		running.Wait()
		return nil
	}
	for range s.Links {
		l := newZMQLink()
		if err := l.socket.Listen("tcp://" + loopback); err != nil {
			stop()
			return nil, err
		}
		addresses = append(addresses, "tcp://"+l.socket.Addr().String())
		running.Go(func() { serving.serve(l) }) // ends with the link, which stop closes
	}
	return &Host{Address: strings.Join(addresses, ","), Stop: stop}, nil
}

type zmqLink struct {
	socket zmq4.Socket
	cancel context.CancelFunc
}

func newZMQLink() *zmqLink {
	ctx, cancel := context.WithCancel(context.Background())
	return &zmqLink{zmq4.NewPair(ctx, zmq4.WithLogger(log.New(io.Discard, "", 0))), cancel}
}

func (l *zmqLink) Send(msg []byte) error { return l.socket.Send(zmq4.NewMsg(msg)) }
func (l *zmqLink) Flush() error          { return nil }

func (l *zmqLink) Receive() ([]byte, error) {
	m, err := l.socket.Recv()
	if err != nil {
		return nil, err
	}
	if len(m.Frames) != 1 {
		return nil, fmt.Errorf("a message of %d frames, expected one", len(m.Frames))
	}
	return m.Frames[0], nil
}

func (l *zmqLink) Close() error {
	l.cancel()
	return l.socket.Close()
}
