package conn_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// What was accepted before a graceful end is still streamed.
func TestAGracefulEndWaitsForAStream(t *testing.T) {
	for _, c := range []struct {
		end  end
		err  error
		time time.Duration
	}{
		{byShutdown, nil, 9 * time.Second},
		{byContext, context.Canceled, 4 * time.Second}, // within the Grace
		{byPeer, nil, time.Hour},
	} {
		t.Run(c.end.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				s := newStreamStage(t)
				s.size = 200
				s.accepted()
				s.give.Write(content(100))
				s.peer.hears(content(100)...)
				go c.end.do(s.stage) // ends with the connection
				synctest.Wait()
				if !s.isDone() {
					t.Error("Done is not closed")
				}
				if err := s.c.SendFrom(context.Background(), endless{}, 1); !errors.Is(err, conn.ErrClosed) {
					t.Errorf("a late SendFrom returned %v, expected ErrClosed", err)
				}
				time.Sleep(c.time)
				s.give.Write(content(200)[100:])
				s.peer.hears(content(200)[100:]...)
				if err := <-s.streamed; err != nil {
					t.Errorf("SendFrom returned %v", err)
				}
				byPeer.do(s.stage)
				<-s.ended
				if err := s.c.Err(); !errors.Is(err, c.err) {
					t.Errorf("Err is %v, expected %v", err, c.err)
				}
				if stats := s.c.Stats(); stats.MessagesSent != 1 || stats.BytesSent != 200 {
					t.Errorf("Stats are %+v, expected one message of 200 bytes", stats)
				}
			})
		})
	}
}

// A Reader takes its time, and a peer may, as long as it goes on.
func TestASlowReaderOrPeerIsNoStall(t *testing.T) {
	const pause = 29 * time.Second
	for name, buffer := range map[string]int{"without buffer": 0, "with a small one": 1 << 10} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, buffer)
				s := newStage(t, nc, peer, conn.Options{})
				msg := content(streamPiece + 1)
				reader := bytes.NewReader(msg)
				s.sendFrom(readFunc(func(p []byte) (int, error) {
					time.Sleep(time.Hour)
					return reader.Read(p)
				}), int64(len(msg)))
				s.peer.hears(offerOf(len(msg))...)
				s.peer.says(ok)
				var heard []byte
				for len(heard) < len(msg) {
					time.Sleep(pause)
					piece := make([]byte, 2<<10)
					n, err := s.peer.Read(piece)
					if err != nil {
						t.Fatalf("after %d bytes: %v", len(heard), err)
					}
					heard = append(heard, piece[:n]...)
				}
				if diff := cmp.Diff(summary(msg), summary(heard)); diff != "" {
					t.Errorf("the peer heard (-want +got):\n%s", diff)
				}
				if err := <-s.sent; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A sendfile is interrupted to see whether it makes progress, and goes on where
// it was.
func TestASlowPeerGetsAFileWhole(t *testing.T) {
	leaktest.Check(t)
	const size, pieces, stall = 16 << 20, 16, 300 * time.Millisecond
	nc, peer := tcpPair(t)
	s := newStage(t, nc, peer, conn.Options{StallTimeout: stall})
	s.sendFrom(contentFile(t, content(size)), size)
	s.peer.hears(offerOf(size)...)
	s.peer.says(ok)
	heard := make([]byte, 0, size)
	for len(heard) < size {
		time.Sleep(3 * stall / pieces) // three times the StallTimeout for all of it
		piece := heard[len(heard) : len(heard)+size/pieces]
		if n, err := io.ReadFull(s.peer, piece); err != nil {
			t.Fatalf("after %d bytes: %v; SendFrom: %v", len(heard)+n, err, <-s.sent)
		}
		heard = heard[:len(heard)+len(piece)]
	}
	if diff := cmp.Diff(summary(content(size)), summary(heard)); diff != "" {
		t.Errorf("the peer heard (-want +got):\n%s", diff)
	}
	if err := <-s.sent; err != nil {
		t.Error(err)
	}
}

// How much of a file was moved is what the peer can read, however it ends.
func TestAFileThatIsBrokenOffSaysWhereExactly(t *testing.T) {
	const size = 8 << 20
	const stall = 100 * time.Millisecond
	f := contentFile(t, content(size))
	for name, transport := range fileTransports {
		for _, e := range []struct {
			name string
			do   func(s *stage, cancel context.CancelFunc)
			want error
		}{
			{"its context", func(_ *stage, cancel context.CancelFunc) { cancel() }, context.Canceled},
			{"Close", func(s *stage, _ context.CancelFunc) { s.c.Close() }, conn.ErrClosed},
			{"the context", func(s *stage, _ context.CancelFunc) { s.cancel() }, conn.ErrGrace},
			{"a peer that stalls", func(*stage, context.CancelFunc) {}, &conn.StallError{Doing: "writing", After: stall}},
		} {
			t.Run(e.name+"/"+name, func(t *testing.T) {
				leaktest.Check(t)
				if _, err := f.Seek(0, io.SeekStart); err != nil {
					t.Fatal(err)
				}
				nc, peer := transport(t)
				opts := conn.Options{Grace: stall / 2}
				if _, stalls := e.want.(*conn.StallError); stalls {
					opts.StallTimeout = stall
				}
				s := newStage(t, nc, peer, opts)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				sent := make(chan error, 1)
				go func() { sent <- s.c.SendFrom(ctx, f, size) }() // ends with the connection
				s.peer.hears(offerOf(size)...)
				s.peer.says(ok)
				s.peer.hears(content(100)...)
				e.do(s, cancel)
				err := <-sent
				rest, readErr := io.ReadAll(s.peer)
				moved := 100 + len(rest)
				if !bytes.Equal(content(size)[100:moved], rest) || readErr != nil {
					t.Errorf("the peer heard something else than the file, or not all of it: %v", readErr)
				}
				checkPartial(t, err, size, int64(moved))
				checkError(t, err, e.want)
				if e.name == "its context" {
					checkPartial(t, s.c.Err(), size, int64(moved), context.Canceled)
				}
			})
		}
	}
}
