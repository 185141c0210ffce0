package workload

import (
	"context"
	"fmt"
	"sync"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
)

// far is the end that is dialled, in this process or in another one.
type far interface {
	address() string

	// ready blocks until so many links receive what is broadcast.
	ready(ctx context.Context, n int) error

	// broadcast has it send n messages to all links. It does not wait for that,
	// unless more than a few such orders wait.
	broadcast(n int) error

	// sent returns what was broadcast so far, once all orders are carried out.
	sent() (tally, error)

	// usage returns the bytes of memory that its process uses.
	usage() (int64, error)

	stop() error
}

// startFar starts the far end. It must be stopped.
func startFar(ctx context.Context, w *Workload, c *contestant.Contestant, p Plan) (far, error) {
	if p.Processes == 2 || w.Kind == contestant.Idle {
		return startProcess(ctx, c, w.Settings)
	}
	return startLocal(c, w.Settings)
}

// local is a far end in this process.
type local struct {
	host *contestant.Host
	hub  contestant.Hub // of a FanOut

	orders   chan order
	carrying sync.WaitGroup
}

// order is a number of broadcasts, or a question for the tally.
type order struct {
	broadcasts int
	answer     chan<- carried
}

type carried struct {
	sent tally
	err  error
}

// ordersAhead is how many may wait.
const ordersAhead = 16

func startLocal(c *contestant.Contestant, s contestant.Settings) (*local, error) {
	f := &local{}
	var err error
	switch s.Kind {
	case contestant.PingPong, contestant.Connects, contestant.Idle:
		f.host, err = c.StartEcho(s, echo)
	case contestant.OneWay:
		f.host, err = c.Listen(s, sink)
	case contestant.Duplex:
		f.host, err = c.Listen(s, duplex(s.Size))
	case contestant.FanOut:
		f.host, f.hub, err = c.StartHub(s)
	default:
		err = fmt.Errorf("no kind of workload is called %q", s.Kind)
	}
	if err != nil {
		return nil, err
	}
	f.orders = make(chan order, ordersAhead)
	f.carrying.Go(func() { f.carryOut(newRing(s.Size)) }) // ends with stop
	return f, nil
}

func (f *local) carryOut(messages ring) {
	var c carried
	next := 0
	for o := range f.orders {
		for range o.broadcasts {
			if c.err == nil {
				msg := messages.at(next)
				c.err = f.hub.Broadcast(msg)
				c.sent.add(msg)
				next++
			}
		}
		if o.answer != nil {
			o.answer <- c
		}
	}
}

func (f *local) address() string { return f.host.Address }

func (f *local) ready(ctx context.Context, n int) error { return f.hub.Ready(ctx, n) }

func (f *local) broadcast(n int) error {
	f.orders <- order{broadcasts: n}
	return nil
}

func (f *local) sent() (tally, error) {
	answer := make(chan carried)
	f.orders <- order{answer: answer}
	c := <-answer
	return c.sent, c.err
}

func (f *local) usage() (int64, error) { return usage(), nil }

func (f *local) stop() error {
	close(f.orders)
	err := f.host.Stop()
	f.carrying.Wait()
	return err
}
