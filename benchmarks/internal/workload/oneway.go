package workload

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
)

// oneWay returns a phase of messages from here to the other end, which says when
// it has them all.
func (r *run) oneWay() phase {
	messages := newRing(r.Size)
	sent := make([]tally, r.Links) // in all phases: each link's is owned by its goroutine
	return func(d time.Duration) (uint64, time.Duration, error) {
		var total atomic.Uint64
		stop := after(d)
		began := time.Now()
		err := r.each(func(n int, l contestant.Link) error {
			before := sent[n].Messages
			if err := produce(l, messages, &sent[n], stop); err != nil {
				return fmt.Errorf("sending message %d: %w", sent[n].Messages+1, err)
			}
			if err := sendMark(l); err != nil {
				return err
			}
			msg, err := l.Receive()
			if err != nil {
				return fmt.Errorf("receiving the report: %w", err)
			}
			report, err := decodeReport(msg)
			if err != nil {
				return err
			}
			total.Add(sent[n].Messages - before)
			return different("one way", sent[n], report.received)
		})
		return total.Load(), time.Since(began), err
	}
}

// duplex returns a phase of messages in both directions.
func (r *run) duplex() phase {
	messages := newRing(r.Size)
	sent, received := make([]tally, r.Links), make([]tally, r.Links) // in all phases, by link
	return func(d time.Duration) (uint64, time.Duration, error) {
		var total atomic.Uint64
		stop := after(d)
		began := time.Now()
		err := r.each(func(n int, l contestant.Link) error {
			before := sent[n].Messages + received[n].Messages
			var failed error
			var sending sync.WaitGroup
			sending.Go(func() { // ends with stop, or with the link
				if failed = sendBetweenMarks(l, messages, &sent[n], stop); failed != nil {
					l.Close() // or we would wait for the report
				}
			})
			report, err := receiveUntilReport(l, &received[n])
			if err != nil {
				l.Close()
			}
			sending.Wait()
			switch {
			case failed != nil:
				return fmt.Errorf("sending message %d: %w", sent[n].Messages+1, failed)
			case err != nil:
				return fmt.Errorf("receiving message %d: %w", received[n].Messages+1, err)
			}
			total.Add(sent[n].Messages + received[n].Messages - before)
			if err := different("there", sent[n], report.received); err != nil {
				return err
			}
			return different("back", report.sent, received[n])
		})
		return total.Load(), time.Since(began), err
	}
}

func sendBetweenMarks(l contestant.Link, messages ring, sent *tally, stop *atomic.Bool) error {
	if err := sendMark(l); err != nil {
		return err
	}
	if err := produce(l, messages, sent, stop); err != nil {
		return err
	}
	return sendMark(l)
}

func receiveUntilReport(l contestant.Link, received *tally) (report, error) {
	for {
		msg, err := l.Receive()
		if err != nil {
			return report{}, err
		}
		if isMark(msg) {
			return decodeReport(msg)
		}
		received.add(msg)
	}
}

func sendMark(l contestant.Link) error {
	err := l.Send(mark())
	if err == nil {
		err = l.Flush()
	}
	if err != nil {
		return fmt.Errorf("sending a mark: %w", err)
	}
	return nil
}
