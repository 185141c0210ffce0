package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tinyproto-go/tinyproto/hub"
)

// The clients' process controls the server's over its standard input and
// output: orders are lines, reports are JSON. An end of the input ends the
// server at once, so it does not outlive who started it.
const (
	orderUsage   = "usage"   // what is in use, as it is
	orderCollect = "collect" // what is in use after a collection
	orderEnd     = "end"     // end the context, and with it everything
)

// report is what the server says. One field is set.
type report struct {
	Ready   []string     `json:",omitempty"` // its addresses
	Account *account     `json:",omitempty"` // of a connection that has ended
	Usage   *serverUsage `json:",omitempty"` // behind the accounts of all connections that it does not count as open
	Final   *counters    `json:",omitempty"` // its last words
}

// serverUsage is a server's usage and counters.
type serverUsage struct {
	usage
	Counters counters
}

// counters are what a server counted since its start.
type counters struct {
	Accounts  uint64 // of connections whose hello was right
	Anonymous uint64 // of these, those that did not introduce themselves
	// NoHello are the connections without a hello, by kind.
	NoHello map[string]uint64
	// Sums over all accounts, for a check that the accounts are complete.
	Handed, Written, Arrived, Taken uint64
	Hubs                            map[string]hub.Stats
	// Faults are what must not happen in a server.
	Faults []string
}

// add adds what an account has.
func (c *counters) add(a *account) {
	c.Accounts++
	if a.Session == 0 {
		c.Anonymous++
	}
	c.Handed += a.Handed
	c.Written += a.Written
	c.Arrived += a.Arrived
	c.Taken += a.Taken
}

// child is a server in a process of its own.
type child struct {
	number    int // of the run's servers, from 1
	addresses []string

	visits      atomic.Int64  // of clients, that have not handed in their accounts
	failedDials atomic.Uint64 // of clients

	cmd      *exec.Cmd
	in       io.WriteCloser
	accounts func(account) // called for each, one at a time
	died     chan struct{} // closed when its output has ended
	exit     error         // immutable once died is closed

	asking sync.Mutex // one order at a time
	usages chan serverUsage
	final  *counters // immutable once died is closed
}

// startTime is how long a server may take to start.
const startTime = 30 * time.Second

// startServer starts the server process number n and waits until it listens.
func startServer(cfg *config, n int, dir string, stderr io.Writer, accounts func(account)) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{number: n, accounts: accounts, died: make(chan struct{}), usages: make(chan serverUsage, 1)}
	c.cmd = exec.Command(self, cfg.serverArgs(n, dir)...)
	c.cmd.Stderr = stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan []string, 1)
	go c.listen(out, ready) // ends with the process
	select {
	case c.addresses = <-ready:
		return c, nil
	case <-c.died:
		return nil, fmt.Errorf("server %d did not start: %w", n, c.exit)
	case <-time.After(startTime):
		c.kill()
		return nil, fmt.Errorf("server %d did not start within %v", n, startTime)
	}
}

// listen reads the server's reports until its end.
func (c *child) listen(out io.Reader, ready chan<- []string) {
	defer close(c.died)
	reports := json.NewDecoder(bufio.NewReaderSize(out, 1<<20))
	for {
		var r report
		err := reports.Decode(&r)
		if err != nil { // the end, or a report that a kill has cut
			io.Copy(io.Discard, out)
			c.exit = c.cmd.Wait()
			if c.exit == nil && err != io.EOF {
				c.exit = err
			}
			return
		}
		switch {
		case r.Ready != nil:
			ready <- r.Ready
		case r.Account != nil:
			c.accounts(*r.Account)
		case r.Usage != nil:
			c.usages <- *r.Usage
		case r.Final != nil:
			c.final = r.Final
		}
	}
}

// ask has the server say what it uses, and returns when it has.
func (c *child) ask(order string) (serverUsage, error) {
	c.asking.Lock()
	defer c.asking.Unlock()
	select {
	case <-c.usages: // that came too late for the last one who asked
	default:
	}
	if _, err := io.WriteString(c.in, order+"\n"); err != nil {
		return serverUsage{}, fmt.Errorf("asking server %d for its usage: %w", c.number, err)
	}
	select {
	case u := <-c.usages:
		return u, nil
	case <-c.died:
		return serverUsage{}, fmt.Errorf("server %d died: %v", c.number, c.exit)
	case <-time.After(patience):
		return serverUsage{}, fmt.Errorf("server %d does not say what it uses, for %v", c.number, patience)
	}
}

// end ends the server gracefully and returns its counters.
func (c *child) end() (counters, error) {
	io.WriteString(c.in, orderEnd+"\n") // a failure shows below
	select {
	case <-c.died:
	case <-time.After(patience):
		c.kill()
		return counters{}, fmt.Errorf("server %d did not end within %v after its context", c.number, patience)
	}
	switch {
	case c.exit != nil:
		return counters{}, fmt.Errorf("server %d ended: %w", c.number, c.exit)
	case c.final == nil:
		return counters{}, fmt.Errorf("server %d ended without a word", c.number)
	}
	return *c.final, nil
}

// kill ends the server at once, and returns when it has.
func (c *child) kill() {
	c.cmd.Process.Kill()
	<-c.died
}

// orders reads orders from r and carries them out, until the last or until r
// ends, which is an error.
func orders(ctx context.Context, r io.Reader, say func(report) error, usage func(order string) serverUsage) error {
	lines := make(chan string)
	go func() { // ends with its input, which ends with the process at the other end
		defer close(lines)
		for in := bufio.NewScanner(r); in.Scan(); {
			lines <- in.Text()
		}
	}()
	for {
		select {
		case line, ok := <-lines:
			switch {
			case !ok:
				return errors.New("nobody controls this server any more")
			case line == orderEnd:
				return nil
			}
			u := usage(line)
			if err := say(report{Usage: &u}); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// cpu is what the process used in its life, which is over.
func (c *child) cpu() time.Duration {
	return c.cmd.ProcessState.UserTime() + c.cmd.ProcessState.SystemTime()
}
