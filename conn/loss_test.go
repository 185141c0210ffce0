package conn_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// producers keep sending numbered messages until the connection is over, and know
// what became of each.
type producers struct {
	work sync.WaitGroup

	mu       sync.Mutex
	put      []string // what the Outbox took
	sent     []string // what a Send said was sent
	returned []string // what a Send said was not sent; what it was in doubt about is nowhere
}

func (p *producers) start(c *conn.Conn) {
	for who := range 2 { // each ends with the connection
		p.work.Go(func() {
			for i := 0; ; i++ {
				m := fmt.Sprintf("put %d %d", who, i)
				if put(c, []byte(m)) != nil {
					return
				}
				p.note(&p.put, m)
			}
		})
		p.work.Go(func() {
			for i := 0; ; i++ {
				m := fmt.Sprintf("send %d %d", who, i)
				switch err := c.Send(context.Background(), []byte(m)); {
				case err == nil:
					p.note(&p.sent, m)
					continue
				case !errors.Is(err, conn.ErrInDoubt):
					p.note(&p.returned, m)
				}
				return
			}
		})
	}
}

func (p *producers) note(list *[]string, m string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*list = append(*list, m)
}

// count is how many messages were taken.
func (p *producers) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.put) + len(p.sent)
}

// checkReceived asserts that what was received was sent, once and in order, and
// that what was not received is unsent, or among lost messages in doubt. In
// pipelined mode what is unsent may have arrived.
func (p *producers) checkReceived(t testing.TB, received []string, unsent [][]byte, lost int) {
	t.Helper()
	fate := make(map[string]string)
	newest := make(map[string]int)
	for _, m := range received {
		var how string
		var who, i int
		if _, err := fmt.Sscanf(m, "%s %d %d", &how, &who, &i); err != nil {
			t.Fatalf("received %q, which nobody sent", m)
		}
		producer := fmt.Sprint(how, who)
		if last, ok := newest[producer]; ok && i <= last {
			t.Errorf("received %q behind the producer's number %d", m, last)
		}
		newest[producer], fate[m] = i, "received"
	}
	for _, m := range p.returned {
		if fate[m] != "" {
			t.Errorf("%q was received, but its Send said that it was not sent", m)
		}
	}
	for _, u := range unsent {
		m := string(u)
		if fate[m] == "unsent" || fate[m] != "" && !inPipelined() {
			t.Errorf("%q is unsent and %s", m, fate[m])
		}
		fate[m] = "unsent"
	}
	var missing []string
	for _, m := range slices.Concat(p.put, p.sent) {
		if fate[m] == "" {
			missing = append(missing, m)
		}
	}
	if len(missing) > lost {
		t.Errorf("lost: %q, expected at most %d of %d", missing, lost, p.count())
	}
}

// C6, under load: every message was received, or is unsent, or the one in doubt.
func TestWhateverTheEndNoMessageIsLostSilently(t *testing.T) {
	eachMode(t, testWhateverTheEndNoMessageIsLostSilently)
}

func testWhateverTheEndNoMessageIsLostSilently(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for name, transport := range duplexTransports {
		for _, e := range []end{byContext, byShutdown, byClose} {
			for _, ending := range []string{"sender", "receiver"} {
				t.Run(fmt.Sprintf("%s/%s of the %s", name, e.name, ending), func(t *testing.T) {
					leaktest.Check(t)
					total := 0
					for range 10 {
						total += loseNothing(t, transport, e, ending == "sender", random)
					}
					if total == 0 {
						t.Error("not one message was received")
					}
				})
			}
		}
	}
}

// loseNothing ends a connection at a random moment, and returns how many messages
// were received.
func loseNothing(t *testing.T, transport transport, e end, bySender bool, random *rand.Rand) int {
	x, y := transport(t)
	ctx, cancel := context.WithTimeout(context.Background(), stuckAfter)
	defer cancel()
	xCtx, xCancel := context.WithCancel(ctx)
	defer xCancel()
	yCtx, yCancel := context.WithCancel(ctx)
	defer yCancel()
	a, b := joinContext(t, xCtx, yCtx, x, y, &conn.Options{OutboxBuffer: random.IntN(4)}, nil)
	who := &stage{c: a, cancel: xCancel}
	if !bySender {
		who = &stage{c: b, cancel: yCancel}
	}
	var p producers
	p.start(a)
	most := 5000
	if inPipelined() { // a whole window may be written before the first message is read
		most *= 4
	}
	now := time.NewTimer(time.Duration(random.IntN(most)) * time.Microsecond)
	var work sync.WaitGroup
	work.Go(func() { // ends with the connection
		<-now.C
		e.do(who)
	})
	work.Go(func() { // ends with the connection; the peer's BYE closes the Inbox
		for range a.Inbox() {
		}
		a.Shutdown(ctx)
	})
	var received []string
	for m := range b.Inbox() {
		received = append(received, string(m))
	}
	b.Shutdown(ctx)
	work.Wait()
	p.work.Wait()
	lost, err := 0, a.Err()
	switch {
	case inPipelined(): // what is in doubt is unsent
		if errors.Is(err, conn.ErrInDoubt) {
			t.Errorf("Err is %v, expected no doubt", err)
		}
	case errors.Is(err, conn.ErrInDoubt):
		lost = 1
	case !bySender && e.name == byClose.name:
		lost = 1 // Close says that it drops what it holds, to its caller
	}
	p.checkReceived(t, received, a.Unsent(), lost)
	if unsent := len(a.Unsent()); unsent > 0 && !errors.Is(err, conn.ErrUnsent) {
		t.Errorf("%d messages are unsent, but Err is %v", unsent, err)
	}
	return len(received)
}
