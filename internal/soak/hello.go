package main

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/tinyproto-go/tinyproto/wire"
)

// wrong is a way not to greet.
type wrong struct {
	name  string
	write []byte
	do    func(net.Conn) // then; nil means to wait for the server's end
	kind  string         // what the server takes it for
}

var wrongs = []wrong{
	{"a letter", []byte("G"), nil, foreign},
	{"HTTP", []byte("GET / HTTP/1.1\r\nHost: here\r\n\r\n"), nil, foreign},
	{"TLS", []byte{0x16, 3, 1, 0, 200, 1}, nil, foreign},
	{"CONLIMIT", []byte{byte(wire.ConnLimit)}, nil, refused},
	{"ERROR", []byte{byte(wire.Error)}, nil, refused},
	{"an end", nil, func(nc net.Conn) { nc.Close() }, refused},
	{"a reset", nil, func(nc net.Conn) {
		if t, ok := nc.(*net.TCPConn); ok {
			t.SetLinger(0)
		}
		nc.Close()
	}, refused},
	{"silence", nil, nil, timeout},
}

// wrongHello is a client that the server has to send away.
func (v *visit) wrongHello() error {
	nc, err := v.dialBare()
	if err != nil {
		return err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(v.fleet.patience + helloTimeout))
	var hello [1]byte
	if _, err := io.ReadFull(nc, hello[:]); err != nil {
		return err // it was not greeted: the server is ending
	}
	w := wrongs[v.rng.IntN(len(wrongs))]
	// The server has greeted, and so has to account for what follows.
	v.fleet.books.greetedWrongly(v.server.number, w.kind)
	if _, err := nc.Write(w.write); err != nil && len(w.write) > 0 {
		return nil
	}
	if w.do != nil {
		w.do(nc)
		return nil
	}
	err = v.outwait(nc)
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		v.fleet.books.fault("the server does not end a connection without a hello: %s", w.name)
	}
	return nil
}
