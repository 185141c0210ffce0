package contestant

import (
	"context"
	"fmt"
	"math"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
)

// newGRPC returns gRPC with one stream of messages in both directions a
// connection. Its codec hands bytes on as they are: with protocol buffers there
// would be one more copy. Windows of a fixed size, which its documentation offers,
// spare it the pings that it measures the link with: that pays where messages are
// small and wait for each other, and costs otherwise.
func newGRPC() *Contestant {
	return &Contestant{
		Name:    "grpc",
		Modules: []string{"google.golang.org/grpc"},
		How: "one bidirectional stream a connection, without TLS, with a codec that hands bytes on; windows of a fixed size " +
			"for ping-pong below 64 KiB, where they pay; the usual hub",
		More: "It carries any number of calls over one connection (HTTP/2), with metadata, deadlines, interceptors, load balancing, " +
			"generated code and many languages.",
		Listen: listenGRPC,
		Dial:   dialGRPC,
	}
}

const (
	grpcWindow = 1 << 20
	grpcMethod = "/benchmarks.Bytes/Exchange"
)

// fixedWindow says whether the windows are of a fixed size.
func fixedWindow(s Settings) bool { return s.Kind == PingPong && s.Size < 64<<10 }

var grpcStream = grpc.StreamDesc{StreamName: "Exchange", ServerStreams: true, ClientStreams: true,
	Handler: func(server any, stream grpc.ServerStream) error {
		server.(*serving).serve(&grpcLink{stream: stream, close: func() error { return nil }})
		return nil
	}}

func listenGRPC(s Settings, handle func(Link)) (*Host, error) {
	l, err := net.Listen("tcp", loopback)
	if err != nil {
		return nil, err
	}
	options := []grpc.ServerOption{grpc.ForceServerCodecV2(bytesCodec{}), grpc.MaxRecvMsgSize(math.MaxInt32), grpc.WaitForHandlers(true)}
	if fixedWindow(s) {
		options = append(options, grpc.InitialWindowSize(grpcWindow), grpc.InitialConnWindowSize(grpcWindow))
	}
	server := grpc.NewServer(options...)
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "benchmarks.Bytes", HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{grpcStream}}, newServing(handle))
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }() // ends with the server
	return &Host{Address: l.Addr().String(), Stop: func() error {
		server.Stop() // ends the streams and waits for their handlers
		return <-served
	}}, nil
}

func dialGRPC(ctx context.Context, s Settings, address string, _ int) (Link, error) {
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(bytesCodec{}), grpc.MaxCallRecvMsgSize(math.MaxInt32))}
	if fixedWindow(s) {
		options = append(options, grpc.WithInitialWindowSize(grpcWindow), grpc.WithInitialConnWindowSize(grpcWindow))
	}
	client, err := grpc.NewClient("passthrough:///"+address, options...)
	if err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	stream, err := client.NewStream(life, &grpcStream, grpcMethod)
	if err != nil {
		cancel()
		client.Close()
		return nil, err
	}
	return &grpcLink{stream: stream, close: func() error {
		cancel()
		return client.Close()
	}}, nil
}

// grpcLink is one end of a stream.
type grpcLink struct {
	stream interface { // what client's and server's have in common
		SendMsg(msg any) error
		RecvMsg(msg any) error
	}
	close    func() error
	sent     outgoing // owned by Send
	received incoming // owned by Receive
}

// Messages, as the codec knows them.
type (
	outgoing struct{ msg []byte }
	incoming struct{ buffer mem.Buffer }
)

func (l *grpcLink) Send(msg []byte) error {
	l.sent.msg = msg
	return l.stream.SendMsg(&l.sent)
}

func (l *grpcLink) Flush() error { return nil }

// Receive gives the memory of the message before back for reuse when the next
// one has come: until then, its echo may still be under way.
func (l *grpcLink) Receive() ([]byte, error) {
	before := l.received.buffer
	if err := l.stream.RecvMsg(&l.received); err != nil {
		return nil, err
	}
	if before != nil {
		before.Free()
	}
	return l.received.buffer.ReadOnlyData(), nil
}

func (l *grpcLink) Close() error { return l.close() }

// bytesCodec encodes nothing.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "bytes" }

func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	out, ok := v.(*outgoing)
	if !ok {
		return nil, fmt.Errorf("a message of type %T, expected %T", v, out)
	}
	return mem.BufferSlice{mem.SliceBuffer(out.msg)}, nil
}

func (bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	in, ok := v.(*incoming)
	if !ok {
		return fmt.Errorf("a message of type %T, expected %T", v, in)
	}
	in.buffer = data.MaterializeToBuffer(mem.DefaultBufferPool())
	return nil
}
