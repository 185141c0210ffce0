package conn_test

import (
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// A message begins with what is to become of it.
//   - i: into the Inbox, w: into a Writer, r: refused
//   - f: into a Writer that fails
func placing(into catcher, kinds string, asked *[]uint32) conn.Accept {
	return func(size uint32) conn.Placement {
		*asked = append(*asked, size)
		switch kinds[len(*asked)-1] {
		case 'w':
			return into.accept(size)
		case 'r':
			return conn.Placement{Refuse: true}
		case 'f':
			p := into.accept(size)
			p.Writer = failing{}
			return p
		}
		return conn.Placement{}
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errDisk }

// Accept is asked as soon as the size is there, about each message once, and the
// answers come in the order of the messages: those that go to a Writer are
// answered when all is written, but never before those in front of them.
func TestPlacedMessagesAreAnsweredInTheirOrder(t *testing.T) {
	for _, c := range []struct {
		kinds string
		hears []string // at first, and with each message that is taken
	}{
		{"w", []string{"O"}},
		{"wwrw", []string{"OOLO"}},
		{"iwi", []string{"", "OO", "O"}},
		{"irwfi", []string{"", "OLOO", "O"}},
		{"f", []string{"O"}},
		{"iiw", []string{"", "O", "OO"}},
	} {
		for _, size := range []int{0, 1, 100, 70_000} {
			for _, piece := range []int{1, 1000, 1 << 20} {
				if piece == 1 && size > 100 {
					continue
				}
				t.Run(c.kinds, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						into := make(catcher, len(c.kinds))
						var asked []uint32
						nc, peer := memPair(t, 1<<20)
						s := newPipelined(t, nc, peer, conn.Options{Accept: placing(into, c.kinds, &asked)}, generous)
						msgs := slices.Repeat([]string{strings.Repeat("x", size)}, len(c.kinds))
						for p := range slices.Chunk(dataOf(msgs...), piece) {
							s.peer.says(p...)
							synctest.Wait()
						}
						if len(asked) != len(c.kinds) {
							t.Errorf("Accept was asked %d times, expected %d", len(asked), len(c.kinds))
						}
						for i, answers := range c.hears {
							if i > 0 {
								if got := <-s.c.Inbox(); len(got) != size {
									t.Errorf("received %d bytes, expected %d", len(got), size)
								}
							}
							for _, a := range answers {
								s.peer.hears(map[rune]byte{'O': ok, 'L': tooLarge}[a])
							}
							s.peer.hearsNothing()
						}
						for _, kind := range c.kinds {
							switch {
							case kind == 'f' && size > 0:
								checkPartial(t, (<-into).err, int64(size), 0, errDisk)
							case kind == 'w', kind == 'f':
								(<-into).checkWhole(t, []byte(msgs[0][:size]))
							}
						}
						into.checkNothingMore(t)
					})
				})
			}
		}
	}
}

func TestAnAnswerWaitsForTheWriterAndForDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := io.Pipe()
		done := make(chan struct{})
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{Accept: func(uint32) conn.Placement {
			return conn.Placement{Writer: to, Done: func(int64, error) { <-done }}
		}}, generous)
		s.peer.says(dataOf("message")...)
		s.peer.hearsNothing()
		if _, err := io.ReadFull(from, make([]byte, 7)); err != nil {
			t.Error(err)
		}
		s.peer.hearsNothing()
		close(done)
		s.peer.hears(ok)
	})
}

// Its limit is not that of the Inbox, and neither is its window: one message
// larger than that may go alone.
func TestAWriterTakesMoreThanTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		into := make(catcher, 1)
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{MaxMessage: 10, WindowBytes: 10, Accept: into.accept}, generous)
		s.peer.says(dataOf(large)...)
		s.peer.hears(ok)
		(<-into).checkWhole(t, []byte(large))
	})
}

// Done is called once, and knows why.
func TestAPlacedMessageThatDoesNotArrive(t *testing.T) {
	for name, c := range map[string]struct {
		says  []byte
		moved int64
	}{
		"nothing of it": {dataOf("message")[:4], 0},
		"half of it":    {dataOf("message")[:8], 4},
	} {
		for _, e := range []end{byClose, byContext, byPeer, byReset, byShutdown, silence} {
			t.Run(name+"/"+e.name, func(t *testing.T) {
				leaktest.Check(t)
				synctest.Test(t, func(t *testing.T) {
					into := make(catcher, 1)
					nc, peer := memPair(t, 1<<10)
					s := newPipelined(t, nc, peer, conn.Options{Accept: into.accept}, generous)
					s.peer.says(c.says...)
					synctest.Wait()
					e.do(s)
					got := <-into
					checkPartial(t, got.err, 7, c.moved)
					if diff := cmp.Diff("mess"[:c.moved], string(got.body)); diff != "" {
						t.Errorf("what came (-want +got):\n%s", diff)
					}
					<-s.ended
					into.checkNothingMore(t)
				})
			})
		}
	}
}

// It is written at once, and answered in its turn, before the Inbox closes.
func TestAMessageThatGoesToAWriterIsAnsweredBehindOneThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		into := make(catcher, 1)
		var asked []uint32
		nc, peer := memPair(t, 1<<10)
		s := newPipelined(t, nc, peer, conn.Options{Accept: placing(into, "iw", &asked)}, generous)
		s.peer.says(append(dataOf("inbox", "writer"), bye)...)
		(<-into).checkWhole(t, []byte("writer"))
		s.peer.hearsNothing()
		if diff := cmp.Diff([]string{"inbox"}, s.received()); diff != "" {
			t.Errorf("received (-want +got):\n%s", diff)
		}
		s.peer.hears(ok, ok, bye)
		s.peer.hearsEnd()
	})
}
