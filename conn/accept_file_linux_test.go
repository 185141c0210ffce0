package conn_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// A file system that is full in the middle of a message: how much was written
// before is exact, the rest is dropped, and the connection lives.
func TestAFullFileSystemLeavesTheConnectionAlive(t *testing.T) {
	eachMode(t, testAFullFileSystemLeavesTheConnectionAlive)
}

func testAFullFileSystemLeavesTheConnectionAlive(t *testing.T) {
	if !inChild(t) {
		return
	}
	// As a full disk, but for the name of the error: no file grows beyond this.
	const room = 300_001
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: room, Max: room}); err != nil {
		t.Fatal(err)
	}
	for name, transport := range fileTransports {
		for _, flag := range []int{0, os.O_APPEND} {
			t.Run(name, func(t *testing.T) {
				leaktest.Check(t)
				x, y := transport(t)
				a, b := joinBounded(t, x, y, nil, nil)
				path := filepath.Join(t.TempDir(), "file")
				f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|flag, 0o600)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				sizes := []int{100_000, 3 << 20, 70_000, 10}
				moved := []int64{100_000, room - 100_000, 0, 0}
				for i, got := range receiveInto(t, a, b, f, sizes) {
					if i == 0 {
						if got.err != nil {
							t.Errorf("the first message: %v", got.err)
						}
						continue
					}
					checkPartial(t, got.err, int64(sizes[i]), moved[i], syscall.EFBIG)
				}
				got, err := os.ReadFile(path)
				if diff := cmp.Diff(summary(contents(sizes)[:room]), summary(got)); diff != "" || err != nil {
					t.Errorf("the file (-want +got), %v:\n%s", err, diff)
				}
				into := make(catcher, 1)
				b.SetAccept(into.accept)
				if err := a.Send(t.Context(), content(streamLarge)); err != nil {
					t.Fatal(err)
				}
				(<-into).checkWhole(t, content(streamLarge))
			})
		}
	}
}

// What is no regular file is written to in the usual way.
func TestAFullDeviceLeavesTheConnectionAlive(t *testing.T) {
	eachMode(t, testAFullDeviceLeavesTheConnectionAlive)
}

func testAFullDeviceLeavesTheConnectionAlive(t *testing.T) {
	for name, transport := range fileTransports {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			x, y := transport(t)
			a, b := joinBounded(t, x, y, nil, nil)
			f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for _, got := range receiveInto(t, a, b, f, []int{10, 1 << 20, 100_000}) {
				checkPartial(t, got.err, int64(got.size), 0, syscall.ENOSPC)
			}
			shutDown(t, a, b)
		})
	}
}

// Whoever owns the file may close it when the message is accepted already.
func TestAFileThatIsClosedMeanwhileLeavesTheConnectionAlive(t *testing.T) {
	for name, transport := range fileTransports {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			f, err := os.Create(filepath.Join(t.TempDir(), "file"))
			if err != nil {
				t.Fatal(err)
			}
			into := make(catcher, 1)
			nc, peer := transport(t)
			s := newStage(t, nc, peer, conn.Options{Accept: func(size uint32) conn.Placement {
				p := into.accept(size)
				p.Writer = f
				return p
			}})
			const size = 3 << 20
			s.peer.saysFrom(size, nil)
			f.Close()
			s.peer.says(content(size)...)
			checkPartial(t, (<-into).err, size, 0, os.ErrClosed)
			s.c.SetAccept(into.accept)
			s.peer.saysMessage("next")
			(<-into).checkWhole(t, []byte("next"))
		})
	}
}

// A message that is spliced can be broken off as any other, and the file has
// what came until then.
func TestASplicedMessageThatIsBrokenOffKnowsHowMuchCame(t *testing.T) {
	const size, sent = 10 << 20, 1<<20 + 17
	for name, transport := range map[string]func(testing.TB) (x, y halfCloser){
		"tcp": func(t testing.TB) (x, y halfCloser) {
			a, b := tcpPair(t)
			return a.(halfCloser), b.(halfCloser)
		},
		"unix": func(t testing.TB) (x, y halfCloser) {
			a, b := unixPair(t)
			return a.(halfCloser), b.(halfCloser)
		},
	} {
		const stall = 100 * time.Millisecond
		for _, e := range []struct {
			name string
			do   func(s *stage, peer halfCloser)
			want error
			all  bool // all that the peer said has come by then
		}{
			{"by the peer's end", func(_ *stage, peer halfCloser) { peer.CloseWrite() }, io.ErrUnexpectedEOF, true},
			{"by a peer that stalls", func(*stage, halfCloser) {}, &conn.StallError{Doing: "reading", After: stall}, true},
			{"by Close", func(s *stage, _ halfCloser) { s.c.Close() }, conn.ErrClosed, false},
			{"by the context", func(s *stage, _ halfCloser) { s.cancel() }, context.Canceled, false},
		} {
			t.Run(name+", "+e.name, func(t *testing.T) {
				leaktest.Check(t)
				nc, peer := transport(t)
				path := filepath.Join(t.TempDir(), "file")
				f, err := os.Create(path)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				into := make(catcher, 1)
				opts := conn.Options{Grace: stall / 2, Accept: func(size uint32) conn.Placement {
					p := into.accept(size)
					p.Writer = f
					return p
				}}
				if _, stalls := e.want.(*conn.StallError); stalls {
					opts.StallTimeout = stall
				}
				s := newStage(t, nc, peer, opts)
				s.peer.saysFrom(size, content(sent))
				e.do(s, peer)
				c := <-into
				got, err := os.ReadFile(path)
				if !bytes.Equal(got, content(sent)[:c.moved]) || err != nil {
					t.Errorf("the file has %d bytes, %v; Done was told of %d", len(got), err, c.moved)
				}
				if e.all && c.moved != sent {
					t.Errorf("Done was told of %d bytes, expected %d", c.moved, sent)
				}
				checkPartial(t, c.err, size, c.moved)
				checkError(t, c.err, e.want)
				s.received()
				<-s.ended
			})
		}
	}
}
