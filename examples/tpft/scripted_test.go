package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

const (
	confirmedText = `{"type":"confirmed","letter":{}}`
	closeText     = `{"type":"close","letter":{}}`
)

// scripted is a listener whose connections a test serves byte by byte.
type scripted struct {
	listener net.Listener
	address  string
}

func startScripted(t *testing.T) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &scripted{l, l.Addr().String()}
}

// accept waits for a connection and greets.
func (s *scripted) accept(t *testing.T) *rawPeer {
	t.Helper()
	s.listener.(*net.TCPListener).SetDeadline(time.Now().Add(bound))
	nc, err := s.listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return newRawPeer(t, nc)
}

// connect connects to a server and greets.
func connect(t *testing.T, address string) *rawPeer {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return newRawPeer(t, nc)
}

// rawPeer is a peer that takes turns, as those in Python do.
type rawPeer struct {
	*testing.T
	nc net.Conn
}

func newRawPeer(t *testing.T, nc net.Conn) *rawPeer {
	t.Helper()
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(bound))
	p := &rawPeer{t, nc}
	p.write([]byte{0xff})
	p.expect([]byte{0xff})
	return p
}

func (p *rawPeer) write(b []byte) {
	p.Helper()
	if _, err := p.nc.Write(b); err != nil {
		p.Fatal(err)
	}
}

// expect reads exactly these bytes.
func (p *rawPeer) expect(want []byte) {
	p.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(p.nc, got); err != nil || !bytes.Equal(got, want) {
		p.Fatalf("read %.200q, %v; expected %.200q", got[:n], err, want)
	}
}

// message sends a message, in turn.
func (p *rawPeer) message(text string) {
	p.Helper()
	p.write(binary.BigEndian.AppendUint32(nil, uint32(len(text))))
	p.expect([]byte{0xff})
	p.write([]byte(text))
}

// receive receives a message, in turn.
func (p *rawPeer) receive() string {
	p.Helper()
	var size [4]byte
	if _, err := io.ReadFull(p.nc, size[:]); err != nil {
		p.Fatal(err)
	}
	p.write([]byte{0xff})
	text := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(p.nc, text); err != nil {
		p.Fatal(err)
	}
	return string(text)
}

func (p *rawPeer) expectMessage(want string) {
	p.Helper()
	if got := p.receive(); got != want {
		p.Fatalf("received %.200q, expected %.200q", got, want)
	}
}

// expectEnd reads the end of the stream, and nothing before it.
func (p *rawPeer) expectEnd() {
	p.Helper()
	got, err := io.ReadAll(p.nc)
	if len(got) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		p.Fatalf("read %.200q, %v; expected the end of the stream", got, err)
	}
}

// end ends the connection as both ends are to.
func (p *rawPeer) end() {
	p.Helper()
	p.nc.(*net.TCPConn).CloseWrite()
	p.expectEnd()
	p.nc.Close()
}
