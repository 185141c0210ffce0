package conn_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/transcript"
	"github.com/tinyproto-go/tinyproto/wire"
)

// The twins of the Python peer's transforms, as plain as they can be.
type (
	deflating struct{}
	reversing struct{}
	masking   struct{}
)

func (deflating) Encode(dst, src []byte) ([]byte, error) {
	out := bytes.NewBuffer(dst)
	w, err := zlib.NewWriterLevel(out, zlib.BestSpeed) // other levels are slow under the race detector
	if err != nil {
		return nil, err
	}
	w.Write(src)
	err = w.Close()
	return out.Bytes(), err
}

func (deflating) Decode(dst, src []byte, limit int) ([]byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(src))
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err == nil && len(out) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return append(dst, out...), err
}

func (reversing) Encode(dst, src []byte) ([]byte, error) {
	at := len(dst)
	dst = append(dst, src...)
	slices.Reverse(dst[at:])
	return dst, nil
}

func (t reversing) Decode(dst, src []byte, limit int) ([]byte, error) { return t.Encode(dst, src) }

func (masking) Encode(dst, src []byte) ([]byte, error) {
	for _, b := range src {
		dst = append(dst, b^0x5a)
	}
	return dst, nil
}

func (t masking) Decode(dst, src []byte, limit int) ([]byte, error) { return t.Encode(dst, src) }

// transforming returns options with the transforms that the Python peer calls so.
func transforming(names string) *conn.Options {
	return &conn.Options{Transforms: func() (all []conn.Transform) {
		for name := range strings.SplitSeq(names, ",") {
			all = append(all, map[string]conn.Transform{"zlib": deflating{}, "rev": reversing{}, "xor": masking{}}[name])
		}
		return all
	}}
}

func TestAPythonPeerWithTheSameTransformsUnderstandsUs(t *testing.T) {
	var running sync.WaitGroup
	defer running.Wait()
	for _, names := range []string{"zlib,rev", "rev,zlib", "rev,zlib,xor"} {
		asClient := func(t *testing.T) {
			p, addr := pythonServer(t, "--once", "--transforms", names, "echo")
			c := dialPeer(t, addr, transforming(names))
			for _, size := range []int{0, 1, 300, 1 << 20, 0} {
				want := transcript.Gen(size)
				if err := c.Send(t.Context(), slices.Clone(want)); err != nil {
					t.Fatal(err)
				}
				got, err := c.Receive(t.Context())
				if diff := cmp.Diff(summary(want), summary(got)); err != nil || diff != "" {
					t.Errorf("echo of %d bytes (-want +got), error %v:\n%s", size, err, diff)
				}
			}
			checkError(t, c.Shutdown(t.Context()))
			p.end(t, "", "")
		}
		asServer := func(t *testing.T) {
			p, nc := pythonClient(t, "", "--transforms", names, "check", "--sizes", "0,1,300,1048576,0")
			c := greetPeer(t, nc, transforming(names))
			checkError(t, echo(t.Context(), c, ""))
			p.end(t, fmt.Sprintf("{\"messages\": 5, \"bytes\": %d}\n", 1+300+1048576), "")
		}
		running.Go(func() { t.Run(names+" as its client", asClient) })
		running.Go(func() { t.Run(names+" as its server", asServer) })
	}
}

func TestTransformsInTheWrongOrderAreANamedError(t *testing.T) {
	for _, tt := range []struct{ ours, theirs string }{{"zlib,rev", "rev,zlib"}, {"rev,zlib", "zlib,rev"}} {
		arguments := []string{"--transforms", tt.theirs, "--count", "1", "--size", "1000"}
		receive := func(t *testing.T, c *conn.Conn) {
			for msg := range c.Inbox() {
				t.Errorf("received %s", summary(msg))
			}
			checkError(t, c.Err(), conn.ErrTransform)
			if err := c.Err(); !errors.Is(err, zlib.ErrHeader) {
				t.Errorf("error %v does not wrap that of the transform", err)
			}
		}
		t.Run(tt.ours+" as its client", func(t *testing.T) {
			_, addr := pythonServer(t, append(arguments, "source")...)
			receive(t, dialPeer(t, addr, transforming(tt.ours)))
		})
		t.Run(tt.ours+" as its server", func(t *testing.T) {
			_, nc := pythonClient(t, "", append(arguments, "flood")...)
			receive(t, greetPeer(t, nc, transforming(tt.ours)))
		})
		t.Run(tt.ours+" at the other end", func(t *testing.T) {
			p, nc := pythonClient(t, "", "--transforms", tt.theirs, "sink")
			c := greetPeer(t, nc, transforming(tt.ours))
			if err := c.Send(t.Context(), transcript.Gen(1000)); err != nil {
				t.Error(err)
			}
			rest, err := io.ReadAll(p.out)
			if p.cmd.Wait() == nil || err != nil || len(rest) > 0 {
				t.Errorf("it printed %q, %v, and ended well", rest, err)
			}
			const want = "peer.py: zlib: cannot decode a message of "
			if !strings.HasPrefix(p.stderr.String(), want) {
				t.Errorf("it complained %q, expected %s...", p.stderr.String(), want)
			}
		})
	}
}

