package workload_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
	"github.com/tinyproto-go/tinyproto/benchmarks/internal/workload"
)

// fault is what a contestant does to a message that a link is given to send: it
// returns what is sent instead of message number n, which begins with 1, once
// before is the one before it.
type fault func(n int, msg, before []byte) [][]byte

// faultAt is the message that is mistreated.
const faultAt = 3

// once is a fault of one message.
func once(f func(msg, before []byte) [][]byte) fault {
	return func(n int, msg, before []byte) [][]byte {
		if n == faultAt {
			return f(msg, before)
		}
		return [][]byte{msg}
	}
}

var faults = map[string]fault{
	"lost":       once(func(_, _ []byte) [][]byte { return nil }),
	"doubled":    once(func(msg, _ []byte) [][]byte { return [][]byte{msg, msg} }),
	"replaced":   once(func(_, before []byte) [][]byte { return [][]byte{before} }),
	"cut short":  once(func(msg, _ []byte) [][]byte { return [][]byte{msg[:len(msg)-1]} }),
	"changed":    once(func(msg, _ []byte) [][]byte { c := slices.Clone(msg); c[7] ^= 1; return [][]byte{c} }),
	"lengthened": once(func(msg, _ []byte) [][]byte { return [][]byte{append(slices.Clone(msg), 0)} }),
	"overtaken": func(n int, msg, before []byte) [][]byte {
		switch n {
		case faultAt:
			return nil
		case faultAt + 1:
			return [][]byte{msg, before}
		}
		return [][]byte{msg}
	},
}

// faulty is a link that does wrong to messages of one size.
type faulty struct {
	contestant.Link
	fault  fault
	size   int
	sent   int
	before []byte
}

func (l *faulty) Send(msg []byte) error {
	if len(msg) != l.size {
		return l.Link.Send(msg)
	}
	l.sent++
	out := l.fault(l.sent, msg, l.before)
	l.before = slices.Clone(msg)
	for _, m := range out {
		if err := l.Link.Send(m); err != nil {
			return err
		}
	}
	return nil
}

// faultyAt returns the stream contestant with a fault at the host's links or at
// those that are dialled.
func faultyAt(t *testing.T, host bool, f fault) *contestant.Contestant {
	c := *named(t, "stream")
	listen, dial := c.Listen, c.Dial
	c.Hub = nil
	if host {
		c.Listen = func(s contestant.Settings, handle func(contestant.Link)) (*contestant.Host, error) {
			return listen(s, func(l contestant.Link) { handle(&faulty{Link: l, fault: f, size: s.Size}) })
		}
	} else {
		c.Dial = func(ctx context.Context, s contestant.Settings, address string, n int) (contestant.Link, error) {
			l, err := dial(ctx, s, address, n)
			return &faulty{Link: l, fault: f, size: s.Size}, err
		}
	}
	return &c
}

// A workload whose messages answer each other waits for one that is lost, until
// the run has taken too long: that is another test.
func TestAMessageThatIsMistreatedFailsTheRun(t *testing.T) {
	for _, test := range []struct {
		workload string
		host     bool
		waits    bool // for a message that was lost
	}{
		{"one-way-1KiB", false, false},
		{"parallel-one-way-1KiB", false, false},
		{"duplex-1KiB", false, false},
		{"duplex-1KiB", true, false},
		{"ping-pong-1KiB", true, true},
		{"ping-pong-1KiB", false, true},
		{"fan-out-64B", true, true},
		{"burst-64B", true, true},
	} {
		for name, f := range faults {
			if test.waits && (name == "lost" || name == "overtaken") {
				continue
			}
			where := "dialled"
			if test.host {
				where = "host"
			}
			t.Run(test.workload+"/"+where+"/"+name, func(t *testing.T) {
				w := workloadNamed(t, test.workload)
				w.Queue *= 2 // a message that comes twice is not to fill it
				_, err := w.Run(t.Context(), faultyAt(t, test.host, f), workload.Plan{Duration: 10 * moment, Processes: 1})
				if err == nil {
					t.Fatal("the run succeeded")
				}
				if !strings.Contains(err.Error(), "checksum") {
					t.Errorf("the error is not one of verification: %v", err)
				}
			})
		}
	}
}

func TestALostMessageThatIsWaitedForEndsWithTheContext(t *testing.T) {
	for _, name := range []string{"ping-pong-1KiB", "fan-out-64B"} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			c := faultyAt(t, true, faults["lost"])
			_, err := workloadNamed(t, name).Run(ctx, c, workload.Plan{Duration: moment, Processes: 1})
			if err == nil {
				t.Error("the run succeeded")
			}
		})
	}
}

func TestAMemberThatIsLostFailsTheRunAtOnce(t *testing.T) {
	c := *named(t, "stream")
	dial := c.Dial
	var first sync.Once
	c.Dial = func(ctx context.Context, s contestant.Settings, address string, n int) (contestant.Link, error) {
		l, err := dial(ctx, s, address, n)
		if err != nil {
			return nil, err
		}
		first.Do(func() { l = leaving{l} })
		return l, nil
	}
	_, err := workloadNamed(t, "fan-out-64B").Run(t.Context(), &c, workload.Plan{Duration: time.Minute, Processes: 1})
	if want := "member 1, after 0 messages"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, expected one with %q", err, want)
	}
}

// leaving is a link that closes when it has received.
type leaving struct{ contestant.Link }

func (l leaving) Receive() ([]byte, error) {
	l.Link.Receive()
	l.Link.Close()
	return nil, io.EOF
}
