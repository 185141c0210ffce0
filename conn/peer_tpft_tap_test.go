package conn_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/tinyproto-go/tinyproto/internal/transcript"
	"github.com/tinyproto-go/tinyproto/wire"
)

// A tap passes the bytes of one connection on, and notes what it sees before
// the other end can.
type tap struct {
	addr string
	done chan struct{} // closed when the connection is over
	mu   sync.Mutex
	seen []transcript.Event // guarded by mu until done
}

func startTap(t testing.TB, server string) *tap {
	l := listen(t)
	p := &tap{addr: l.Addr().String(), done: make(chan struct{})}
	go func() { // ends with the connection, or with the listener if there is none
		defer close(p.done)
		client, err := l.Accept()
		if err != nil {
			return
		}
		defer client.Close()
		dialed, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		defer dialed.Close()
		var passing sync.WaitGroup
		passing.Go(func() { p.pass(client, dialed.(*net.TCPConn), transcript.ClientToServer) })
		passing.Go(func() { p.pass(dialed, client.(*net.TCPConn), transcript.ServerToClient) })
		passing.Wait()
	}()
	return p
}

func (p *tap) pass(from net.Conn, to *net.TCPConn, d transcript.Direction) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			p.note(transcript.Event{From: d, Data: bytes.Clone(buf[:n])})
			to.Write(buf[:n]) // if it fails, the other direction ends as well
		}
		switch {
		case err == io.EOF:
			to.CloseWrite()
			return
		case errors.Is(err, syscall.ECONNRESET):
			p.note(transcript.Event{From: d, End: transcript.RST})
			fallthrough
		case err != nil:
			to.SetLinger(0)
			to.Close()
			return
		}
	}
}

func (p *tap) note(e transcript.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, e)
}

// lines shows a session in the way of the transcripts, without what differs
// from run to run: which hello is first, and who is first to end after all.
func lines(events []transcript.Event) []string {
	all := []string{"C->S hello", "S->C hello"}
	greeted := map[transcript.Direction]bool{}
	var run transcript.Event
	flush := func() {
		if len(run.Data) > 0 {
			all = append(all, fmt.Sprintf("%v %s", run.From, summary(run.Data)))
		}
	}
	for _, e := range events {
		switch {
		case e.End == transcript.RST:
			flush()
			run = transcript.Event{}
			all = append(all, fmt.Sprintf("%v %v", e.From, e.End))
			continue
		case e.End == transcript.FIN:
			continue
		case !greeted[e.From]:
			if greeted[e.From] = true; e.Data[0] != byte(wire.OK) {
				all = append(all, fmt.Sprintf("%v greets with %x", e.From, e.Data[0]))
			}
			e.Data = e.Data[1:]
		}
		if e.From != run.From {
			flush()
			run = transcript.Event{From: e.From}
		}
		run.Data = append(run.Data, e.Data...)
	}
	flush()
	return all
}

var (
	logID   = regexp.MustCompile(`\[[0-9a-f-]{36}\]`)
	logPort = regexp.MustCompile(`', \d+\)`)
)

// serverLog returns the lines of a tpft server's log up to the end of one
// connection.
func serverLog(t testing.TB, server *python) []string {
	var log []string
	for {
		line := logPort.ReplaceAllString(logID.ReplaceAllString(server.line(t), "[UUID]"), "', PORT)")
		if log = append(log, line); strings.HasPrefix(line, "[SRV] Connection closed") {
			return log
		}
	}
}
