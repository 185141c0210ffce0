package conn_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

var errDisk = errors.New("the disk is broken")

// readFunc is a Reader.
type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// brokenReaders can't deliver brokenSize bytes. What the reason is may depend on the
// transport, and then is not checked.
const brokenSize = 3*streamPiece + 5

var brokenReaders = []struct {
	name   string
	reader func(testing.TB) io.Reader
	moved  int64
	reason error
}{
	{"ends at once", func(testing.TB) io.Reader { return bytes.NewReader(nil) }, 0, io.ErrUnexpectedEOF},
	{"ends early", reads(100), 100, io.ErrUnexpectedEOF},
	{"ends early, at a piece's edge", reads(2 * streamPiece), 2 * streamPiece, io.ErrUnexpectedEOF},
	{"ends one byte early", reads(brokenSize - 1), brokenSize - 1, io.ErrUnexpectedEOF},
	{"ends early, with the last bytes it has", func(testing.TB) io.Reader {
		return iotest.DataErrReader(bytes.NewReader(content(streamPiece + 7)))
	}, streamPiece + 7, io.ErrUnexpectedEOF},
	{"fails at once", func(testing.TB) io.Reader { return iotest.ErrReader(errDisk) }, 0, errDisk},
	{"fails later", func(testing.TB) io.Reader {
		return io.MultiReader(bytes.NewReader(content(100_000)), iotest.ErrReader(errDisk))
	}, 100_000, errDisk},
	{"fails with the last bytes it has", func(testing.TB) io.Reader {
		return iotest.DataErrReader(io.MultiReader(bytes.NewReader(content(70_000)), iotest.ErrReader(errDisk)))
	}, 70_000, errDisk},
	{"reads nothing for ever", func(testing.TB) io.Reader {
		return io.MultiReader(bytes.NewReader(content(10)), readFunc(func([]byte) (int, error) { return 0, nil }))
	}, 10, io.ErrNoProgress},
	{"says that it read more than there is room for", lies(func(n int) int { return n + 1 }), 0, nil},
	{"says that it read a great lot", lies(func(int) int { return math.MaxInt }), 0, nil},
	{"says that it read less than nothing", lies(func(int) int { return -1 }), 0, nil},
	{"is a file that is too short", func(t testing.TB) io.Reader { return contentFile(t, content(100_000)) }, 100_000, io.ErrUnexpectedEOF},
	{"is an empty file", func(t testing.TB) io.Reader { return contentFile(t, nil) }, 0, io.ErrUnexpectedEOF},
	{"is a closed file", func(t testing.TB) io.Reader {
		f := contentFile(t, content(brokenSize))
		f.Close()
		return f
	}, 0, os.ErrClosed},
	{"is a file open for writing alone", func(t testing.TB) io.Reader {
		path := filepath.Join(t.TempDir(), "file")
		err := os.WriteFile(path, content(brokenSize), 0o600)
		f, err2 := os.OpenFile(path, os.O_WRONLY, 0)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}, 0, syscall.EBADF},
	{"is a directory", func(t testing.TB) io.Reader {
		f, err := os.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}, 0, syscall.EISDIR},
}

func reads(n int) func(testing.TB) io.Reader {
	return func(testing.TB) io.Reader { return bytes.NewReader(content(n)) }
}

func lies(lie func(int) int) func(testing.TB) io.Reader {
	return func(testing.TB) io.Reader {
		return readFunc(func(p []byte) (int, error) { return lie(len(p)), nil })
	}
}

// Both ends learn how much of the message was moved, and the sender why.
func TestAReaderThatFailsEndsTheConnection(t *testing.T) {
	eachMode(t, testAReaderThatFailsEndsTheConnection)
}

func testAReaderThatFailsEndsTheConnection(t *testing.T) {
	for _, r := range brokenReaders {
		for name, transport := range streamTransports {
			t.Run(r.name+"/"+name, func(t *testing.T) {
				leaktest.Check(t)
				into := make(catcher, 1)
				x, y := transport(t)
				a, b := joinBounded(t, x, y, nil, &conn.Options{Accept: into.accept})
				err := a.SendFrom(t.Context(), r.reader(t), brokenSize)
				checkPartial(t, err, brokenSize, r.moved)
				if r.reason != nil {
					checkPartial(t, err, brokenSize, r.moved, r.reason)
				}
				checkBrokenOff(t, a, brokenSize, r.moved, r.reason)
				c := <-into
				checkPartial(t, c.err, brokenSize, r.moved, io.ErrUnexpectedEOF)
				if diff := cmp.Diff(summary(content(brokenSize)[:r.moved]), summary(c.body)); diff != "" {
					t.Errorf("what came (-want +got):\n%s", diff)
				}
				for range b.Inbox() {
				}
				if err := b.Err(); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("the other end's Err is %v, expected that it is incomplete", err)
				}
			})
		}
	}
}

