package tinyproto_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/wire"
)

func TestMessagesThatArriveShareTheMemoryOfTheServer(t *testing.T) {
	const size = 1 << 20
	for _, tt := range []struct {
		name      string
		buffered  int64
		own       *conn.Budget
		survivors int
	}{
		{"default", 0, nil, 10},
		{"no limit", -1, nil, 10},
		{"two at once", 2 * size, nil, 2},
		{"a Budget of one's own", size, conn.NewBudget(3 * size), 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newMemory()
				ended := make(chan error, 10)
				handler := func(ctx context.Context, c *tinyproto.Conn) error {
					for range c.Inbox() {
					}
					ended <- c.Err()
					return nil
				}
				serve(t, &tinyproto.Server{
					Handler:     handler,
					MaxBuffered: tt.buffered,
					Conn:        tinyproto.Options{StallTimeout: -1, Budget: tt.own},
				}, l)
				for range cap(ended) {
					peer := l.connect(t)
					go func() { // ends with its last byte, or when it is ended
						if _, err := peer.Write([]byte{byte(wire.OK)}); err != nil {
							return
						}
						peer.Read(make([]byte, 1))
						peer.Write(wire.AppendSize(nil, size))
						peer.Read(make([]byte, 1))
						peer.Write(make([]byte, size-1))
					}()
					time.Sleep(time.Second)
				}
				synctest.Wait()
				for range cap(ended) - tt.survivors {
					select {
					case err := <-ended:
						if !errors.Is(err, tinyproto.ErrBudget) {
							t.Errorf("ended with %v, expected ErrBudget", err)
						}
					default:
						t.Fatalf("more than %d connections are left", tt.survivors)
					}
				}
				if len(ended) > 0 {
					t.Errorf("fewer than %d connections are left: %v", tt.survivors, <-ended)
				}
			})
		})
	}
}
