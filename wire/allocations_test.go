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
