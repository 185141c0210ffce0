package wire_test

import (
	"io"
	"testing"

	"github.com/tinyproto-go/tinyproto/wire"
)

func TestNothingIsAllocatedWithoutAnError(t *testing.T) {
	var (
		collision = unhex("00000003 ff")
		conflict  = unhex("010203 00000002 ff")
		last      = unhex("0102 00000005 fc 00000000")
	)
	parse := func(l *wire.Ledger, p []byte) {
		for {
			item, n, err := l.Parse(p)
			if err != nil {
				t.Fatal(err)
			}
			if p = p[n:]; item.Kind == wire.Incomplete {
				return
			}
		}
	}
	write := func(l *wire.Ledger, v wire.Verdict) {
		for l.Next(v) != wire.Wait {
		}
	}
	var end error
	allocs := testing.AllocsPerRun(100, func() {
		var l wire.Ledger
		l.Offer(4)
		parse(&l, collision)
		write(&l, wire.Accept)
		l.Offer(5)
		parse(&l, conflict)
		write(&l, wire.Accept)
		l.Offer(6)
		parse(&l, last)
		write(&l, wire.Refuse)
		parse(&l, last[len(last)-wire.SizeLen:])
		write(&l, wire.Accept)
		parse(&l, nil)
		end = l.End()
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	if end != io.EOF {
		t.Errorf("the conversation was to end cleanly: %v", end)
	}
}

// What a Pipeline allocates is room for the sizes of what is unanswered: it is
// there once as much was unanswered at a time, and stays until Trim.
func TestSteadyUseOfAPipelineAllocatesNothing(t *testing.T) {
	var (
		begins = unhex("00000003 6162")
		goesOn = unhex("63 00000000 f2 0000")
		ends   = unhex("0001 61 ff ff fc f3")
		bye    = unhex("f4")
	)
	parse := func(l *wire.Pipeline, p []byte) {
		for {
			item, n, err := l.Parse(p)
			if err != nil {
				t.Fatal(err)
			}
			if p = p[n:]; item.Kind == wire.Incomplete {
				return
			}
		}
	}
	exchange := func(l *wire.Pipeline) {
		for size := range uint32(3) {
			if !l.MaySend(size) {
				t.Fatal("no room")
			}
			l.Send(size)
		}
		if !l.MayPing() {
			t.Fatal("the PING before has no PONG")
		}
		l.Ping()
		parse(l, begins)
		parse(l, goesOn)
		l.Answer()
		l.Pong()
		parse(l, ends)
		for l.Owed() > 0 {
			l.Answer()
		}
	}
	l := wire.NewPipeline(ample, ample)
	exchange(l)
	if allocs := testing.AllocsPerRun(100, func() { exchange(l) }); allocs != 0 {
		t.Errorf("%v allocations in an exchange", allocs)
	}
	// For each direction room for one, and then for more, and no more than that.
	if allocs := testing.AllocsPerRun(100, func() { l.Trim(); exchange(l) }); allocs != 4 {
		t.Errorf("%v allocations in an exchange behind Trim", allocs)
	}
	l.Bye()
	parse(l, bye)
	var end error
	if allocs := testing.AllocsPerRun(100, func() { end = l.End() }); allocs != 0 {
		t.Errorf("%v allocations at the end", allocs)
	}
	if end != io.EOF {
		t.Errorf("the conversation was to end cleanly: %v", end)
	}
}
