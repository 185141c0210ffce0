package main

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"slices"
	"sync"

	"github.com/tinyproto-go/tinyproto/wire"
)

// pattern is a way to attack.
type pattern struct {
	name string
	does string
	// workers is how many connections of so many there are at once.
	workers func(conns int) int
	// drips says that the attack is a matter of the server's StallTimeout, which
	// otherwise is the default.
	drips bool
	// silent says the same of its PeerTimeout.
	silent bool
	// server adapts the settings of the server.
	server func(set *settings, conns int)
	// attack is what is done with one connection, which is closed when it returns.
	attack func(*victim)
	// memory is what one connection may take of the server's memory, in bytes,
	// by what README says and a margin for goroutines and the runtime.
	memory int64
}

// Those that hold connections hold all; floods need only some to keep a server
// busy.
func all(conns int) int       { return conns }
func some(conns int) int      { return max(1, min(conns/4, 64)) }
func hundredth(conns int) int { return max(1, conns/100) }

// What a connection takes that holds no message: see idlememory. Under the race
// detector it takes more.
const plain = 40 << 10

var patterns = slices.Concat(classicPatterns, pipelinedPatterns)

var classicPatterns = []pattern{
	{name: "idle", does: "greets, and is silent: what any connection costs",
		workers: all, memory: plain, attack: func(v *victim) {
			if v.greets() {
				v.holds()
			}
		}},
	{name: "half-open", does: "connects, and never greets",
		workers: all, memory: plain, attack: (*victim).holds},
	{name: "claim", does: "offers 4 GB, which is refused, and is silent",
		workers: all, memory: plain, attack: claim},
	{name: "claim-accepted", does: "offers 4 GB, which a server without a limit accepts, and sends nothing",
		workers: all, memory: plain + 64<<10, attack: claim,
		server: func(set *settings, _ int) { set.MaxMessage = wire.MaxSize }},
	{name: "claim-flood", does: "offers 4 GB again and again, each refused",
		workers: some, memory: plain, attack: greetAndRepeat(bytes.Repeat(size(wire.MaxSize), 4<<10))},
	{name: "drip-size", does: "sends a byte of a size just before each StallTimeout",
		drips: true, workers: all, memory: plain, attack: func(v *victim) {
			if v.greets() && v.says(0xf0) { // of 4 GB, which is refused when it is complete
				v.inPosition()
				for v.waits() && v.says(0xff) && v.waits() && v.says(0xff) && v.waits() && v.says(0xff, 0xf0) {
				}
			}
		}},
	{name: "drip-64k", does: "sends a byte of an accepted 64 KiB just before each StallTimeout",
		drips: true, workers: all, memory: plain + 64<<10, attack: drip(64<<10, 1)},
	{name: "drip-16m", does: "the same with 16 MiB, a quarter of them at once",
		drips: true, workers: hundredth, memory: plain + 20<<20, attack: drip(16<<20, 4<<20+1)},
	{name: "empty-flood", does: "sends empty messages without waiting for answers",
		workers: some, memory: plain, attack: greetAndRepeat(make([]byte, 16<<10))},
	{name: "large-flood", does: "sends messages of 1 MiB as fast as they are accepted",
		workers: some, memory: plain + 4<<20, attack: largeMessages},
	{name: "tiny-segments", does: "sends messages of 1 byte, each byte in a segment of its own",
		workers: some, memory: plain, attack: tinySegments},
	{name: "conflict-flood", does: "answers the server's offer CONFLICT, as often as the rules allow",
		workers: some, memory: plain, attack: conflicts},
	{name: "unasked-ok", does: "floods with OKs that nobody asked for",
		workers: some, memory: plain, attack: greetAndRepeat(bytes.Repeat([]byte{byte(wire.OK)}, 16<<10))},
	{name: "unasked-conflict", does: "the same with CONFLICT",
		workers: some, memory: plain, attack: greetAndRepeat(bytes.Repeat([]byte{byte(wire.Conflict)}, 16<<10))},
	{name: "unasked-toolarge", does: "the same with TOO_LARGE",
		workers: some, memory: plain, attack: greetAndRepeat(bytes.Repeat([]byte{byte(wire.TooLarge)}, 16<<10))},
	{name: "reset", does: "connects and resets at once",
		workers: some, memory: plain, attack: func(v *victim) { v.inPosition() }},
	{name: "rubbish", does: "connects and sends rubbish",
		workers: some, memory: plain, attack: func(v *victim) { v.says(rubbish(1 << 10)...); v.holds() }},
	{name: "rubbish-greeted", does: "greets and sends rubbish",
		workers: some, memory: plain + 64<<10, attack: func(v *victim) {
			if v.greets() && v.says(rubbish(1<<10)...) {
				v.CloseWrite()
				v.holds()
			}
		}},
	{name: "tls-silent", does: "connects to a server with TLS, and is silent",
		workers: all, memory: plain, attack: (*victim).holds,
		server: func(set *settings, _ int) { set.TLS = true }},
	{name: "tls-hello", does: "begins a TLS handshake, and leaves the server's part unanswered",
		workers: all, memory: plain + 64<<10, attack: func(v *victim) {
			if v.says(clientHello()...) {
				v.holds()
			}
		},
		server: func(set *settings, _ int) { set.TLS = true }},
	{name: "tls-churn", does: "begins TLS handshakes and resets when the server has done its part",
		workers: some, memory: plain + 64<<10, attack: func(v *victim) {
			if v.says(clientHello()...) {
				v.hears(1)
			}
		},
		server: func(set *settings, _ int) { set.TLS = true }},
	{name: "never-reads", does: "asks for 1 MiB, accepts it and never reads",
		workers: all, memory: plain, attack: func(v *victim) {
			v.SetReadBuffer(4 << 10)
			if v.greets() && v.says(append(size(1), askReply)...) && v.hears(1+wire.SizeLen) && v.says(byte(wire.OK)) {
				v.inPosition()
				for v.waits() {
				}
			}
		}},
	{name: "conn-flood", does: "opens ten times as many connections as MaxConns allows, and opens them again when refused",
		workers: all, memory: plain, attack: func(v *victim) {
			if v.greets() {
				v.holds()
			}
		},
		server: func(set *settings, conns int) { set.MaxConns = max(1, conns/10) + honestConns }},
}

