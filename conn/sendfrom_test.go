package conn_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

const (
	streamPiece = 64 << 10 // what a stream is cut into
	streamLarge = 5 << 20
)

// content is n bytes that don't repeat at any size a stream is cut at. They are
// the same bytes for every test, which must not write to them.
func content(n int) []byte {
	contentCache.Lock()
	defer contentCache.Unlock()
	if len(contentCache.bytes) < n {
		p := make([]byte, 0, n+len(block))
		for len(p) < n {
			p = append(p, block[:len(block)-1]...)
		}
		contentCache.bytes = p
	}
	return contentCache.bytes[:n:n]
}

var contentCache struct {
	sync.Mutex
	bytes []byte
}

// contentFile is a file of the test with this content, open for reading.
func contentFile(t testing.TB, p []byte) *os.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(name, p, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// streamTransports are all that treat a stream differently.
var streamTransports = map[string]func(testing.TB) (net.Conn, net.Conn){
	"tcp":                   tcpPair,
	"unix":                  unixPair,
	"tls":                   tlsPair,
	"pipe":                  pipePair,
	"split tcp":             splitPair(tcpPair),
	"memory without buffer": func(t testing.TB) (net.Conn, net.Conn) { return memPair(t, 0) },
	"memory":                func(t testing.TB) (net.Conn, net.Conn) { return memPair(t, 1000) },
}

// streamReaders are ways to read the same bytes, and the largest size that is
// not tedious for each.
var streamReaders = []struct {
	name    string
	largest int
	of      func(testing.TB, []byte) io.Reader
}{
	{"bytes.Reader", streamLarge, func(_ testing.TB, p []byte) io.Reader { return bytes.NewReader(p) }},
	{"byte by byte", 100, func(_ testing.TB, p []byte) io.Reader { return iotest.OneByteReader(bytes.NewReader(p)) }},
	{"half of what is asked for", streamPiece + 1, func(_ testing.TB, p []byte) io.Reader { return iotest.HalfReader(bytes.NewReader(p)) }},
	{"io.EOF with the last bytes", streamPiece + 1, func(_ testing.TB, p []byte) io.Reader { return iotest.DataErrReader(bytes.NewReader(p)) }},
	{"an error with the last bytes", streamPiece + 1, func(_ testing.TB, p []byte) io.Reader {
		return iotest.DataErrReader(io.MultiReader(bytes.NewReader(p), iotest.ErrReader(io.ErrClosedPipe)))
	}},
	{"now and then nothing", streamPiece + 1, func(_ testing.TB, p []byte) io.Reader { return &dithering{r: bytes.NewReader(p)} }},
	{"endless", streamPiece + 1, func(_ testing.TB, p []byte) io.Reader { return io.MultiReader(bytes.NewReader(p), endless{}) }},
	{"file", streamLarge, func(t testing.TB, p []byte) io.Reader { return contentFile(t, p) }},
	{"pipe", streamLarge, func(t testing.TB, p []byte) io.Reader {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		go func() { w.Write(p); w.Close() }() // ends with the pipe
		return r
	}},
}

// dithering reads nothing 99 times before every Read.
type dithering struct {
	r     io.Reader
	times int
}

func (h *dithering) Read(p []byte) (int, error) {
	if h.times++; h.times%100 != 0 {
		return 0, nil
	}
	return h.r.Read(p)
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestSendFromSendsSizeBytesOfItsReader(t *testing.T) {
	eachMode(t, testSendFromSendsSizeBytesOfItsReader)
}

func testSendFromSendsSizeBytesOfItsReader(t *testing.T) {
	for name, transport := range streamTransports {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			arrived := make(catcher, 1)
			x, y := transport(t)
			a, b := joinBounded(t, x, y, nil, &conn.Options{Accept: arrived.accept})
			want := conn.Stats{Pipelined: inPipelined()}
			for _, r := range streamReaders {
				for _, size := range []int{0, 1, streamPiece - 1, streamPiece, streamPiece + 1, streamLarge} {
					if size > r.largest {
						continue
					}
					msg := content(size)
					if err := a.SendFrom(t.Context(), r.of(t, msg), int64(size)); err != nil {
						t.Fatalf("%s, %d bytes: %v", r.name, size, err)
					}
					c := <-arrived
					c.checkWhole(t, msg)
					want.MessagesSent++
					want.BytesSent += uint64(size)
				}
			}
			shutDown(t, a, b)
			arrived.checkNothingMore(t)
			ignored := cmpopts.IgnoreFields(conn.Stats{}, "LastActivity")
			if diff := cmp.Diff(want, a.Stats(), ignored); diff != "" {
				t.Errorf("Stats (-want +got):\n%s", diff)
			}
			want = conn.Stats{MessagesReceived: want.MessagesSent, BytesReceived: want.BytesSent, Pipelined: inPipelined()}
			if diff := cmp.Diff(want, b.Stats(), ignored); diff != "" {
				t.Errorf("the other end's Stats (-want +got):\n%s", diff)
			}
		})
	}
}

