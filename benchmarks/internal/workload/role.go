package workload

import (
	"sync"
	"sync/atomic"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
)

// The roles are what the dialled end does with each link. They end with the
// link, and say nothing of why: the other end verifies.

// echo sends back what it receives.
func echo(l contestant.Link) {
	for {
		msg, err := l.Receive()
		if err != nil || l.Send(msg) != nil || l.Flush() != nil {
			return
		}
	}
}

// sink receives, and reports at each mark.
func sink(l contestant.Link) {
	var r report
	for {
		msg, err := l.Receive()
		if err != nil {
			return
		}
		if !isMark(msg) {
			r.received.add(msg)
			continue
		}
		if l.Send(r.encode()) != nil || l.Flush() != nil {
			return
		}
	}
}

// duplex receives all the time, sends from one mark to the next, and then
// reports.
func duplex(size int) func(contestant.Link) {
	return func(l contestant.Link) {
		messages := newRing(size)
		var r report
		var sending sync.WaitGroup
		var stop atomic.Bool
		defer sending.Wait() // which ends, as whoever ends this ends the link
		defer l.Close()
		for running := false; ; {
			msg, err := l.Receive()
			if err != nil {
				return
			}
			switch {
			case !isMark(msg):
				r.received.add(msg)
			case !running:
				running = true
				stop.Store(false)
				sending.Go(func() { // ends with stop, or with the link
					produce(l, messages, &r.sent, &stop)
				})
			default:
				running = false
				stop.Store(true)
				sending.Wait()
				if l.Send(r.encode()) != nil || l.Flush() != nil {
					return
				}
			}
		}
	}
}

// produce sends one message at least, and further ones until it is told to stop.
func produce(l contestant.Link, messages ring, sent *tally, stop *atomic.Bool) error {
	for i := 0; i == 0 || !stop.Load(); i++ {
		msg := messages.at(i)
		if err := l.Send(msg); err != nil {
			return err
		}
		sent.add(msg)
	}
	return nil
}
