package contestant

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// newNATS returns NATS with publish and subscribe: both ends of a link are
// clients of a server that runs beside the end that is dialled, as are all
// receivers of a broadcast.
func newNATS() *Contestant {
	return &Contestant{
		Name:    "nats",
		Modules: []string{"github.com/nats-io/nats.go", "github.com/nats-io/nats-server/v2"},
		How: "core NATS, publish and subscribe, with a server embedded in the process of the dialled end and a client at both ends, " +
			"so that each message goes through two connections; limits of what is pending lifted, so that none is dropped; " +
			"for a broadcast, one publisher, and a subscriber at each connection",
		More: "It is a broker: subjects, queue groups, reconnection, clusters, persistence, many languages; " +
			"senders and receivers need not know each other, nor be there at the same time.",
		Without: map[Kind]string{
			Connects: "see nats-request",
			Idle:     "see nats-request",
		},
		MaxSize: server.MAX_PAYLOAD_SIZE,
		Listen:  listenNATS,
		Hub:     hubNATS,
		Dial:    dialNATS,
	}
}

const (
	natsDials     = "dials"     // where a client asks for a link
	natsBroadcast = "broadcast" // what a hub sends

	natsPatience = 10 * time.Second
	natsPending  = 1 << 30 // bytes that may wait for one client before the server gives it up

	// natsQueue is how many messages may wait in all clients together until
	// they are received, where nothing else bounds them.
	natsQueue = 1 << 19
)

// startNATS starts a server.
func startNATS() (*server.Server, error) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT,
		NoSigs: true, NoLog: true, MaxPending: natsPending})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(natsPatience) {
		stopNATS(s)
		return nil, fmt.Errorf("the server was not ready within %v", natsPatience)
	}
	return s, nil
}

func stopNATS(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func connectNATS(s Settings, address string) (*nats.Conn, error) {
	queue := max(nats.DefaultMaxChanLen, natsQueue/max(1, s.Links))
	if s.Kind == FanOut {
		queue = 2 * s.Queue
	}
	return nats.Connect("nats://"+address, nats.NoReconnect(), nats.SyncQueueLen(queue), nats.Timeout(natsPatience))
}

// listenNATS has the links of the dialled end each use a client of its own.
func listenNATS(s Settings, handle func(Link)) (*Host, error) {
	broker, err := startNATS()
	if err != nil {
		return nil, err
	}
	serving := newServing(handle)
	address := broker.Addr().String()
	accepting, err := connectNATS(s, address)
	if err != nil {
		stopNATS(broker)
		return nil, err
	}
	_, err = accepting.Subscribe(natsDials, func(m *nats.Msg) {
		name := string(m.Data)
		l, err := openNATS(s, address, "to-host."+name, "to-guest."+name)
		if err != nil {
			return // the guest waits in vain, and reports it
		}
		go serving.serve(l) // ends with the link, which stop closes
		m.Respond(nil)
	})
	host := &Host{Address: address, Stop: func() error {
		accepting.Close()
		serving.stop()
		stopNATS(broker)
		return nil
	}}
	if err == nil {
		err = accepting.Flush() // whoever dials now is heard
	}
	if err != nil {
		host.Stop()
		return nil, err
	}
	return host, nil
}

// natsNames tells the links of one process from each other.
var natsNames atomic.Int64

func dialNATS(ctx context.Context, s Settings, address string, _ int) (Link, error) {
	if s.Kind == FanOut {
		return openNATS(s, address, natsBroadcast, "")
	}
	name := strconv.FormatInt(natsNames.Add(1), 10)
	l, err := openNATS(s, address, "to-guest."+name, "to-host."+name)
	if err != nil {
		return nil, err
	}
	if _, err := l.nc.RequestWithContext(ctx, natsDials, []byte(name)); err != nil {
		l.Close()
		return nil, fmt.Errorf("asking for a link: %w", err)
	}
	return l, nil
}

// natsLink publishes on one subject and subscribes to another.
type natsLink struct {
	nc *nats.Conn
	in *nats.Subscription
	to string
}

func openNATS(s Settings, address, from, to string) (*natsLink, error) {
	nc, err := connectNATS(s, address)
	if err != nil {
		return nil, err
	}
	l := &natsLink{nc: nc, to: to}
	l.in, err = nc.SubscribeSync(from)
	if err == nil {
		err = l.in.SetPendingLimits(-1, -1)
	}
	if err == nil {
		err = nc.Flush() // what is published from now on is heard
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return l, nil
}

func (l *natsLink) Send(msg []byte) error { return l.nc.Publish(l.to, msg) }

// Flush does nothing: the client flushes by itself, and its own Flush would
// wait for the server.
func (l *natsLink) Flush() error { return nil }

func (l *natsLink) Receive() ([]byte, error) {
	m, err := l.in.NextMsg(time.Hour)
	if err != nil {
		if dropped, _ := l.in.Dropped(); dropped > 0 {
			err = errors.Join(err, fmt.Errorf("the client dropped %d messages", dropped))
		}
		return nil, err
	}
	return m.Data, nil
}

func (l *natsLink) Close() error {
	l.nc.Close()
	return nil
}

// natsHub publishes to all subscribers.
type natsHub struct{ nc *nats.Conn }

func hubNATS(s Settings) (*Host, Hub, error) {
	broker, err := startNATS()
	if err != nil {
		return nil, nil, err
	}
	nc, err := connectNATS(s, broker.Addr().String())
	if err != nil {
		stopNATS(broker)
		return nil, nil, err
	}
	return &Host{Address: broker.Addr().String(), Stop: func() error {
		nc.Close()
		stopNATS(broker)
		return nil
	}}, natsHub{nc}, nil
}

// Ready is at once: whoever has dialled has subscribed.
func (h natsHub) Ready(context.Context, int) error { return nil }

func (h natsHub) Broadcast(msg []byte) error { return h.nc.Publish(natsBroadcast, msg) }
