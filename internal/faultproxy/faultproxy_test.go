package faultproxy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/internal/faultproxy"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// patience bounds what has to happen soon: only a failing test takes that long.
const patience = 20 * time.Second

// serve serves p in front of a listener of the test's, until the test ends.
func serve(t *testing.T, p *faultproxy.Proxy) (address string, target *net.TCPListener) {
	t.Helper()
	target = listen(t)
	p.Target = target.Addr().String()
	l := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx, l) }() // ends with ctx
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-served:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(patience):
			t.Error("Serve does not end with its context")
		}
	})
	return l.Addr().String(), target
}

func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

// connect returns the two ends of a connection through the proxy.
func connect(t *testing.T, address string, target *net.TCPListener) (client, server *net.TCPConn) {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	target.SetDeadline(time.Now().Add(patience))
	server, err = target.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close(); server.Close() })
	for _, nc := range []net.Conn{nc, server} {
		nc.SetDeadline(time.Now().Add(patience))
	}
	return nc.(*net.TCPConn), server
}

func content(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

// pass sends p from one end, with its end of stream, and returns what arrives
// at the other.
func pass(from, to *net.TCPConn, p []byte) ([]byte, error) {
	go func() { // ends with p, or with the connection
		from.Write(p)
		from.CloseWrite()
	}()
	return io.ReadAll(to)
}

func TestWhateverIsDoneToItsTimingAStreamArrivesAsItIs(t *testing.T) {
	for name, test := range map[string]struct {
		faults faultproxy.Faults
		size   int
	}{
		"nothing":                   {faultproxy.Faults{}, 3 << 20},
		"split":                     {faultproxy.Faults{Split: 3}, 5000},
		"delayed":                   {faultproxy.Faults{Delay: 2 * time.Millisecond}, 1 << 20},
		"coalesced":                 {faultproxy.Faults{Coalesce: 2 * time.Millisecond}, 1 << 20},
		"split, delayed, coalesced": {faultproxy.Faults{Split: 9000, Delay: time.Millisecond, Coalesce: time.Millisecond}, 1 << 20},
		"faults far behind its end": {faultproxy.Faults{Corrupt: 1 << 60, Reset: 1 << 60, BlackHole: 1 << 60, HalfClose: 1 << 60}, 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			p := &faultproxy.Proxy{Faults: test.faults, Seed: 1}
			address, target := serve(t, p)
			client, server := connect(t, address, target)
			var both sync.WaitGroup
			for _, ends := range [][2]*net.TCPConn{{client, server}, {server, client}} {
				both.Go(func() { // ends with the stream
					got, err := pass(ends[0], ends[1], content(test.size))
					if err != nil || !bytes.Equal(got, content(test.size)) {
						t.Errorf("%d bytes arrived of %d, or others; error %v", len(got), test.size, err)
					}
				})
			}
			both.Wait()
			want := faultproxy.Stats{Connections: 1, Bytes: 2 * int64(test.size)}
			if diff := cmp.Diff(want, p.Stats()); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSplitPiecesAreReadAsSuch(t *testing.T) {
	address, target := serve(t, &faultproxy.Proxy{Faults: faultproxy.Faults{Split: 2, Delay: time.Millisecond}, Seed: 1})
	client, server := connect(t, address, target)
	if _, err := client.Write(content(40)); err != nil {
		t.Fatal(err)
	}
	reads := 0
	for p := make([]byte, 40); len(p) > 0; reads++ {
		n, err := server.Read(p)
		if err != nil {
			t.Fatal(err)
		}
		p = p[n:]
	}
	if reads < 5 { // of 20 to 40 pieces, on a machine however busy
		t.Errorf("40 bytes came in %d reads", reads)
	}
}

func TestTheSeedDecidesWhichBytesAreCorrupted(t *testing.T) {
	const size, average = 200_000, 1000
	run := func(seed uint64, split int) []byte {
		p := &faultproxy.Proxy{Faults: faultproxy.Faults{Corrupt: average, Split: split}, Seed: seed}
		address, target := serve(t, p)
		client, server := connect(t, address, target)
		got, err := pass(client, server, content(size))
		if err != nil || len(got) != size {
			t.Fatalf("%d bytes arrived, error %v", len(got), err)
		}
		changed := int64(0)
		for i, b := range content(size) {
			if d := b ^ got[i]; d != 0 {
				changed++
				if d&(d-1) != 0 {
					t.Errorf("more than one bit of byte %d is changed: %02x is %02x", i, b, got[i])
				}
			}
		}
		if s := p.Stats(); s.Corrupted != changed || changed < size/average/2 || changed > size/average*2 {
			t.Errorf("%d bytes are changed, counted are %d, expected about %d", changed, s.Corrupted, size/average)
		}
		return got
	}
	first := run(7, 0)
	if !bytes.Equal(first, run(7, 5000)) {
		t.Error("the same seed changes other bytes when they come in other pieces")
	}
	if bytes.Equal(first, run(8, 0)) {
		t.Error("another seed changes the same bytes")
	}
}

func TestAResetReachesBothEndsAtItsPlace(t *testing.T) {
	var places []int
	for range 2 {
		p := &faultproxy.Proxy{Faults: faultproxy.Faults{Reset: 10_000}, Seed: 3}
		address, target := serve(t, p)
		client, server := connect(t, address, target)
		// Byte by byte: a reset destroys what has not been read.
		n := 0
		var err error
		for b := []byte{0}; err == nil; n++ {
			if _, err = client.Write(b); err == nil {
				_, err = io.ReadFull(server, b)
			}
		}
		places = append(places, n-1)
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("the client reads %v, expected a reset", err)
		}
		if _, err := server.Read(make([]byte, 1)); err == nil {
			t.Error("the server reads on")
		}
		if s := p.Stats(); s.Resets != 1 || s.Bytes != int64(n-1) {
			t.Errorf("counts %+v, expected a reset after %d bytes", s, n-1)
		}
	}
	if places[0] != places[1] || places[0] == 0 {
		t.Errorf("the same seed resets after %d bytes, and after %d", places[0], places[1])
	}
}

func TestABlackHoleSwallowsBothDirectionsAndTheirEnds(t *testing.T) {
	p := &faultproxy.Proxy{Faults: faultproxy.Faults{BlackHole: 10_000}, Seed: 5}
	address, target := serve(t, p)
	client, server := connect(t, address, target)
	go client.Write(content(1 << 20)) // ends with the test
	server.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	got, err := io.ReadAll(server)
	if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() {
		t.Errorf("after %d bytes the server reads %v, expected silence", len(got), err)
	}
	if !bytes.Equal(got, content(1 << 20)[:len(got)]) {
		t.Error("what came before is not what was sent")
	}
	if s := p.Stats(); s.BlackHoles != 1 || s.Bytes != int64(len(got)) {
		t.Errorf("counts %+v, %d bytes have come", s, len(got))
	}
	server.Write([]byte("into the hole"))
	server.CloseWrite()
	client.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := client.Read(make([]byte, 1)); n > 0 || err == io.EOF {
		t.Errorf("the client reads %d bytes, %v, expected silence", n, err)
	}
}

func TestAHalfCloseEndsADirectionAtItsPlaceAndLeavesTheOther(t *testing.T) {
	var places []int
	for range 2 {
		p := &faultproxy.Proxy{Faults: faultproxy.Faults{HalfClose: 10_000}, Seed: 4}
		address, target := serve(t, p)
		client, server := connect(t, address, target)
		got, err := pass(client, server, content(1<<20)) // what is behind the end is dropped
		if err != nil || !bytes.Equal(got, content(1 << 20)[:len(got)]) {
			t.Errorf("%d bytes arrived, or others; error %v", len(got), err)
		}
		places = append(places, len(got))
		if s := p.Stats(); s.HalfCloses != 1 || s.Bytes != int64(len(got)) {
			t.Errorf("counts %+v, %d bytes have come", s, len(got))
		}
		got, err = pass(server, client, []byte("a reply"))
		if string(got) != "a reply" || err != nil {
			t.Errorf("the client reads %q, %v", got, err)
		}
	}
	if places[0] != places[1] || places[0] == 0 {
		t.Errorf("the same seed ends the direction after %d bytes, and after %d", places[0], places[1])
	}
}

func TestTheEndOfOneDirectionLeavesTheOther(t *testing.T) {
	address, target := serve(t, &faultproxy.Proxy{})
	client, server := connect(t, address, target)
	client.CloseWrite()
	if _, err := server.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the server reads %v, expected the end", err)
	}
	got, err := pass(server, client, []byte("a reply"))
	if string(got) != "a reply" || err != nil {
		t.Errorf("the client reads %q, %v", got, err)
	}
}

func TestAResetByOneEndIsAResetOfTheOther(t *testing.T) {
	address, target := serve(t, &faultproxy.Proxy{})
	client, server := connect(t, address, target)
	client.SetLinger(0)
	client.Close()
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server reads %v, expected a reset", err)
	}
}

func TestWhereNobodyListensAConnectionIsReset(t *testing.T) {
	address, target := serve(t, &faultproxy.Proxy{})
	target.Close()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return // the reset was quicker
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client reads %v, expected a reset", err)
	}
}
