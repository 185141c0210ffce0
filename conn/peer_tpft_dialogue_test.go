package conn_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/transcript"
	"github.com/tinyproto-go/tinyproto/wire"
)

// A dialogue is all that two ends write that talk in turn, by direction.
type dialogue [2][]byte

const (
	c2s = transcript.ClientToServer
	s2c = transcript.ServerToClient
)

func newDialogue() *dialogue { return &dialogue{{byte(wire.OK)}, {byte(wire.OK)}} }

// sayUntil adds a message of which only so many bytes are written.
func (d *dialogue) sayUntil(n int, from transcript.Direction, msg string) {
	d[from] = append(wire.AppendSize(d[from], uint32(len(msg))), msg[:n]...)
	d[1-from] = append(d[1-from], byte(wire.OK))
}

func (d *dialogue) say(from transcript.Direction, msg string) { d.sayUntil(len(msg), from, msg) }

const (
	confirmed = `{"type":"confirmed","letter":{}}`
	closing   = `{"type":"close","letter":{}}`
)

func uploadRequest(size int, path string) string {
	return fmt.Sprintf(`{"type":"upload-request","letter":{"file_size":%d,"destination_path":"%s"}}`, size, path)
}

func downloadRequest(path string) string {
	return fmt.Sprintf(`{"type":"download-request","letter":{"download_path":"%s"}}`, path)
}

func downloadConfirmation(size int) string {
	return fmt.Sprintf(`{"type":"download-confirmation","letter":{"file_size":%d}}`, size)
}

func (d *dialogue) check(t testing.TB, p *tap) {
	t.Helper()
	<-p.done
	got := transcript.Session{Events: p.seen}
	for _, from := range []transcript.Direction{c2s, s2c} {
		if diff := cmp.Diff(summary(d[from]), summary(got.Concat(from))); diff != "" {
			t.Errorf("%v (-want +got):\n%s", from, diff)
		}
	}
}

// play has a Conn say and expect messages in turn.
func play(t testing.TB, c *conn.Conn, mine transcript.Direction, messages []string) {
	t.Helper()
	for i, line := range messages {
		msg, ok := strings.CutPrefix(line, mine.String()+" ")
		if ok {
			if err := c.Send(t.Context(), []byte(msg)); err != nil {
				t.Errorf("message %d: %v", i, err)
			}
			continue
		}
		got, err := c.Receive(t.Context())
		if diff := cmp.Diff(line, (1-mine).String()+" "+string(got)); err != nil || diff != "" {
			t.Errorf("message %d (-want +got), error %v:\n%s", i, err, diff)
		}
	}
}
