package conn_test

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// The receiver's own limits hold before and after decoding, and reach Decode.
func TestMaxMessageHoldsBeforeAndAfterDecoding(t *testing.T) {
	const limit = 100
	honest := codec{decode: func(dst, src []byte, limit int) ([]byte, error) {
		if n := len(src) * 10; n > limit {
			return nil, fmt.Errorf("%d bytes are too many: %w", n, errTag)
		}
		return append(dst, bytes.Repeat(src, 10)...), nil
	}}
	careless := codec{decode: func(dst, src []byte, _ int) ([]byte, error) { return append(dst, bytes.Repeat(src, 10)...), nil }}
	shrinks := codec{decode: func(dst, src []byte, _ int) ([]byte, error) { return append(dst, src[:len(src)/10]...), nil }}
	for _, c := range []struct {
		name       string
		transforms []conn.Transform
		size       int
		answer     byte
		received   int // -1: the connection ends
		want       error
	}{
		{"as large as may be", []conn.Transform{honest}, 10, ok, 100, nil},
		{"too large, and the transform says so", []conn.Transform{honest}, 11, ok, -1, errTag},
		{"too large, and the transform does not care", []conn.Transform{careless}, 11, ok, -1, nil},
		{"too large between two transforms", []conn.Transform{shrinks, careless}, 11, ok, -1, nil},
		{"too large on the wire", []conn.Transform{shrinks}, 101, tooLarge, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				s := transformStage(t, conn.Options{MaxMessage: limit, InboxBuffer: 1}, c.transforms...)
				s.peer.says(offerOf(c.size)...)
				s.peer.hears(c.answer)
				if c.answer == tooLarge {
					return
				}
				s.peer.says(content(c.size)...)
				m, received := <-s.c.Inbox()
				switch {
				case received != (c.received >= 0):
					t.Errorf("received %d bytes, Err is %v", len(m), s.c.Err())
				case received && len(m) != c.received:
					t.Errorf("received %d bytes, expected %d", len(m), c.received)
				case !received:
					checkError(t, s.c.Err(), conn.ErrTransform)
					if c.want != nil {
						checkError(t, s.c.Err(), c.want)
					}
				}
			})
		})
	}
}