// size is an offer.
func size(n uint32) []byte { return wire.AppendSize(nil, n) }

func claim(v *victim) {
	if v.greets() && v.says(size(wire.MaxSize)...) && v.hears(1) {
		v.holds()
	}
}

func greetAndRepeat(p []byte) func(*victim) {
	return func(v *victim) {
		if v.greets() {
			v.repeats(p)
		}
	}
}

// drip has a message of so many bytes accepted, sends the first at once and the
// rest as slowly as the server allows.
func drip(bytes uint32, first int) func(*victim) {
	return func(v *victim) {
		if !v.greets() || !v.says(size(bytes)...) || !v.hears(1) || !v.says(make([]byte, first)...) {
			return
		}
		v.inPosition()
		for v.waits() && v.says(0) {
		}
	}
}

func largeMessages(v *victim) {
	if !v.greets() {
		return
	}
	v.inPosition()
	body := make([]byte, 1<<20)
	for v.says(size(1<<20)...) && v.hears(1) && v.says(body...) {
	}
}

func tinySegments(v *victim) {
	if !v.greets() {
		return
	}
	v.inPosition()
	for {
		for _, b := range []byte{0, 0, 0, 1} {
			if !v.says(b) {
				return
			}
		}
		if !v.hears(1) || !v.says(0) {
			return
		}
	}
}

// conflicts asks for an echo, and puts its offer off again and again: R5 allows
// that once for each message of the attacker's.
func conflicts(v *victim) {
	if !v.greets() || !v.says(append(size(1), askEcho)...) || !v.hears(1+wire.SizeLen) {
		return
	}
	v.inPosition()
	for v.says(size(0)...) && v.hears(1) && v.says(byte(wire.Conflict)) && v.hears(wire.SizeLen) {
	}
}

// rubbish is never a hello, and may be anything behind one.
func rubbish(n int) []byte {
	p := make([]byte, 0, n+8)
	for len(p) < n {
		p = binary.BigEndian.AppendUint64(p, rand.Uint64())
	}
	p[0] &= 0x7f
	return p[:n]
}

// clientHello is how a TLS client begins.
var clientHello = sync.OnceValue(func() []byte {
	r := &recorder{}
	tls.Client(r, &tls.Config{ServerName: "localhost", NextProtos: []string{"tinyproto"}}).Handshake()
	return r.written
})

// recorder is a connection to nobody.
type recorder struct {
	net.Conn
	written []byte
}

func (r *recorder) Write(p []byte) (int, error) {
	r.written = append(r.written, p...)
	return len(p), nil
}

func (r *recorder) Read([]byte) (int, error) { return 0, net.ErrClosed }
func (r *recorder) Close() error             { return nil }
