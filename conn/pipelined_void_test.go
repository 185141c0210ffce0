package conn_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/wire"
)

// A server may offer a message before it has read that pipelined mode is asked
// for: that offer is void, and the message is sent again as DATA.
func TestTheOfferOfAServerThatIsAskedIsVoid(t *testing.T) {
	for name, c := range map[string]struct {
		opts conn.Options
		send func(*conn.Conn) error
		size int
		want []string
	}{
		"of a Send": {
			send: func(c *conn.Conn) error { return c.Send(context.Background(), []byte("void")) },
			size: 4, want: []string{"void"},
		},
		"of a Send of nothing": {
			send: func(c *conn.Conn) error { return c.Send(context.Background(), nil) },
			want: []string{""},
		},
		"of the Outbox": {
			opts: conn.Options{OutboxBuffer: 2},
			send: func(c *conn.Conn) error { put(c, []byte("void")); return put(c, []byte("next")) },
			size: 4, want: []string{"void", "next"},
		},
		"of a SendFrom": {
			send: func(c *conn.Conn) error { return c.SendFrom(context.Background(), strings.NewReader("void"), 4) },
			size: 4, want: []string{"void"},
		},
		"of an encoded message": {
			opts: conn.Options{Transforms: func() []conn.Transform { return []conn.Transform{doubling{}} }},
			send: func(c *conn.Conn) error { return c.Send(context.Background(), []byte("void")) },
			size: 8, want: []string{"voidvoid"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 1<<10)
				s := &stage{t: t, peer: played{peer, t}}
				s.begin(t.Context(), nc, c.opts)()
				sent := make(chan error, 1)
				go func() { sent <- c.send(s.c) }() // ends with the answer
				s.peer.hears(offerOf(c.size)...)
				s.peer.says(request...)
				s.peer.hears(append([]byte{ok}, termsOf(c.opts)...)...)
				s.peer.hearsNothing() // it may not know our window yet
				s.peer.says(generous.Append(nil)...)
				s.peer.hears(dataOf(c.want...)...)
				s.peer.says(times(len(c.want), ok)...)
				if err := <-sent; err != nil {
					t.Error(err)
				}
				synctest.Wait()
				if n := int(s.c.Stats().MessagesSent); n != len(c.want) {
					t.Errorf("MessagesSent is %d, expected %d", n, len(c.want))
				}
			})
		})
	}
}

// doubling is a Transform that says everything twice.
type doubling struct{}

func (doubling) Encode(dst, src []byte) ([]byte, error) {
	return append(append(dst, src...), src...), nil
}

func (doubling) Decode(dst, src []byte, _ int) ([]byte, error) {
	return append(dst, src[:len(src)/2]...), nil
}

// One that begins with 00 looks like a refusal at first, for as long as it stays alone.
func TestADialerSkipsAServersVoidOffer(t *testing.T) {
	for _, size := range []uint32{0, 5, 1 << 24, wire.MaxSize, 0xf0000000} {
		for name, pause := range map[string]time.Duration{"at once": 0, "slowly": 900 * time.Millisecond} {
			t.Run(fmt.Sprintf("%08x %s", size, name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					nc, peer := memPair(t, 1<<10)
					p := played{peer, t}
					finish := begin(t.Context(), nc, &conn.Options{Mode: conn.Pipelined})
					p.says(ok)
					p.hears(append([]byte{ok}, request...)...)
					offer := wire.AppendSize(nil, size)
					for _, piece := range [][]byte{offer[:1], offer[1:], append([]byte{ok}, generous.Append(nil)...)} {
						p.says(piece...)
						time.Sleep(pause)
					}
					c, err := finish()
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					p.hears(termsOf(conn.Options{})...)
					p.says(dataOf("void no more")...)
					if got := <-c.Inbox(); string(got) != "void no more" {
						t.Errorf("received %q", got)
					}
				})
			})
		}
	}
}