// A file is read from its offset, and left behind the message.
func TestSendFromLeavesAFileBehindTheMessage(t *testing.T) {
	eachMode(t, testSendFromLeavesAFileBehindTheMessage)
}

func testSendFromLeavesAFileBehindTheMessage(t *testing.T) {
	for name, transport := range streamTransports {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			const before, behind = 7, 100
			arrived := make(catcher, 1)
			x, y := transport(t)
			a, _ := joinBounded(t, x, y, nil, &conn.Options{Accept: arrived.accept})
			sizes := []int{0, 1, streamPiece + 1, 3, streamLarge}
			total := before + behind
			for _, size := range sizes {
				total += size
			}
			all := content(total)
			f := contentFile(t, all)
			at := int64(before)
			if _, err := f.Seek(at, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			for _, size := range sizes {
				if err := a.SendFrom(t.Context(), f, int64(size)); err != nil {
					t.Fatal(err)
				}
				(<-arrived).checkWhole(t, all[at:at+int64(size)])
				at += int64(size)
				if offset, err := f.Seek(0, io.SeekCurrent); offset != at || err != nil {
					t.Fatalf("the file is at %d, %v; expected %d", offset, err, at)
				}
			}
			rest, err := io.ReadAll(f)
			if diff := cmp.Diff(summary(all[at:]), summary(rest)); diff != "" || err != nil {
				t.Errorf("what is left in the file (-want +got), %v:\n%s", err, diff)
			}
		})
	}
}

// A receiver needs no Accept: the message is one like all others.
func TestWhatSendFromSendsGoesIntoTheInbox(t *testing.T) {
	eachMode(t, testWhatSendFromSendsGoesIntoTheInbox)
}

func testWhatSendFromSendsGoesIntoTheInbox(t *testing.T) {
	for name, transport := range streamTransports {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			x, y := transport(t)
			a, b := joinBounded(t, x, y, nil, &conn.Options{InboxBuffer: 1})
			for _, size := range []int{0, 1, streamPiece, 100_000} {
				msg := content(size)
				if err := a.SendFrom(t.Context(), bytes.NewReader(msg), int64(size)); err != nil {
					t.Fatal(err)
				}
				got, err := b.Receive(t.Context())
				if diff := cmp.Diff(summary(msg), summary(got)); diff != "" || err != nil {
					t.Errorf("received (-want +got), %v:\n%s", err, diff)
				}
			}
		})
	}
}

// To the peer, a SendFrom is the same bytes as a Send.
func TestSendFromWritesAnOfferAndThePayload(t *testing.T) {
	for _, size := range []int{0, 1, streamPiece + 1} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			nc, peer := tcpPair(t)
			s := newStage(t, nc, peer, conn.Options{})
			msg := content(size)
			sent := make(chan error, 1)
			go func() { sent <- s.c.SendFrom(context.Background(), bytes.NewReader(msg), int64(size)) }() // ends with the message
			s.peer.hearsMessage(string(msg))
			if err := <-sent; err != nil {
				t.Error(err)
			}
		})
	}
}
