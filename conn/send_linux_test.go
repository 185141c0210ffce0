//go:build amd64 || arm64

package conn_test

import (
	"errors"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/wire"
)

// Memory that nobody touches costs none.
func untouched(t testing.TB, size int) []byte {
	t.Helper()
	msg, err := syscall.Mmap(-1, 0, size, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(msg); err != nil {
			t.Error(err)
		}
	})
	return msg
}

func TestAMessageAboveTheProtocolsLimitIsNotEvenOffered(t *testing.T) {
	msg := untouched(t, wire.MaxSize+1)
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		s := newStage(t, nc, peer, conn.Options{OutboxBuffer: 1, MaxRefused: 1})
		want := &conn.TooLargeError{Size: wire.MaxSize + 1}
		var got *conn.TooLargeError
		if err := s.c.Send(t.Context(), msg); !errors.As(err, &got) {
			t.Errorf("Send returned %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Send returned (-want +got):\n%s", diff)
		}

		s.c.Outbox() <- msg
		s.queue("good")
		s.peer.hearsMessage("good") // the first thing that the peer hears
		if n := len(s.c.Unsent()); n != 1 || s.isDone() {
			t.Errorf("one refusal is allowed; Unsent lists %d, Err is %v", n, s.c.Err())
		}
		s.c.Outbox() <- msg
		<-s.c.Done()
		s.peerEnds()
		<-s.ended
		if err := s.c.Err(); !errors.As(err, &got) {
			t.Errorf("Err is %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Err is (-want +got):\n%s", diff)
		}
		if n := len(s.c.Unsent()); n != 2 {
			t.Errorf("Unsent lists %d messages, expected 2", n)
		}
	})
}
