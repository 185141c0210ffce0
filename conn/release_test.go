package conn_test

import (
	"bytes"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
)

// memoryOf identifies the memory of a message.
func memoryOf(msg []byte) *byte { return &msg[:1][0] }

// receiver receives what the other end sends, a message at a time.
type receiver struct {
	t        *testing.T
	from, to *conn.Conn
}

func (r receiver) receive(size int, fill byte) []byte {
	r.t.Helper()
	want := bytes.Repeat([]byte{fill}, size)
	sent := make(chan error, 1)
	go func() { sent <- r.from.Send(r.t.Context(), want) }() // ends with the message
	got, err := r.to.Receive(r.t.Context())
	if err != nil || !bytes.Equal(got, want) {
		r.t.Fatalf("received %d bytes, %v; expected %d of %d", len(got), err, size, fill)
	}
	if err := <-sent; err != nil {
		r.t.Fatal(err)
	}
	return got
}

func TestAMessageIsReceivedIntoMemoryThatWasHandedBack(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		const size = 64 << 10
		for _, tt := range []struct {
			name         string
			first, then  int
			release      bool
			intoTheFirst bool
		}{
			{"of the same size", size, size, true, true},
			{"of half the size", size, size / 2, true, true},
			{"far smaller", size, size/2 - 1, true, false},
			{"larger", size, size + 1, true, false},
			{"that is not handed back", size, size, false, false},
			{"a small one", 100, 100, true, false},
			{"more than is kept", 5 << 20, 5 << 20, true, false},
		} {
			t.Run(tt.name, func(t *testing.T) {
				x, y := tcpPair(t)
				a, b := joinBounded(t, x, y, nil, nil)
				r := receiver{t, a, b}
				first := r.receive(tt.first, 1)
				memory := memoryOf(first)
				kept := bytes.Clone(first)
				if tt.release {
					b.Release(first)
				}
				then := r.receive(tt.then, 2)
				if got := memoryOf(then) == memory; got != tt.intoTheFirst {
					t.Errorf("received into the memory of the first: %t, expected %t", got, tt.intoTheFirst)
				}
				if !tt.intoTheFirst && !bytes.Equal(first, kept) {
					t.Error("the first message has changed")
				}
			})
		}
	})
}

func TestReleaseIsHarmlessAtAnyTime(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		x, y := pipePair(t)
		a, b := joinBounded(t, x, y, nil, nil)
		b.Release(nil)
		msg := receiver{t, a, b}.receive(64<<10, 1)
		b.Close()
		b.Release(msg)
	})
}
