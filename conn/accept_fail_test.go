package conn_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

var errFull = errors.New("full")

// quota is a Writer that has room for so many bytes, and fails with err beyond.
type quota struct {
	bytes.Buffer
	left  int
	err   error
	calls int // after it has failed
}

func (q *quota) Write(p []byte) (int, error) {
	if q.left < 0 {
		q.calls++
	}
	if len(p) <= q.left {
		q.left -= len(p)
		return q.Buffer.Write(p)
	}
	n, _ := q.Buffer.Write(p[:q.left])
	q.left = -1
	return n, q.err
}

// liar is a Writer that breaks the contract of io.Writer.
type liar func(written int) int

func (l liar) Write(p []byte) (int, error) { return l(len(p)), nil }

// A Writer that fails costs its own message, and nothing else.
func TestAFailedWriterLeavesTheConnectionAlive(t *testing.T) {
	eachMode(t, testAFailedWriterLeavesTheConnectionAlive)
}

func testAFailedWriterLeavesTheConnectionAlive(t *testing.T) {
	const size = 3*streamPiece + 5
	for _, c := range []struct {
		name  string
		quota int
		err   error // nil writes less than it is given without a word
		want  error
	}{
		{"at the first byte", 0, errFull, errFull},
		{"inside the first piece", 1, errFull, errFull},
		{"in the middle", 2*streamPiece + 7, errFull, errFull},
		{"at a piece's edge", 2 * streamPiece, errFull, errFull},
		{"inside the last piece", size - 1, errFull, errFull},
		{"short writes, at the first byte", 0, nil, io.ErrShortWrite},
		{"short writes, in the middle", 2*streamPiece + 7, nil, io.ErrShortWrite},
		{"short writes, inside the last piece", size - 1, nil, io.ErrShortWrite},
		{"with io.EOF", 100, io.EOF, io.EOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, transport := range streamTransports {
				t.Run(name, func(t *testing.T) {
					leaktest.Check(t)
					broken := &quota{left: c.quota, err: c.err}
					into := make(catcher, 1)
					msg := content(size)
					x, y := transport(t)
					a, b := joinBounded(t, x, y, nil, &conn.Options{InboxBuffer: 1, Accept: func(size uint32) conn.Placement {
						p := into.accept(size)
						if broken != nil {
							p.Writer, broken = broken, nil
						}
						return p
					}})
					writer := broken
					if err := a.SendFrom(t.Context(), bytes.NewReader(msg), size); err != nil {
						t.Fatalf("SendFrom: %v, expected none: the sender can't know", err)
					}
					first := <-into
					checkPartial(t, first.err, size, int64(c.quota), c.want)
					if first.moved != int64(c.quota) {
						t.Errorf("Done was told of %d bytes, expected %d", first.moved, c.quota)
					}
					if diff := cmp.Diff(summary(msg[:c.quota]), summary(writer.Bytes())); diff != "" {
						t.Errorf("what was written (-want +got):\n%s", diff)
					}
					if writer.calls != 0 {
						t.Errorf("the Writer was called %d times after it had failed", writer.calls)
					}
					if err := a.Send(t.Context(), msg[:100_000]); err != nil {
						t.Fatal(err)
					}
					(<-into).checkWhole(t, msg[:100_000])
					if got := b.Stats(); got.MessagesReceived != 2 || got.BytesReceived != size+100_000 {
						t.Errorf("Stats count %d messages of %d bytes, expected 2 of %d", got.MessagesReceived, got.BytesReceived, size+100_000)
					}
					into.checkNothingMore(t)
				})
			}
		})
	}
}

// A Writer that failed before the connection did is the reason.
func TestDoneIsToldOfTheWriterBeforeTheConnection(t *testing.T) {
	for _, e := range []end{byPeer, byReset, byClose, silence} {
		t.Run(e.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				into := make(catcher, 1)
				nc, peer := memPair(t, 1<<10)
				s := newStage(t, nc, peer, conn.Options{Accept: func(size uint32) conn.Placement {
					p := into.accept(size)
					p.Writer = &quota{left: 2, err: errFull}
					return p
				}})
				s.peer.saysFrom(10, []byte("half"))
				synctest.Wait()
				e.do(s)
				c := <-into
				checkPartial(t, c.err, 10, 2, errFull)
				s.received()
				<-s.ended
			})
		})
	}
}

// What is no count of bytes is not taken for one.
func TestAWriterThatLiesIsAFailedWriter(t *testing.T) {
	eachMode(t, testAWriterThatLiesIsAFailedWriter)
}

func testAWriterThatLiesIsAFailedWriter(t *testing.T) {
	for _, c := range []struct {
		name string
		lie  liar
	}{
		{"more than it was given", func(n int) int { return n + 1 }},
		{"less than nothing", func(n int) int { return -1 }},
		{"a great lot", func(n int) int { return math.MaxInt }},
	} {
		t.Run(c.name, func(t *testing.T) {
			into := make(catcher, 1)
			x, y := pipePair(t)
			a, _ := joinBounded(t, x, y, nil, &conn.Options{Accept: func(size uint32) conn.Placement {
				p := into.accept(size)
				if size == 1000 {
					p.Writer = c.lie
				}
				return p
			}})
			if err := a.Send(t.Context(), content(1000)); err != nil {
				t.Fatal(err)
			}
			first := <-into
			checkPartial(t, first.err, 1000, 0)
			if err := a.Send(t.Context(), content(10)); err != nil {
				t.Fatal(err)
			}
			(<-into).checkWhole(t, content(10))
		})
	}
}
