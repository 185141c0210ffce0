// Package workload has the tasks that contestants are compared at. Each is the
// same code for all of them, and verifies every message: how many there were,
// their order, their sizes and their first bytes.
package workload

import (
	"fmt"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
)

// Workload is one task.
type Workload struct {
	contestant.Settings

	// Name is unique, and fit for the name of a file.
	Name string

	// Title says what is done.
	Title string

	// Unit is what the result counts.
	Unit string

	// LessIsBetter says that a smaller result is better.
	LessIsBetter bool

	// References are what all are set in relation to.
	References []Reference

	// Burst is how many broadcasts a FanOut does at once, and Ahead how many
	// bursts may be under way.
	Burst, Ahead int
}

// Reference is a contestant that others are set in relation to.
type Reference struct {
	Name string

	// Fresh is the name of the same with a slice of its own for each message
	// that is received; it may be empty.
	Fresh string
}

// Bytes reports whether what counts is how many bytes move, too.
func (w *Workload) Bytes() bool { return w.Kind == contestant.OneWay || w.Kind == contestant.Duplex }

// Scale is how large the large workloads are.
type Scale struct {
	Members  int // of a FanOut
	Parallel int // links at once
	Idle     int // connections
	Largest  int // message, in bytes
}

// Full is the scale that figures are reported of.
var Full = Scale{Members: 500, Parallel: 64, Idle: 5000, Largest: 64 << 20}

// Sizes of messages, in bytes.
var (
	pingPongSizes = []int{16, 1 << 10, 64 << 10}
	oneWaySizes   = []int{16, 1 << 10, 64 << 10, 1 << 20, 64 << 20}
)

const (
	duplexSize = 1 << 10
	fanOutSize = 64
	smallSize  = 16

	// broadcasts at once, and where one burst follows the other, bursts under
	// way: the receivers are never idle, and never far behind.
	fewBroadcasts  = 4
	burstsAhead    = 2
	manyBroadcasts = 256
)

// All returns the workloads, in the order in which they are run.
func All(scale Scale) []*Workload {
	stream := Reference{"stream", "stream-fresh"}
	lockstep := Reference{"lockstep", "lockstep-fresh"}
	joined := Reference{"lockstep-joined", "lockstep-joined-fresh"}
	exchanges := []Reference{stream, lockstep}
	floors := []Reference{stream, lockstep, joined}
	hubs := []Reference{stream, {Name: "gorilla"}, {Name: "nats"}}
	var all []*Workload
	add := func(w Workload) {
		if w.Size <= scale.Largest {
			if w.Kind != contestant.Connects && w.Kind != contestant.Idle {
				w.Name += "-" + sizeName(w.Size)
			}
			all = append(all, &w)
		}
	}
	settings := func(k contestant.Kind, size, links int) contestant.Settings {
		return contestant.Settings{Kind: k, Size: size, Links: links}
	}
	for _, size := range pingPongSizes {
		add(Workload{Settings: settings(contestant.PingPong, size, 1), Name: "ping-pong",
			Title: "Ping-pong, " + sizeWords(size), Unit: "round trips/s", References: exchanges})
	}
	for _, size := range oneWaySizes {
		add(Workload{Settings: settings(contestant.OneWay, size, 1), Name: "one-way",
			Title: "One way, " + sizeWords(size), Unit: "messages/s", References: floors})
	}
	add(Workload{Settings: settings(contestant.Duplex, duplexSize, 1), Name: "duplex",
		Title: "Both ways at once, " + sizeWords(duplexSize), Unit: "messages/s", References: []Reference{stream}})

	fan := func(name, title string, burst, ahead int) {
		s := settings(contestant.FanOut, fanOutSize, scale.Members)
		s.Queue = burst * ahead
		add(Workload{Settings: s, Name: name, Title: title, Unit: "deliveries/s", References: hubs, Burst: burst, Ahead: ahead})
	}
	fan("fan-out", fmt.Sprintf("Fan-out to %d, %s", scale.Members, sizeWords(fanOutSize)), fewBroadcasts, burstsAhead)
	fan("burst", fmt.Sprintf("Fan-out to %d, %s, in bursts of %d broadcasts", scale.Members, sizeWords(fanOutSize), manyBroadcasts),
		manyBroadcasts, 1)

	parallel := fmt.Sprintf("over %d connections at once", scale.Parallel)
	add(Workload{Settings: settings(contestant.PingPong, smallSize, scale.Parallel), Name: "parallel-ping-pong",
		Title: "Ping-pong, " + sizeWords(smallSize) + ", " + parallel, Unit: "round trips/s", References: exchanges})
	add(Workload{Settings: settings(contestant.OneWay, 1<<10, scale.Parallel), Name: "parallel-one-way",
		Title: "One way, " + sizeWords(1<<10) + ", " + parallel, Unit: "messages/s", References: floors})
	add(Workload{Settings: settings(contestant.Connects, smallSize, 1), Name: "connects",
		Title: "Connections one after the other, each for an echo of " + sizeWords(smallSize), Unit: "connects/s", References: []Reference{{Name: "lockstep"}}})
	add(Workload{Settings: settings(contestant.Idle, smallSize, scale.Idle), Name: "idle",
		Title: fmt.Sprintf("Memory of a server of %d idle connections, in a process of its own", scale.Idle),
		Unit:  "bytes per connection", LessIsBetter: true, References: []Reference{{Name: "lockstep"}}})
	return all
}

// sizeName is a size that is fit for a name.
func sizeName(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%dB", n)
}

func sizeWords(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}
