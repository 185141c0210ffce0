package main

import (
	"bytes"
	"math"
	"strings"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/wire"
)

// What a connection may hold of messages that the application has not taken: the
// bytes of the default window, and what it takes to keep so many small messages.
const windowful = 1<<20 + 512<<10

// busy is what a connection takes that holds no message, but has something to read:
// 64 KiB, borrowed. Under the race detector much of that is not given back, but
// garbage.
const busy = plain + 512<<10

// pipelinedPatterns are those in pipelined mode, where the honest clients are in
// that mode, too.
var pipelinedPatterns = []pattern{
	{name: "p-idle", does: "agrees on pipelined mode, and is silent",
		workers: all, memory: plain, attack: func(v *victim) {
			if v.agrees() {
				v.holds()
			}
		}},
	{name: "p-no-terms", does: "asks for pipelined mode, and never says its terms",
		workers: all, memory: plain, attack: func(v *victim) {
			if v.asks() {
				v.holds()
			}
		}},
	{name: "p-no-pong", does: "leaves PING without PONG, again and again",
		silent: true, workers: all, memory: plain, attack: func(v *victim) {
			if v.agrees() {
				v.holds()
			}
		}},
	{name: "p-claim", does: "begins a message of 4 GB, which is to be skipped, and is silent",
		workers: all, memory: plain, attack: agreeAndHold(size(wire.MaxSize))},
	{name: "p-claim-accepted", does: "the same at a server without a limit",
		workers: all, memory: plain + 64<<10, attack: agreeAndHold(size(wire.MaxSize)),
		server: func(set *settings, _ int) { set.MaxMessage = wire.MaxSize }},
	{name: "p-oversize-flood", does: "sends messages of 64 MiB, which are skipped",
		workers: some, memory: plain + 4<<20, attack: func(v *victim) {
			if !v.agrees() {
				return
			}
			v.inPosition()
			body := make([]byte, 1<<20)
			for v.says(size(64 << 20)...) {
				for range 64 {
					if !v.says(body...) {
						return
					}
				}
				if !v.hears(1) {
					return
				}
			}
		}},
	{name: "p-drip-size", does: "sends a byte of a size just before each StallTimeout",
		drips: true, workers: all, memory: plain, attack: func(v *victim) {
			if v.agrees() {
				v.inPosition()
				for v.says(0) && v.waits() && v.says(0) && v.waits() && v.says(0) && v.waits() && v.says(0) && v.hears(1) {
				}
			}
		}},
	{name: "p-drip-64k", does: "sends a byte of a message of 64 KiB just before each StallTimeout",
		drips: true, workers: all, memory: plain + 64<<10, attack: dripData(64<<10, 1)},
	{name: "p-drip-16m", does: "the same with 16 MiB, a quarter of them at once",
		drips: true, workers: hundredth, memory: plain + 20<<20, attack: dripData(16<<20, 4<<20+1)},
	{name: "p-overrun", does: "floods with empty messages, whatever the window",
		// One that was ended may still be there when its successor is.
		workers: some, memory: plain + 2*windowful, attack: agreeAndRepeat(make([]byte, 64<<10))},
	{name: "p-overrun-bytes", does: "the same with messages of 64 KiB",
		workers: some, memory: plain + 2*windowful, attack: agreeAndRepeat(bytes.Repeat(data(64<<10), 16))},
	{name: "p-empty-flood", does: "sends as many empty messages as the window allows",
		workers: some, memory: plain + windowful, attack: func(v *victim) {
			const flight = 2048
			if !v.agrees() {
				return
			}
			v.inPosition()
			for v.says(make([]byte, flight*wire.SizeLen)...) && v.hears(flight) {
			}
		}},
	{name: "p-tiny-segments", does: "sends messages of 1 byte, each byte in a segment of its own",
		workers: some, memory: busy, attack: func(v *victim) {
			if !v.agrees() {
				return
			}
			v.inPosition()
			for {
				for _, b := range data(1) {
					if !v.says(b) {
						return
					}
				}
				if !v.hears(1) {
					return
				}
			}
		}},
	{name: "p-never-reads", does: "asks for 1 MiB eight times, reads nothing, and fills the window",
		workers: all, memory: plain + windowful, attack: func(v *victim) {
			v.SetReadBuffer(4 << 10)
			if v.agrees() && v.says(bytes.Repeat(append(size(1), askReply), 8)...) && v.says(bytes.Repeat(data(1000), 1000)...) {
				v.inPosition()
				for v.waits() {
				}
			}
		}},
	{name: "p-hoard", does: "asks for 64 KiB again and again, reads the replies and never answers them",
		workers: some, memory: plain + 2*windowful, attack: func(v *victim) {
			request := append(size(64<<10), bytes.Repeat([]byte{askEcho}, 64<<10)...)
			if !v.agrees() {
				return
			}
			v.inPosition()
			for v.says(request...) && v.hears(1+len(request)) {
			}
		}},
	{name: "p-never-answers", does: "asks for 100 bytes a thousand times, and never answers what comes",
		workers: all, memory: plain + windowful, attack: func(v *victim) {
			request := append(size(100), bytes.Repeat([]byte{askEcho}, 100)...)
			if v.agrees() && v.says(bytes.Repeat(request, 1000)...) {
				v.holds()
			}
		}},
	{name: "p-ping-flood", does: "floods with PINGs",
		workers: some, memory: busy, attack: agreeAndRepeat(bytes.Repeat([]byte{byte(wire.Ping)}, 16<<10))},
	{name: "p-ping-pong", does: "sends a PING as soon as the one before has its PONG",
		workers: some, memory: busy, attack: func(v *victim) {
			if !v.agrees() {
				return
			}
			v.inPosition()
			for v.says(byte(wire.Ping)) && v.hears(1) {
			}
		}},
	{name: "p-unasked-ok", does: "floods with OKs that nobody asked for",
		workers: some, memory: busy, attack: agreeAndRepeat(bytes.Repeat([]byte{byte(wire.OK)}, 16<<10))},
	{name: "p-unasked-pong", does: "the same with PONG",
		workers: some, memory: busy, attack: agreeAndRepeat(bytes.Repeat([]byte{byte(wire.Pong)}, 16<<10))},
	{name: "p-bye-twice", does: "says BYE twice, and more",
		workers: some, memory: busy, attack: agreeAndRepeat(bytes.Repeat([]byte{byte(wire.Bye)}, 16<<10))},
	{name: "p-bye-stays", does: "says BYE, and neither answers nor ends its stream",
		workers: all, memory: busy, attack: agreeAndHold(append(size(1), askEcho, byte(wire.Bye)))},
	{name: "p-rubbish", does: "agrees on pipelined mode and sends rubbish",
		workers: some, memory: busy, attack: func(v *victim) {
			if v.agrees() && v.says(rubbish(1<<10)...) {
				v.CloseWrite()
				v.holds()
			}
		}},
}

