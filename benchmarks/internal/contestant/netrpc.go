package contestant

import (
	"context"
	"io"
	"net"
	"net/rpc"
)

// newNetRPC returns net/rpc, for what is a request and its reply.
func newNetRPC() *Contestant {
	const oneDirection = "a call has one reply, and the server sends nothing else"
	return &Contestant{
		Name: "net-rpc",
		How:  "a call for each message, whose reply is the echo; gob, its default codec",
		More: "It matches many calls at once with their replies, names methods, and encodes Go values.",
		Without: map[Kind]string{
			OneWay: oneDirection,
			Duplex: oneDirection,
			FanOut: oneDirection,
		},
		Echo: func(Settings) (*Host, error) {
			server := rpc.NewServer()
			if err := server.RegisterName("Bytes", bytesService{}); err != nil {
				return nil, err
			}
			return listenTCP(
				func(l Link) { server.ServeConn(l.(rpcServed).ReadWriteCloser) },
				func(nc net.Conn) (Link, error) { return rpcServed{nc}, nil })
		},
		Dial: func(ctx context.Context, _ Settings, address string, _ int) (Link, error) {
			nc, err := dialTCP(ctx, address)
			if err != nil {
				return nil, err
			}
			return &rpcLink{client: rpc.NewClient(nc), done: make(chan *rpc.Call, 1)}, nil
		},
	}
}

// bytesService is what the server offers.
type bytesService struct{}

// Echo returns what it is given.
func (bytesService) Echo(msg *[]byte, reply *[]byte) error {
	*reply = *msg
	return nil
}

// rpcServed is a connection that net/rpc serves: there is nothing to send or
// to receive, but it is closed with its host.
type rpcServed struct{ io.ReadWriteCloser }

func (rpcServed) Send([]byte) error        { return errOneDirection }
func (rpcServed) Flush() error             { return nil }
func (rpcServed) Receive() ([]byte, error) { return nil, errOneDirection }

// rpcLink makes a call of each message.
type rpcLink struct {
	client *rpc.Client
	done   chan *rpc.Call // cap 1
	msg    []byte         // owned by the call
	reply  []byte         // owned by the call, and by Receive after it
}

func (l *rpcLink) Send(msg []byte) error {
	l.msg = msg
	l.client.Go("Bytes.Echo", &l.msg, &l.reply, l.done)
	return nil
}

func (l *rpcLink) Flush() error { return nil }

func (l *rpcLink) Receive() ([]byte, error) {
	call := <-l.done
	return l.reply, call.Error
}

func (l *rpcLink) Close() error { return l.client.Close() }
