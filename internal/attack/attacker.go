package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// orders are what an attacker is started with.
type orders struct {
	Pattern string
	Address string
	Workers int
	Period  time.Duration // between the bytes of those that drip
}

// totals are what an attack took the attacker.
type totals struct {
	Opened int64 // connections
	Held   int64 // of these, at the end
	Failed int64 // connections that could not be opened
	Sent   int64 // bytes of the streams, headers not included
}

// headers is what a connection takes of IPv4 and TCP headers at the least: SYN,
// ACK and RST.
const headers = 60 + 52 + 40

// bytes is all that the attacker sent.
func (t totals) bytes() int64 { return t.Sent + headers*t.Opened }

// attacker is an attack in progress.
type attacker struct {
	orders
	addr       *net.TCPAddr
	dialling   chan struct{} // one token for each that may connect at the same moment
	inPosition sync.WaitGroup

	opened, held, failed, sent atomic.Int64
}

// maxDialling is fewer than the system's queue of connections to be accepted.
const maxDialling = 128

// beAttacker attacks until its input ends: with the process that started it, at
// the latest. A line of it asks for the totals so far, which are also its last
// words.
func beAttacker(ctx context.Context, input string, stdin io.Reader, stdout io.Writer) error {
	yieldToOthers()
	a := &attacker{dialling: make(chan struct{}, maxDialling)}
	if err := json.Unmarshal([]byte(input), &a.orders); err != nil {
		return fmt.Errorf("orders %q: %w", input, err)
	}
	p, ok := findPattern(a.Pattern)
	if !ok {
		return fmt.Errorf("no pattern is called %q", a.Pattern)
	}
	var err error
	if a.addr, err = net.ResolveTCPAddr("tcp", a.Address); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var workers sync.WaitGroup
	a.inPosition.Add(a.Workers)
	for i := range a.Workers {
		workers.Go(func() { a.work(ctx, i, p) }) // ends with ctx
	}
	positioned := make(chan struct{})
	go func() { // ends with the last worker's first connection, or with all of them
		a.inPosition.Wait()
		close(positioned)
	}()
	lines := make(chan struct{})
	go func() { // ends with its input
		defer close(lines)
		for in := bufio.NewScanner(stdin); in.Scan(); {
			lines <- struct{}{}
		}
	}()
	out := json.NewEncoder(stdout)
	for {
		select {
		case <-positioned:
			positioned = nil
			if err := out.Encode(a.totals()); err != nil {
				return err
			}
		case _, ok := <-lines:
			last := a.totals()
			if !ok {
				cancel()
				workers.Wait()
			}
			if err := out.Encode(last); err != nil || !ok {
				return err
			}
		}
	}
}

func findPattern(name string) (pattern, bool) {
	for _, p := range patterns {
		if p.name == name {
			return p, true
		}
	}
	return pattern{}, false
}

func (a *attacker) totals() totals {
	return totals{Opened: a.opened.Load(), Held: a.held.Load(), Failed: a.failed.Load(), Sent: a.sent.Load()}
}

// work keeps one connection: when it has ended, or could not be had, it opens
// the next.
func (a *attacker) work(ctx context.Context, i int, p pattern) {
	inPosition := sync.OnceFunc(a.inPosition.Done)
	defer inPosition()
	for ctx.Err() == nil {
		nc, err := a.dial(ctx, i)
		if err != nil {
			a.failed.Add(1)
			inPosition() // as far as it gets
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		a.opened.Add(1)
		a.held.Add(1)
		stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
		p.attack(&victim{TCPConn: nc, attacker: a, ctx: ctx, inPosition: inPosition})
		stop()
		inPosition()
		nc.SetLinger(0) // so that no port stays in use
		nc.Close()
		a.held.Add(-1)
	}
}

// sources is how many addresses of this machine there are to connect from: each
// has ports of its own.
const sources = 16

func (a *attacker) dial(ctx context.Context, i int) (*net.TCPConn, error) {
	select {
	case a.dialling <- struct{}{}:
		defer func() { <-a.dialling }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%sources))}}
	nc, err := d.DialContext(ctx, "tcp", a.addr.String())
	if err != nil && ctx.Err() == nil { // not every system has more than one
		d.LocalAddr = nil
		nc, err = d.DialContext(ctx, "tcp", a.addr.String())
	}
	if err != nil {
		return nil, err
	}
	return nc.(*net.TCPConn), nil
}

// victim is one connection of an attacker to the server. Its methods return
// false when it has ended, or the attack has.
type victim struct {
	*net.TCPConn
	*attacker
	ctx        context.Context
	inPosition func() // the connection is where its pattern wants it
}

// says writes to the server.
func (v *victim) says(p ...byte) bool {
	n, err := v.Write(p)
	v.sent.Add(int64(n))
	return err == nil
}

// hears reads n bytes of the server.
func (v *victim) hears(n int) bool {
	_, err := io.CopyN(io.Discard, v.TCPConn, int64(n))
	return err == nil
}

// greets greets and is greeted.
func (v *victim) greets() bool { return v.says(0xff) && v.hears(1) }

// holds holds the connection until the server ends it, or the attack does.
func (v *victim) holds() {
	v.inPosition()
	io.Copy(io.Discard, v.TCPConn)
}

// waits for one period.
func (v *victim) waits() bool {
	select {
	case <-time.After(v.Period):
		return true
	case <-v.ctx.Done():
		return false
	}
}

// repeats says the same again and again, and reads what the server says.
func (v *victim) repeats(p []byte) {
	var reading sync.WaitGroup
	reading.Go(func() { io.Copy(io.Discard, v.TCPConn) }) // ends with the connection, or its deadline
	defer reading.Wait()
	defer v.SetDeadline(time.Unix(1, 0))
	v.inPosition()
	for v.says(p...) {
	}
}
