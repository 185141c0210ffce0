package tinytest

import "time"

// Config describes a [Network]. The zero value is a network without delays
// and without buffers.
type Config struct {
	// Seed is where all that is random comes from: jitter, and where the stream
	// is cut. Two networks with the same seed draw the same for the n-th
	// connection from one name to another.
	Seed uint64

	// Conditions are those of every link until [Link.Set] changes them.
	Conditions

	// Backlog is how many connections may wait to be accepted by a listener;
	// then Dial waits. Zero means 128.
	Backlog int

	// Trace, if set, is told of all that happens, one event at a time and in
	// order. It must not use the network or its connections, nor wait.
	Trace func(Event)
}

// Conditions are what a link does to each connection over it, in each
// direction. The zero value delivers at once what is read at once.
type Conditions struct {
	// Latency is how long a byte is on its way. Dialling takes twice that.
	Latency time.Duration

	// Jitter is up to how much longer it may be, drawn for each segment. The
	// order is kept, so one late segment delays those behind it.
	Jitter time.Duration

	// Bandwidth is how many bytes per second a connection carries in each
	// direction. Zero means any number.
	Bandwidth int

	// Buffer is how many bytes may be written and not yet read, those on their
	// way included, before a Write waits. Zero means that a Write returns when
	// all of it has been read, as that of [net.Pipe].
	Buffer int

	// MaxSegment cuts the stream at random: what is written travels in segments
	// of at most so many bytes, and a Read returns at most so many of those that
	// have arrived. Zero means that it is not cut: a Read returns all that
	// has arrived, as far as it has room for it.
	MaxSegment int
}

func (c Conditions) valid() Conditions {
	return Conditions{
		Latency:    max(c.Latency, 0),
		Jitter:     max(c.Jitter, 0),
		Bandwidth:  max(c.Bandwidth, 0),
		Buffer:     max(c.Buffer, 0),
		MaxSegment: max(c.MaxSegment, 0),
	}
}

const defaultBacklog = 128
