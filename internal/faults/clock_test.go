//go:build unix

package faults

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/wire"
)

func TestAWallClockThatJumpsByAnHourIsNoticedByNobody(t *testing.T) {
	t.Parallel()
	tools := newToolchain(t)
	jumping := tools.build("", "test", "-c")
	tpft := tools.build("../../examples/tpft", "build")
	for name, mode := range map[string]conn.Mode{"requests": conn.Classic, "requests in pipelined mode": conn.Pipelined} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requestsGoOn(t, jumping, mode)
		})
	}
	for name, test := range map[string]silence{
		"a peer that does not greet": {
			orders: serverOrders{HelloTimeout: silenceTimeout},
			reach:  func(net.Conn) error { return nil },
		},
		"a peer that stalls inside a message": {
			orders: serverOrders{StallTimeout: silenceTimeout},
			reach:  func(nc net.Conn) error { return exchange(nc, "\xff\x00\x00\x00\x0a", "\xff\xff") },
			ends:   "stall: reading",
		},
		"a peer that stalls inside a message in pipelined mode": {
			orders: serverOrders{StallTimeout: silenceTimeout},
			reach: func(nc net.Conn) error {
				terms := string(wire.Terms{MaxMessage: conn.DefaultMaxMessage,
					WindowMessages: conn.DefaultWindowMessages, WindowBytes: conn.DefaultWindowBytes}.Append(nil))
				return errors.Join(exchange(nc, "\xff"+wire.PipelinedRequest, "\xff\xff"+terms), exchange(nc, terms+"\x00\x00\x00\x0ax", ""))
			},
			ends: "stall: reading",
		},
		"a peer that leaves our offer unanswered, when the server is told to end": {
			orders: serverOrders{Grace: silenceTimeout},
			reach:  func(nc net.Conn) error { return exchange(nc, "\xff\x00\x00\x00\x01x", "\xff\xff\x00\x00\x00\x01") },
			told:   true,
			ends:   "grace over",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ended, steps int64
			until := time.Now().Add(*duration)
			for first := true; first || !t.Failed() && time.Now().Before(until); first = false {
				steps += test.lastsAsLongAsItMay(t, jumping)
				ended += silentPeers
			}
			t.Logf("figures: %d steps of the server's clock; %d silent peers", steps, ended)
		})
	}
	t.Run("tpft", func(t *testing.T) {
		t.Parallel()
		filesAreCopied(t, tpft)
	})
}

// requestsGoOn has traffic of all kinds for as long as a scene lasts.
func requestsGoOn(t *testing.T, jumping string, mode conn.Mode) {
	s := newSceneOf(t, jumping, mode, serverOrders{})
	large := s.client(clientOrders{Largest: 1 << 20})
	slow := s.client(clientOrders{Trickle: true, Largest: 50}) // one request lasts longer than a jump
	for first := true; first || s.goesOn(); first = false {
		s.othersAreServed()
	}
	var hit []clientReport
	for _, c := range []*process[clientReport]{large, slow} {
		s.isServed(c, otherConns)
		r := c.ends()
		noticedNothing(t, "a client", r, otherConns)
		hit = append(hit, r)
	}
	r := s.ends()
	if len(r.Ends) > 0 {
		t.Errorf("connections ended with %v", r.Ends)
	}
	steps := []int64{r.ClockSteps, hit[0].ClockSteps, hit[1].ClockSteps}
	s.figures(fmt.Sprintf("%d steps of the clocks of a server and two clients", steps), hit...)
}

// silence is what a server does not wait for longer than it may.
type silence struct {
	orders serverOrders
	reach  func(nc net.Conn) error // brings a peer to where it falls silent
	told   bool                    // only then the server is told to end, and the time runs
	ends   string                  // by which error the connections end; "" before there is one
}

const (
	silenceTimeout = 300 * time.Millisecond
	silentPeers    = 8
)

// lastsAsLongAsItMay has some peers fall silent, at different points of the
// clock's way forth and back, and returns how often the server's clock jumped.
func (x silence) lastsAsLongAsItMay(t *testing.T, jumping string) int64 {
	server := start[serverReport](t, jumping, "server", x.orders)
	address := server.asks().Address
	var reached, ended sync.WaitGroup
	told := make(chan time.Time, silentPeers)
	for i := range silentPeers {
		reached.Add(1)
		ended.Go(func() { // ends with its connection, or when patience does
			pause(t.Context(), time.Duration(i)*period/silentPeers)
			began := time.Now()
			nc, err := net.Dial("tcp", address)
			if err == nil {
				defer nc.Close()
				nc.SetDeadline(began.Add(patience))
				err = x.reach(nc)
			}
			reached.Done()
			if err != nil {
				t.Error(err)
				return
			}
			if x.told {
				began = <-told
			}
			_, err = io.Copy(io.Discard, nc)
			if took := time.Since(began); took < silenceTimeout || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("peer %d was ended after %v, %v; expected after %v", i, took, err, silenceTimeout)
			}
		})
	}
	reached.Wait()
	if x.told {
		now := time.Now()
		server.in.Close()
		for range silentPeers {
			told <- now
		}
	}
	ended.Wait()
	r := server.ends()
	if len(r.Unnamed) > 0 || x.ends != "" && r.Ends[x.ends] != silentPeers {
		t.Errorf("connections ended with %v %q, expected %d with %q", r.Ends, r.Unnamed, silentPeers, x.ends)
	}
	return r.ClockSteps
}

// exchange writes, and reads what is expected.
func exchange(nc net.Conn, says, hears string) error {
	if _, err := io.WriteString(nc, says); err != nil {
		return err
	}
	got := make([]byte, len(hears))
	if n, err := io.ReadFull(nc, got); err != nil || string(got) != hears {
		return errors.Join(errors.New("heard "+string(got[:n])), err)
	}
	return nil
}

var progress = regexp.MustCompile(`\(100%\), .*/s, in [0-9.]+m?s\n$`)

// filesAreCopied has tpft copy a file there and back, at both ends with the
// clock that jumps.
func filesAreCopied(t *testing.T, tpft string) {
	root, local := t.TempDir(), t.TempDir()
	server := exec.Command(tpft, "-l", "127.0.0.1:0", "-root", root)
	stderr, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Process.Kill() })
	said := bufio.NewReader(stderr)
	line, err := said.ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		t.Fatalf("the server said %q, %v", line, err)
	}
	content := make([]byte, 8<<20)
	rand.NewChaCha8([32]byte{}).Read(content)
	source, back := filepath.Join(local, "source"), filepath.Join(local, "back")
	if err := os.WriteFile(source, content, 0o600); err != nil {
		t.Fatal(err)
	}
	copies := 0
	for until := time.Now().Add(*duration); copies == 0 || time.Now().Before(until); copies++ {
		for _, args := range [][]string{{"-chunk-size", "10000", source, address + ":there"}, {address + ":there", back}} {
			out, err := exec.Command(tpft, append([]string{"-p", "-check"}, args...)...).CombinedOutput()
			if err != nil || !progress.Match(out) {
				t.Fatalf("%q: %v, printed %q", args, err, out)
			}
		}
		got, err := os.ReadFile(back)
		if err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%d bytes came back that are not those that were sent: %v", len(got), err)
		}
	}
	if err := server.Process.Signal(syscall.SIGINT); err != nil {
		t.Error(err)
	}
	rest, err := io.ReadAll(said)
	if err := errors.Join(err, server.Wait()); err != nil || len(rest) > 0 {
		t.Errorf("the server ended with %v, and said %q", err, rest)
	}
	t.Logf("figures: %d copies there and back", copies)
}
