package conn_test

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
)

// These are TestSendAllocatesNothing and TestAReceivedMessageIsOneAllocation of
// pipelined mode, and the peers here allocate nothing, either.

func TestAPipelinedSendAllocatesNothing(t *testing.T) {
	inPipelinedMode(t)
	for _, size := range []int{0, 1, 100, 8 << 10, 64 << 10, 1 << 20} {
		t.Run(fmt.Sprintf("%d bytes", size), func(t *testing.T) {
			s := newShared(t, conn.Options{})
			ended := make(chan struct{})
			go func() { // ends with the connection
				defer close(ended)
				heard, answer := make([]byte, 4+size), []byte{ok}
				for {
					if _, err := io.ReadFull(s.peer.Conn, heard); err != nil {
						return
					}
					if _, err := s.peer.Write(answer); err != nil {
						return
					}
				}
			}()
			ctx, msg := context.Background(), make([]byte, size)
			allocs := testing.AllocsPerRun(100, func() {
				if err := s.c.Send(ctx, msg); err != nil {
					t.Error(err)
				}
			})
			if allocs != 0 && !poolsForget() {
				t.Errorf("a Send allocates %v times, expected none", allocs)
			}
			s.c.Close()
			<-ended
		})
	}
}

func TestAPipelinedMessageIsAtMostOneAllocation(t *testing.T) {
	inPipelinedMode(t)
	for _, size := range []int{0, 1, 100, 4 << 10, 5000, 64 << 10} {
		t.Run(fmt.Sprintf("%d bytes", size), func(t *testing.T) {
			s := newShared(t, conn.Options{})
			ended := make(chan struct{})
			go func() { // ends with the connection
				defer close(ended)
				said, heard := append(offerOf(size), make([]byte, size)...), make([]byte, 1)
				for {
					if _, err := s.peer.Write(said); err != nil {
						return
					}
					if _, err := io.ReadFull(s.peer.Conn, heard); err != nil {
						return
					}
				}
			}()
			ctx := context.Background()
			allocs := testing.AllocsPerRun(100, func() {
				if msg, err := s.c.Receive(ctx); len(msg) != size || err != nil {
					t.Errorf("received %d bytes, %v", len(msg), err)
				}
			})
			if allocs > 1 && !poolsForget() {
				t.Errorf("a message is %v allocations, expected one at most", allocs)
			}
			s.c.Close()
			<-ended
		})
	}
}

// As many echo, in either mode: a Receive, and a Send of what it returned.
func TestAnEchoIsOneAllocation(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		s := newShared(t, conn.Options{})
		ended := make(chan struct{})
		go func() { // ends with the connection
			defer close(ended)
			p := make([]byte, 128)
			read := func(n int) bool {
				_, err := io.ReadFull(s.peer.Conn, p[:n])
				return err == nil
			}
			offer, data, answer := offerOf(4), dataOf("ping"), []byte{ok}
			for {
				if inPipelined() {
					if _, err := s.peer.Write(data); err != nil || !read(1+len(data)) {
						return
					}
					s.peer.Write(answer)
					continue
				}
				if _, err := s.peer.Write(offer); err != nil || !read(1) {
					return
				}
				s.peer.Write(data[4:])
				if !read(4) {
					return
				}
				s.peer.Write(answer)
				if !read(4) {
					return
				}
			}
		}()
		ctx := context.Background()
		allocs := testing.AllocsPerRun(200, func() {
			msg, err := s.c.Receive(ctx)
			if err == nil {
				err = s.c.Send(ctx, msg)
			}
			if err != nil {
				t.Error(err)
			}
		})
		if allocs > 1 && !poolsForget() {
			t.Errorf("an echo is %v allocations, expected 1", allocs)
		}
		s.c.Close()
		<-ended
	})
}

// poolsForget reports whether a sync.Pool drops some of what it is given, as it
// does with the race detector.
func poolsForget() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
