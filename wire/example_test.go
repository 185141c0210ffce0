package wire_test

import (
	"errors"
	"fmt"

	"github.com/tinyproto-go/tinyproto/wire"
)

// Two ends offer at the same moment. What would break two legacy peers is
// sorted out by their ledgers: each writes what Next and Offer say, and parses
// what the other wrote.
func Example() {
	var a, b wire.Ledger
	var toA, toB []byte

	// Both offer before either has read anything.
	a.Offer(3)
	toB = wire.AppendSize(toB, 3)
	b.Offer(5)
	toA = wire.AppendSize(toA, 5)

	toA = hear("a", &a, toA)
	toB = hear("b", &b, toB)
	toB = pay(&a, toB, "one")
	toA = pay(&b, toA, "three")
	toA = hear("a", &a, toA)
	toB = hear("b", &b, toB)
	toB = pay(&a, toB, "one")
	toA = pay(&b, toA, "three")
	hear("a", &a, toA)
	hear("b", &b, toB)

	// Output:
	// a: the peer offers 5 bytes
	// b: the peer offers 3 bytes
	// a: my offer is accepted
	// b: my offer is accepted
	// a: received "three"
	// b: received "one"
}

// hear parses what has arrived, and returns what can't be parsed yet.
func hear(name string, l *wire.Ledger, input []byte) []byte {
	for {
		item, n, err := l.Parse(input)
		if err != nil {
			fmt.Println(err)
			return nil
		}
		switch item.Kind {
		case wire.Incomplete:
			return input[n:]
		case wire.Offer:
			fmt.Printf("%s: the peer offers %d bytes\n", name, item.Size)
		case wire.Accepted:
			fmt.Printf("%s: my offer is accepted\n", name)
		case wire.Payload: // all of it, here
			fmt.Printf("%s: received %q\n", name, input[:n])
		}
		input = input[n:]
	}
}

// pay appends what is owed to the peer.
func pay(l *wire.Ledger, output []byte, msg string) []byte {
	for {
		switch l.Next(wire.Accept) {
		case wire.Wait:
			return output
		case wire.WriteOK:
			output = append(output, byte(wire.OK))
		case wire.WritePayload:
			output = append(output, msg...)
		}
	}
}

// In pipelined mode messages go out without waiting, as far as the window of the
// peer goes. It answers them when its application has them, and an answer is
// about the oldest message that has none.
func ExamplePipeline() {
	terms := wire.Terms{MaxMessage: 1 << 20, WindowMessages: 2, WindowBytes: 1 << 20}
	a, b := wire.NewPipeline(terms, terms), wire.NewPipeline(terms, terms)

	var toA, toB []byte
	for _, msg := range []string{"one", "three", "five"} {
		size := uint32(len(msg))
		if !a.MaySend(size) {
			fmt.Printf("%q has to wait\n", msg)
			break
		}
		a.Send(size)
		toB = append(wire.AppendSize(toB, size), msg...)
	}
	for len(toB) > 0 {
		item, n, err := b.Parse(toB)
		if err != nil {
			fmt.Println(err)
			return
		}
		if item.Kind == wire.Payload { // all of it, here
			fmt.Printf("b: received %q\n", toB[:n])
			b.Answer()
			toA = append(toA, byte(wire.OK))
		}
		toB = toB[n:]
	}
	for len(toA) > 0 {
		item, n, err := a.Parse(toA)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("a: answered: %t, %d bytes\n", item.Kind == wire.Accepted, item.Size)
		toA = toA[n:]
	}
	fmt.Println("a may send:", a.MaySend(4))

	// Output:
	// "five" has to wait
	// b: received "one"
	// b: received "three"
	// a: answered: true, 3 bytes
	// a: answered: true, 5 bytes
	// a may send: true
}

func ExampleCheckHello() {
	for _, b := range []byte{0xff, 0xfe, 'H'} {
		switch err := wire.CheckHello(b); {
		case err == nil:
			fmt.Println("greeted")
		case errors.Is(err, wire.ErrRefused):
			fmt.Println("try again later:", err)
		default:
			fmt.Println("give up:", err)
		}
	}
	// Output:
	// greeted
	// try again later: hello refused: the server is at its connection limit (CONLIMIT)
	// give up: the peer does not speak tinyproto: its first byte is 0x48, expected 0xff (OK)
}

// A violation says what came, where, and what should have come.
func ExampleProtocolError() {
	var l wire.Ledger
	l.Offer(11)
	_, _, err := l.Parse([]byte{0xfe})
	fmt.Println(err)

	var violation *wire.ProtocolError
	if errors.As(err, &violation) {
		fmt.Println(violation.Violation == wire.UnknownAnswer, wire.Signal(violation.Seen))
	}
	// Output:
	// protocol violation: unknown answer to an offer: saw 0xfe (CONLIMIT) at byte 0, expected OK, CONFLICT or TOO_LARGE, or the first byte of a size
	// true 0xfe (CONLIMIT)
}

// What the end of the stream means depends on what was unfinished.
func ExampleLedger_End() {
	var l wire.Ledger
	fmt.Println(l.End())
	l.Offer(11)
	fmt.Println(l.End())
	// Output:
	// EOF
	// unfinished: our offer of 11 bytes was not answered
}
