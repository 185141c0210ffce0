package conn_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/internal/testcert"
)

// tlsOver returns the two ends of a TLS connection over x and y. The hello of
// conn.New does the handshake.
func tlsOver(t testing.TB, x, y net.Conn) (*tls.Conn, *tls.Conn) {
	t.Helper()
	authority := testcert.New("authority")
	return tls.Client(x, &tls.Config{ServerName: "server", RootCAs: authority.Pool()}),
		tls.Server(y, &tls.Config{Certificates: []tls.Certificate{authority.Server("server")}})
}

func tlsPair(t testing.TB) (net.Conn, net.Conn) {
	x, y := tcpPair(t)
	return tlsOver(t, x, y)
}

// unixPair returns the two ends of a connection over a Unix socket.
func unixPair(t testing.TB) (net.Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	x, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	y, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close(); y.Close() })
	return x, y
}

// A write of TLS that has timed out can't be continued: so nothing may
// interrupt one that makes progress.
func TestASlowPeerIsNoStalledPeerOverTLS(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		x, y := memPair(t, 1<<10)
		nc, peer := tlsOver(t, x, y)
		s := newStage(t, nc, peer, conn.Options{StallTimeout: time.Second})
		msg := bytes.Repeat([]byte("slow"), 1<<18)
		s.send(string(msg))
		s.peer.hears(offerOf(len(msg))...)
		s.peer.says(ok)
		for piece := range len(msg) / (16 << 10) {
			time.Sleep(100 * time.Millisecond)
			if !s.peer.reads(make([]byte, 16<<10)) {
				t.Fatalf("the connection ended after %d of 64 pieces: %v", piece, s.c.Err())
			}
		}
		if err := <-s.sent; err != nil {
			t.Errorf("Send returned %v", err)
		}
	})
}

func TestAStalledPeerEndsTheConnectionOverTLS(t *testing.T) {
	// So that a write stops before, between and inside of records.
	for _, buffer := range []int{1 << 10, 2 << 10, 5 << 10, 20 << 10, 100 << 10} {
		t.Run(fmt.Sprintf("buffer of %d bytes", buffer), func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				x, y := memPair(t, buffer)
				nc, peer := tlsOver(t, x, y)
				s := newStage(t, nc, peer, conn.Options{StallTimeout: time.Second})
				s.send(large)
				s.peer.hears(offerOf(len(large))...)
				start := time.Now()
				s.peer.says(ok)
				var stall *conn.StallError
				if err := <-s.sent; !errors.As(err, &stall) {
					t.Errorf("Send returned %v, expected a StallError", err)
				}
				if took := time.Since(start); took < time.Second || took > 2*time.Second {
					t.Errorf("the stall was noticed after %v, expected 1s to 2s", took)
				}
			})
		})
	}
}

func TestEndsInsideAMessageOverTLSAreBounded(t *testing.T) {
	for _, c := range []struct {
		end   end
		after time.Duration
	}{
		{byClose, 0},
		{byContext, 5 * time.Second},
		{byShutdown, 10 * time.Second},
	} {
		t.Run(c.end.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				x, y := memPair(t, 1<<10)
				nc, peer := tlsOver(t, x, y)
				s := newStage(t, nc, peer, conn.Options{})
				s.send(large)
				s.peer.hears(offerOf(len(large))...)
				s.peer.says(ok)
				synctest.Wait()
				start := time.Now()
				c.end.do(s)
				if took := (<-s.ended).Sub(start); took != c.after {
					t.Errorf("the end took %v, expected %v", took, c.after)
				}
				if err := <-s.sent; !errors.Is(err, conn.ErrClosed) || errors.Is(err, conn.ErrInDoubt) {
					t.Errorf("Send returned %v, expected ErrClosed", err)
				}
			})
		})
	}
}

// tls.Conn.Close and CloseWrite say farewell, and may wait 5 s for a peer that
// does not read it.
func TestEndsOfAnIdleConnectionOverTLSAreBounded(t *testing.T) {
	for _, c := range []struct {
		end    end
		within time.Duration
		err    []string
	}{
		{byClose, 0, []string{"closed"}},
		{byContext, 5 * time.Second, []string{"canceled", "grace"}},
		{byShutdown, 10 * time.Second, nil},
	} {
		t.Run(c.end.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				x, y := memPair(t, 0)
				nc, peer := tlsOver(t, x, y)
				s := newStage(t, nc, peer, conn.Options{})
				start := time.Now()
				c.end.do(s)
				if took := (<-s.ended).Sub(start); took > c.within {
					t.Errorf("the end took %v, expected at most %v", took, c.within)
				}
				s.checkEnd(endState{}, c.err)
			})
		})
	}
}

func TestACleanEndOverTLSIsClean(t *testing.T) { eachMode(t, testACleanEndOverTLSIsClean) }

