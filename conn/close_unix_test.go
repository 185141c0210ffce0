package conn_test

import (
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/wire"
)

// A Unix socket knows no reset: without it, an end amid a message that the peer
// has written wholly would look to it like one between messages.
func TestCloseAmidAMessageOverAUnixSocketEndsInsideASize(t *testing.T) {
	own, raw := unixPair(t)
	made := make(chan *conn.Conn, 1)
	go func() { // ends with the hello
		c, err := conn.New(t.Context(), own, nil)
		if err != nil {
			t.Error(err)
		}
		made <- c
	}()
	if _, err := raw.Write(append([]byte{byte(wire.OK)}, 0, 0, 0, 5)); err != nil {
		t.Fatal(err)
	}
	accepted := make([]byte, 2)
	if _, err := io.ReadFull(raw, accepted); err != nil {
		t.Fatal(err)
	}
	(<-made).Close()
	rest, err := io.ReadAll(raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]byte{byte(wire.OK), byte(wire.OK), 1}, append(accepted, rest...)); diff != "" {
		t.Errorf("the peer read (-want +got):\n%s", diff)
	}
}

// To a peer that has accepted an offer of ours, of one byte, that would be it.
func TestCloseWithAnOfferOfOneByteOpenOverAUnixSocketSaysNothingMore(t *testing.T) {
	own, raw := unixPair(t)
	c, peer := greetPlayed(t, t.Context(), own, raw, nil)
	sent := make(chan error, 1)
	go func() { sent <- c.Send(t.Context(), []byte("x")) }() // ends with the connection
	peer.hears(offerOf(1)...)
	peer.says(offerOf(5)...)
	peer.hears(ok)
	c.Close()
	<-sent
	if rest, err := io.ReadAll(peer); err != nil || len(rest) > 0 {
		t.Errorf("the peer read % x, %v behind that", rest, err)
	}
}
