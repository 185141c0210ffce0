package contestant

import (
	"context"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// newNATSRequest returns NATS with requests and replies, which are what it
// offers for a message and its echo.
func newNATSRequest() *Contestant {
	const oneDirection = "see nats: a request has a reply"
	return &Contestant{
		Name:    "nats-request",
		Modules: []string{"github.com/nats-io/nats.go", "github.com/nats-io/nats-server/v2"},
		How:     "as nats, but with a request for each message, and one client that replies to all",
		More:    "As nats; and whoever asks need not know who answers, nor how many of them there are.",
		Without: map[Kind]string{
			OneWay: oneDirection,
			Duplex: oneDirection,
			FanOut: oneDirection,
		},
		MaxSize: server.MAX_PAYLOAD_SIZE,
		Echo:    echoNATS,
		Dial: func(_ context.Context, s Settings, address string, _ int) (Link, error) {
			nc, err := nats.Connect("nats://"+address, nats.NoReconnect(), nats.Timeout(natsPatience))
			if err != nil {
				return nil, err
			}
			return &natsRequest{nc: nc}, nil
		},
	}
}

const natsEcho = "echo"

func echoNATS(s Settings) (*Host, error) {
	broker, err := startNATS()
	if err != nil {
		return nil, err
	}
	address := broker.Addr().String()
	nc, err := connectNATS(s, address)
	if err != nil {
		stopNATS(broker)
		return nil, err
	}
	host := &Host{Address: address, Stop: func() error {
		nc.Close()
		stopNATS(broker)
		return nil
	}}
	_, err = nc.Subscribe(natsEcho, func(m *nats.Msg) { m.Respond(m.Data) })
	if err == nil {
		err = nc.Flush() // whoever asks now is heard
	}
	if err != nil {
		host.Stop()
		return nil, err
	}
	return host, nil
}

// natsRequest makes a request of each message.
type natsRequest struct {
	nc  *nats.Conn
	msg []byte // that was sent
}

func (l *natsRequest) Send(msg []byte) error {
	l.msg = msg
	return nil
}

func (l *natsRequest) Flush() error { return nil }

func (l *natsRequest) Receive() ([]byte, error) {
	m, err := l.nc.Request(natsEcho, l.msg, time.Minute)
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

func (l *natsRequest) Close() error {
	l.nc.Close()
	return nil
}
