package tinytest_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/tinytest"
)

func TestWhatIsWrittenIsReadInBothDirectionsAtOnce(t *testing.T) {
	overAllLinks(t, func(t *testing.T, a, b *tinytest.Conn) {
		want := data(64 << 10)
		var all sync.WaitGroup
		for _, nc := range []*tinytest.Conn{a, b} {
			all.Go(func() {
				for p := range slices.Chunk(want, 7000) {
					if n, err := nc.Write(p); n != len(p) || err != nil {
						t.Errorf("Write returned %d, %v", n, err)
					}
				}
				if err := nc.CloseWrite(); err != nil {
					t.Error(err)
				}
			})
			all.Go(func() {
				if got, err := io.ReadAll(nc); err != nil || !bytes.Equal(got, want) {
					t.Errorf("read %d bytes, %v; equal: %t", len(got), err, bytes.Equal(got, want))
				}
			})
		}
		all.Wait()
	})
}

func TestPingPong(t *testing.T) {
	overAllLinks(t, func(t *testing.T, a, b *tinytest.Conn) {
		const rounds = 100
		bounce := func(nc *tinytest.Conn, first uint64) { // the even or the odd numbers
			buf := make([]byte, 8)
			for n := first; n < rounds; n += 2 {
				if _, err := io.ReadFull(nc, buf); err != nil || binary.LittleEndian.Uint64(buf) != n {
					t.Errorf("read %d, %v; expected %d", binary.LittleEndian.Uint64(buf), err, n)
					return
				}
				binary.LittleEndian.PutUint64(buf, n+1)
				if _, err := nc.Write(buf); err != nil {
					t.Error(err)
				}
			}
		}
		var all sync.WaitGroup
		all.Go(func() {
			bounce(b, 0)
			expect(t, b, string(binary.LittleEndian.AppendUint64(nil, rounds)))
		})
		a.Write(make([]byte, 8))
		bounce(a, 1)
		all.Wait()
	})
}

func TestManyMayReadAtOnceAndEachByteIsReadOnce(t *testing.T) {
	overAllLinks(t, func(t *testing.T, a, b *tinytest.Conn) {
		want := data(20 << 10)
		var mu sync.Mutex
		var got [256]int
		var readers sync.WaitGroup
		for range 10 {
			readers.Go(func() {
				buf := make([]byte, 500)
				for {
					n, err := b.Read(buf)
					mu.Lock()
					for _, c := range buf[:n] {
						got[c]++
					}
					mu.Unlock()
					if err == io.EOF {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		if _, err := a.Write(want); err != nil {
			t.Error(err)
		}
		a.CloseWrite()
		readers.Wait()
		var expected [256]int
		for _, c := range want {
			expected[c]++
		}
		if got != expected {
			t.Error("not every byte was read once")
		}
	})
}

func TestTheBytesOfAWriteStayTogether(t *testing.T) {
	overAllLinks(t, func(t *testing.T, a, b *tinytest.Conn) {
		const each, writers, times = 100, 5, 4
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				for range times {
					if _, err := a.Write(bytes.Repeat([]byte{byte(w)}, each)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		buf := make([]byte, each)
		for range writers * times {
			if _, err := io.ReadFull(b, buf); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(buf, bytes.Repeat(buf[:1], each)) {
				t.Fatalf("writes are mixed up: %x", buf)
			}
		}
		all.Wait()
	})
}

func TestAllMethodsMayBeCalledAtOnce(t *testing.T) {
	overAllLinks(t, func(t *testing.T, a, b *tinytest.Conn) {
		var echo, all sync.WaitGroup
		echo.Go(func() { io.Copy(b, b) }) // ends when a is closed
		for i := range 30 {
			soon := time.Now().Add(time.Duration(i) * time.Millisecond)
			all.Go(func() { a.Read(make([]byte, 1024)) })
			all.Go(func() { a.Write(make([]byte, 1024)) })
			all.Go(func() { a.SetDeadline(soon) })
			all.Go(func() { a.SetReadDeadline(soon) })
			all.Go(func() { a.SetWriteDeadline(soon) })
			all.Go(func() { a.SetLinger(1); a.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true}) })
			all.Go(func() { a.LocalAddr(); b.RemoteAddr() })
		}
		all.Wait()
		a.Close()
		b.Close()
		echo.Wait()
	})
}

func TestReadingOrWritingNothingDoesNotWait(t *testing.T) {
	overAllLinks(t, func(t *testing.T, a, b *tinytest.Conn) {
		for name, call := range map[string]func([]byte) (int, error){"Read": a.Read, "Write": a.Write} {
			if n, err := call(nil); n != 0 || err != nil {
				t.Errorf("%s of nothing returned %d, %v", name, n, err)
			}
		}
	})
}

func TestWhatWasWrittenMayBeChangedAfterwards(t *testing.T) {
	for name, latency := range map[string]time.Duration{"arrived": 0, "on its way": time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, _ := pair(tinytest.Conditions{Buffer: 100, Latency: latency})
				p := []byte("before")
				if _, err := a.Write(p); err != nil {
					t.Fatal(err)
				}
				copy(p, "after!")
				expect(t, b, "before")
			})
		})
	}
}

func TestErrorsAreThoseOfPackageNet(t *testing.T) {
	a, b, _ := pair(tinytest.Conditions{})
	a.SetReadDeadline(time.Unix(1, 0))
	_, err := a.Read(make([]byte, 1))
	var op *net.OpError
	if !errors.As(err, &op) || !op.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a deadline ends a Read with %#v", err)
	}
	if want := "read tinytest a:1->b: i/o timeout"; err.Error() != want {
		t.Errorf("error %q, expected %q", err, want)
	}
	b.Close()
	a.Close()
	if err := a.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closing again returned %v", err)
	}
	for name, err := range map[string]error{
		"SetDeadline":        a.SetDeadline(time.Time{}),
		"SetReadDeadline":    a.SetReadDeadline(time.Time{}),
		"SetWriteDeadline":   a.SetWriteDeadline(time.Time{}),
		"SetLinger":          a.SetLinger(0),
		"SetKeepAliveConfig": a.SetKeepAliveConfig(net.KeepAliveConfig{}),
		"CloseWrite":         a.CloseWrite(),
	} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s after Close returned %v", name, err)
		}
	}
}

func TestBothEndsKnowTheirNames(t *testing.T) {
	n := tinytest.NewNetwork(tinytest.Config{})
	n.Pair("a", "b")
	a, b := n.Pair("a", "b")
	for _, c := range []struct {
		addr net.Addr
		want string
	}{
		{a.LocalAddr(), "a:2"}, {a.RemoteAddr(), "b"}, {b.LocalAddr(), "b"}, {b.RemoteAddr(), "a:2"},
	} {
		if c.addr.String() != c.want || c.addr.Network() != "tinytest" {
			t.Errorf("address %v of network %q, expected %s", c.addr, c.addr.Network(), c.want)
		}
	}
}