// checkBrokenOff asserts that c ended because of one message that was broken
// off, and that nothing else is said to be lost.
func checkBrokenOff(t testing.TB, c *conn.Conn, size, moved int64, reason error) {
	t.Helper()
	for range c.Inbox() {
	}
	err := c.Err()
	checkPartial(t, err, size, moved)
	if reason != nil && !errors.Is(err, reason) {
		t.Errorf("Err is %v, expected %v", err, reason)
	}
	if errors.Is(err, conn.ErrInDoubt) || errors.Is(err, conn.ErrUnsent) {
		t.Errorf("Err is %v, but the message can't have arrived, and its sender knows", err)
	}
	if unsent := c.Unsent(); unsent != nil {
		t.Errorf("Unsent lists %d messages, expected none", len(unsent))
	}
	if stats := c.Stats(); stats.MessagesSent != 0 || stats.BytesSent != 0 || stats.Refused != 0 {
		t.Errorf("Stats are %+v, but nothing was sent", stats)
	}
	c.Close()
}

// What the Reader does to its goroutine is the caller's business, but ends the
// connection.
func TestAReaderThatDoesNotReturnEndsTheConnection(t *testing.T) {
	eachMode(t, testAReaderThatDoesNotReturnEndsTheConnection)
}

func testAReaderThatDoesNotReturnEndsTheConnection(t *testing.T) {
	for name, transport := range streamTransports {
		for _, exit := range []struct {
			name string
			do   func()
			want any // what the caller recovers
		}{
			{"a panic", func() { panic("the Reader's own") }, "the Reader's own"},
			{"Goexit", runtime.Goexit, nil},
		} {
			t.Run(exit.name+"/"+name, func(t *testing.T) {
				leaktest.Check(t)
				into := make(catcher, 1)
				x, y := transport(t)
				a, _ := joinBounded(t, x, y, nil, &conn.Options{Accept: into.accept})
				recovered := make(chan any, 1)
				go func() { // ends with the Reader
					defer func() { recovered <- recover() }()
					a.SendFrom(context.Background(), io.MultiReader(bytes.NewReader(content(100)), readFunc(func([]byte) (int, error) {
						exit.do()
						return 0, nil
					})), 1000)
					t.Error("SendFrom returned")
				}()
				if diff := cmp.Diff(exit.want, <-recovered); diff != "" {
					t.Errorf("what the caller recovers (-want +got):\n%s", diff)
				}
				checkBrokenOff(t, a, 1000, 100, nil)
				c := <-into
				checkPartial(t, c.err, 1000, 100, io.ErrUnexpectedEOF)
			})
		}
	}
}

// Messages that wait behind one that fails are not lost without a word.
func TestWhatWaitsBehindAReaderThatFailsIsNotSent(t *testing.T) {
	eachMode(t, testWhatWaitsBehindAReaderThatFailsIsNotSent)
}

func testWhatWaitsBehindAReaderThatFailsIsNotSent(t *testing.T) {
	for name, transport := range map[string]func(testing.TB) (net.Conn, net.Conn){"tcp": tcpPair, "pipe": pipePair} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			x, y := transport(t)
			a, b := joinBounded(t, x, y, &conn.Options{OutboxBuffer: 2}, nil)
			reading, fail := make(chan bool), make(chan bool)
			streamed, sent := make(chan error, 1), make(chan error, 1)
			go func() { // ends with the Reader
				streamed <- a.SendFrom(context.Background(), readFunc(func([]byte) (int, error) {
					reading <- true
					<-fail
					return 0, errDisk
				}), 10)
			}()
			<-reading
			if err := put(a, []byte("queued")); err != nil {
				t.Fatal(err)
			}
			go func() { sent <- a.Send(context.Background(), []byte("sent")) }() // ends with the connection
			close(fail)
			if err := <-streamed; !errors.Is(err, errDisk) {
				t.Errorf("SendFrom returned %v", err)
			}
			if err := <-sent; !errors.Is(err, conn.ErrClosed) || errors.Is(err, conn.ErrInDoubt) {
				t.Errorf("Send returned %v, expected ErrClosed", err)
			}
			if diff := cmp.Diff([][]byte{[]byte("queued")}, a.Unsent()); diff != "" {
				t.Errorf("Unsent (-want +got):\n%s", diff)
			}
			if err := a.Err(); !errors.Is(err, conn.ErrUnsent) || !errors.Is(err, errDisk) {
				t.Errorf("Err is %v, expected the disk's, and ErrUnsent", err)
			}
			b.Close()
		})
	}
}
