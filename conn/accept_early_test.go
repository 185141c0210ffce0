package conn_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// A legacy client may take our hello for the answer, and write its payload
// right behind the size (PROTOCOL.md section 5, R3); what it writes may arrive
// in any pieces. So here the peer writes all it has, and then reads the answers.
func TestWhatAnEagerPeerWritesBeforeItIsAskedArrivesWhereItBelongs(t *testing.T) {
	sizes := []int{0, 1, 11, 12, 15, 16, 17, 0, 0, 100, 4095, 4096, 4097, streamPiece + 1, 3, 0}
	byteByByte := func(int) int { return 1 }
	random := rand.New(rand.NewPCG(1, 2))
	for _, pieces := range []struct {
		name    string
		next    func(left int) int
		largest int
	}{
		{"all in one", func(left int) int { return left }, streamPiece + 1},
		{"byte by byte", byteByByte, 100},
		{"seven bytes at a time", func(int) int { return 7 }, 4097},
		{"at random", func(left int) int { return 1 + random.IntN(left) }, streamPiece + 1},
		{"at random, small", func(int) int { return 1 + random.IntN(30) }, streamPiece + 1},
	} {
		for _, placement := range []struct {
			name     string
			toWriter func(i int) bool
		}{
			{"Writers", func(int) bool { return true }},
			{"every other a Writer", func(i int) bool { return i%2 == 0 }},
			{"every third the Inbox", func(i int) bool { return i%3 != 0 }},
		} {
			for name, transport := range map[string]func(testing.TB) (net.Conn, net.Conn){
				"tcp":    tcpPair,
				"memory": func(t testing.TB) (net.Conn, net.Conn) { return memPair(t, 50) },
			} {
				t.Run(fmt.Sprintf("%s, %s, %s", pieces.name, placement.name, name), func(t *testing.T) {
					leaktest.Check(t)
					var messages [][]byte
					var stream []byte
					for round := range 2 {
						for _, size := range sizes {
							if size > pieces.largest {
								continue
							}
							msg := content(size + round)[round:]
							messages = append(messages, msg)
							stream = append(append(stream, offerOf(size)...), msg...)
						}
					}
					into := make(catcher, len(messages))
					asked := 0
					nc, peer := transport(t)
					c, p := greetPlayed(t, t.Context(), nc, peer, &conn.Options{InboxBuffer: len(messages), Accept: func(size uint32) conn.Placement {
						if asked++; placement.toWriter(asked - 1) {
							return into.accept(size)
						}
						return conn.Placement{}
					}})
					written := make(chan error, 1)
					go func() { // ends with the stream
						var err error
						for left := stream; len(left) > 0 && err == nil; {
							n := pieces.next(len(left))
							n = min(n, len(left))
							_, err = p.Write(left[:n])
							left = left[n:]
						}
						written <- err
					}()
					answers := make([]byte, len(messages))
					_, err := io.ReadFull(p, answers)
					if diff := cmp.Diff(bytes.Repeat([]byte{ok}, len(messages)), answers); diff != "" || err != nil {
						t.Errorf("the answers (-want +got), %v:\n%s", err, diff)
					}
					if err := <-written; err != nil {
						t.Fatal(err)
					}
					for i, msg := range messages {
						if placement.toWriter(i) {
							(<-into).checkWhole(t, msg)
							continue
						}
						got, err := c.Receive(t.Context())
						if diff := cmp.Diff(summary(msg), summary(got)); diff != "" || err != nil {
							t.Errorf("message %d in the Inbox (-want +got), %v:\n%s", i, err, diff)
						}
					}
					into.checkNothingMore(t)
				})
			}
		}
	}
}