func testACleanEndOverTLSIsClean(t *testing.T) {
	leaktest.Check(t)
	x, y := tlsPair(t)
	a, b := joinBounded(t, x, y, nil, nil)
	go func() { a.Send(context.Background(), []byte("last")); a.Shutdown(context.Background()) }() // ends with the connection
	received := 0
	for m, err := range b.Messages(context.Background()) {
		if string(m) != "last" || err != nil {
			t.Errorf("Messages yields %q, %v", m, err)
		}
		received++
	}
	if received != 1 {
		t.Errorf("Messages yields %d pairs, expected 1", received)
	}
	for _, c := range []*conn.Conn{a, b} {
		if err := c.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown returned %v", err)
		}
	}
}

func TestTLSTellsWhatWasAgreedOn(t *testing.T) { eachMode(t, testTLSTellsWhatWasAgreedOn) }

func testTLSTellsWhatWasAgreedOn(t *testing.T) {
	authority := testcert.New("authority")
	x, y := tcpPair(t)
	server := tls.Server(y, &tls.Config{
		Certificates: []tls.Certificate{authority.Server("server")},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    authority.Pool(),
		NextProtos:   []string{"tinyproto"},
	})
	client := tls.Client(x, &tls.Config{
		ServerName:   "server",
		RootCAs:      authority.Pool(),
		Certificates: []tls.Certificate{authority.Client("ada")},
		NextProtos:   []string{"tinyproto"},
	})
	closes := 0
	a, b := joinBounded(t, client, around{server, &closes}, nil, nil)
	for name, state := range map[string]*tls.ConnectionState{"server": a.TLS(), "ada": b.TLS()} {
		if state == nil {
			t.Errorf("TLS returned nil at the peer of %s", name)
			continue
		}
		if !state.HandshakeComplete || state.NegotiatedProtocol != "tinyproto" ||
			len(state.VerifiedChains) == 0 || state.PeerCertificates[0].Subject.CommonName != name {
			t.Errorf("TLS of the peer of %s returned %+v", name, state)
		}
	}
	a.Close()
	b.Close()
	if a.TLS() == nil || b.TLS() == nil {
		t.Error("TLS returned nil after the end")
	}
	if closes == 0 {
		t.Error("what is around the tls.Conn was not closed")
	}
}

func TestTLSOfAPlainConnectionIsNil(t *testing.T) { eachMode(t, testTLSOfAPlainConnectionIsNil) }

func testTLSOfAPlainConnectionIsNil(t *testing.T) {
	x, y := tcpPair(t)
	a, b := joinBounded(t, x, y, nil, nil)
	if a.TLS() != nil || b.TLS() != nil {
		t.Errorf("TLS returned %v and %v", a.TLS(), b.TLS())
	}
}

// around is a transport around another, that counts how often it is closed.
type around struct {
	net.Conn
	closes *int
}

func (a around) NetConn() net.Conn { return a.Conn }

func (a around) Close() error {
	*a.closes++
	return a.Conn.Close()
}

func TestWhatATransportStandsOnIsFoundThroughAllLayers(t *testing.T) {
	eachMode(t, testWhatATransportStandsOnIsFoundThroughAllLayers)
}

func testWhatATransportStandsOnIsFoundThroughAllLayers(t *testing.T) {
	x, y := memPair(t, 1<<10)
	var keepAlive net.KeepAliveConfig
	closes := 0
	a, b := tlsOver(t, around{around{probed{x, &keepAlive}, &closes}, &closes}, y)
	one, other := joinBounded(t, around{a, &closes}, b, &conn.Options{KeepAlive: time.Minute}, nil)
	if !keepAlive.Enable || keepAlive.Idle != time.Minute {
		t.Errorf("keep-alive is %+v", keepAlive)
	}
	one.Close()
	if closes < 2 {
		t.Errorf("of three layers %d were closed", closes)
	}
	<-other.Done()
}

// tls.Conn.Close would write to a peer that does not read for 5 s.
func TestClosingWhatIsAroundTLSDoesNotWaitEither(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		x, y := memPair(t, 0)
		nc, peer := tlsOver(t, x, y)
		closes := 0
		s := newStage(t, around{nc, &closes}, peer, conn.Options{})
		start := time.Now()
		s.c.Close()
		if took := time.Since(start); took > 0 || closes == 0 {
			t.Errorf("Close took %v, and closed the outermost layer %d times", took, closes)
		}
	})
}

func TestAnEndInsideAMessageResetsTheConnectionBelowTLS(t *testing.T) {
	x, y := tcpPair(t)
	closes := 0
	nc, peer := tlsOver(t, around{x, &closes}, y)
	s := newStage(t, nc, peer, conn.Options{})
	s.peer.says(offerOf(100)...)
	s.peer.hears(ok)
	s.c.Close()
	if _, err := s.peer.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the peer reads %v, expected a reset", err)
	}
}
