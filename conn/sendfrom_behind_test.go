package conn_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
)

// The writer may be about to take it when the connection ends.
func TestAMessageBehindAStreamThatIsBrokenOffIsUnsent(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			nc, peer := memPair(t, 1<<10)
			s := newStage(t, nc, peer, conn.Options{})
			from, to := io.Pipe()
			sent := make(chan error, 1)
			go func() { sent <- s.c.SendFrom(t.Context(), from, 6) }() // ends with its Reader
			s.peer.hears(offerOf(6)...)
			s.peer.says(ok)
			s.c.Outbox()
			synctest.Wait()
			s.queue("behind")
			to.CloseWithError(errors.New("no more"))
			<-sent
			<-s.ended
			if diff := cmp.Diff([]string{"behind"}, s.unsent()); diff != "" {
				t.Fatalf("Unsent (-want +got):\n%s", diff)
			}
		})
	}
}
