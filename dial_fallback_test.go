package tinyproto_test

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/tinyproto-go/tinyproto"
)

// A server that does not agree to pipelined mode is dialled again, in classic mode,
// if that is allowed, and only then.
func TestDialFallsBackToClassicModeWhereItMay(t *testing.T) {
	for name, c := range map[string]struct {
		start  func(t *testing.T) (address string)
		agrees bool
	}{
		"a server in either mode":  {start: ours(tinyproto.Options{}), agrees: true},
		"a server in classic mode": {start: ours(tinyproto.Options{Mode: tinyproto.Classic})},
		"a legacy server, which answers ERROR and never reads again": {start: legacy(func(nc *net.TCPConn) {
			nc.Write([]byte{0})
			io.Copy(io.Discard, nc)
		})},
		"a server that ends the connection": {start: legacy(func(nc *net.TCPConn) {})},
		"a server that resets it":           {start: legacy(func(nc *net.TCPConn) { nc.SetLinger(0) })},
	} {
		for _, fallback := range []bool{true, false} {
			may := "may not"
			if fallback {
				may = "may"
			}
			t.Run(name+"/it "+may, func(t *testing.T) {
				t.Parallel()
				conn, err := tinyproto.Dial(t.Context(), c.start(t), &tinyproto.DialOptions{
					Fallback: fallback, Conn: tinyproto.Options{Mode: tinyproto.Pipelined},
				})
				if !c.agrees && !fallback {
					if !errors.Is(err, tinyproto.ErrModeRefused) {
						t.Errorf("error %v, expected ErrModeRefused", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if err := conn.Send(t.Context(), []byte("hello")); err != nil {
					t.Error(err)
				}
				if got, err := conn.Receive(t.Context()); string(got) != "hello" || err != nil {
					t.Errorf("received %q, %v", got, err)
				}
				if got := conn.Stats().Pipelined; got != c.agrees {
					t.Errorf("pipelined mode: %t, expected %t", got, c.agrees)
				}
			})
		}
	}
}

// ours is an echo server of this library.
func ours(opts tinyproto.Options) func(*testing.T) string {
	return func(t *testing.T) string {
		l := listen(t, "127.0.0.1:0")
		serve(t, &tinyproto.Server{Handler: echo, Conn: opts}, l)
		return l.Addr().String()
	}
}

// legacy refuses its first client, which greets and asks for pipelined mode, and
// echoes one message of the next, by the rules of classic mode alone.
func legacy(refuse func(*net.TCPConn)) func(*testing.T) string {
	return func(t *testing.T) string {
		l := listen(t, "127.0.0.1:0")
		var clients atomic.Int32
		go func() { // ends with l
			for {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				first := clients.Add(1) == 1
				go func() { // ends with the client
					defer nc.Close()
					nc.Write([]byte{0xff})
					if first {
						io.ReadFull(nc, make([]byte, 1+4))
						refuse(nc.(*net.TCPConn))
						return
					}
					message := make([]byte, 1+4)
					io.ReadFull(nc, message) // the hello and a size
					nc.Write([]byte{0xff})
					message = append(message[1:], make([]byte, message[4])...)
					io.ReadFull(nc, message[4:])
					nc.Write(message[:4])
					io.ReadFull(nc, make([]byte, 1))
					nc.Write(message[4:])
					io.Copy(io.Discard, nc)
				}()
			}
		}()
		return l.Addr().String()
	}
}