// transcribed are the messages that both ends of the k-plugins sessions send.
var transcribed = [][]byte{[]byte("hello hello hello hello"), {}, transcript.Gen(300)}

// transformedMessages returns the messages that one end wrote, as they were on
// the wire, of a session in which the ends talked in turn.
func transformedMessages(stream []byte) (messages [][]byte) {
	for len(stream) > 0 {
		if stream[0] == byte(wire.OK) { // the hello or an answer
			stream = stream[1:]
			continue
		}
		size := binary.BigEndian.Uint32(stream)
		stream = stream[wire.SizeLen:]
		messages, stream = append(messages, stream[:size]), stream[size:]
	}
	return messages
}

func TestTransformsReadAndWriteWhatWasRecorded(t *testing.T) {
	inflate := func(b []byte) []byte {
		r, err := zlib.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Errorf("%x: %v", b, err)
			return nil
		}
		out, err := io.ReadAll(r)
		if err != nil {
			t.Errorf("%x: %v", b, err)
		}
		return out
	}
	reverse := func(b []byte) []byte {
		b = slices.Clone(b)
		slices.Reverse(b)
		return b
	}
	for names, decode := range map[string]func([]byte) []byte{
		"rev,zlib": func(b []byte) []byte { return reverse(inflate(b)) },
		"zlib,rev": func(b []byte) []byte { return inflate(reverse(b)) },
	} {
		s, err := transcript.Load(os.DirFS("../testdata/transcripts"), "k-plugins-"+strings.ReplaceAll(names, ",", "-"))
		if err != nil {
			t.Fatal(err)
		}
		// exchange sends what was recorded to an end with transforms that echoes,
		// and reads the echo by hand: the bytes that a zlib writes may differ from
		// another one's. received returns what the other end has received, if it
		// can tell.
		exchange := func(t *testing.T, plain *conn.Conn, from transcript.Direction, received func() []byte) {
			recorded := transformedMessages(s.Concat(from))
			if len(recorded) != len(transcribed) {
				t.Fatalf("%d messages were recorded, expected %d", len(recorded), len(transcribed))
			}
			for i, msg := range recorded {
				if err := plain.Send(t.Context(), msg); err != nil {
					t.Fatal(err)
				}
				if received != nil {
					if diff := cmp.Diff(summary(transcribed[i]), summary(received())); diff != "" {
						t.Errorf("message %d (-recorded +received):\n%s", i, diff)
					}
				}
				echoed, err := plain.Receive(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(summary(transcribed[i]), summary(decode(echoed))); diff != "" {
					t.Errorf("what message %d is on the wire, %x, is not it (-recorded +sent):\n%s", i, echoed, diff)
				}
			}
			checkError(t, plain.Shutdown(t.Context()))
		}
		for _, from := range []transcript.Direction{transcript.ClientToServer, transcript.ServerToClient} {
			t.Run(fmt.Sprint(names, " with a Conn, ", from), func(t *testing.T) {
				x, y := tcpPair(t)
				c, plain := join(t, x, y, transforming(names), nil)
				exchange(t, plain, from, func() []byte {
					msg, err := c.Receive(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if err := c.Send(t.Context(), slices.Clone(msg)); err != nil {
						t.Fatal(err)
					}
					return msg
				})
				for range c.Inbox() {
				}
				checkError(t, c.Err())
			})
		}
		t.Run(names+" with the Python peer", func(t *testing.T) {
			p, addr := pythonServer(t, "--once", "--transforms", names, "echo")
			exchange(t, dialPeer(t, addr, nil), transcript.ClientToServer, nil)
			p.end(t, "", "")
		})
	}
}