// mode is that of the honest clients meanwhile.
func (p *pattern) mode() conn.Mode {
	if strings.HasPrefix(p.name, "p-") {
		return conn.Pipelined
	}
	return conn.Classic
}

// greedy are the terms of an attacker.
var greedy = wire.Terms{MaxMessage: wire.MaxSize, WindowMessages: math.MaxUint32, WindowBytes: math.MaxUint32}

// asks asks for pipelined mode, and reads the server's terms.
func (v *victim) asks() bool {
	return v.says(append([]byte{byte(wire.OK)}, wire.PipelinedRequest...)...) && v.hears(2+wire.TermsLen)
}

// agrees agrees on pipelined mode.
func (v *victim) agrees() bool { return v.asks() && v.says(greedy.Append(nil)...) }

func agreeAndHold(p []byte) func(*victim) {
	return func(v *victim) {
		if v.agrees() && v.says(p...) {
			v.holds()
		}
	}
}

func agreeAndRepeat(p []byte) func(*victim) {
	return func(v *victim) {
		if v.agrees() {
			v.repeats(p)
		}
	}
}

// data is a message that the server drops.
func data(n uint32) []byte { return append(size(n), make([]byte, n)...) }

// dripData begins a message, sends the first bytes at once and the rest as slowly
// as the server allows.
func dripData(bytes uint32, first int) func(*victim) {
	return func(v *victim) {
		if !v.agrees() || !v.says(append(size(bytes), make([]byte, first)...)...) {
			return
		}
		v.inPosition()
		for v.waits() && v.says(0) {
		}
	}
}
