package conn_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
)

// catcher has the messages that a peer offers written into memory, and is told
// of each once it is through. It needs room for all that nobody waits for.
type catcher chan caught

// caught is what became of a message: what its Writer was given, and what Done
// was told.
type caught struct {
	size  uint32
	body  []byte
	moved int64
	err   error
}

func (into catcher) accept(size uint32) conn.Placement { return into.with(size, new(bytes.Buffer)) }

// with places a message into a Buffer of the test's.
func (into catcher) with(size uint32, body *bytes.Buffer) conn.Placement {
	return conn.Placement{Writer: body, Done: func(moved int64, err error) {
		into <- caught{size, body.Bytes(), moved, err}
	}}
}

// checkWhole asserts that a message came wholly, and is what it should be.
func (c caught) checkWhole(t testing.TB, want []byte) {
	t.Helper()
	if c.err != nil || c.moved != int64(len(want)) || int(c.size) != len(want) {
		t.Errorf("of %d bytes %d came, %v; expected all of %d", c.size, c.moved, c.err, len(want))
	}
	if diff := cmp.Diff(summary(want), summary(c.body)); diff != "" {
		t.Errorf("what came (-want +got):\n%s", diff)
	}
}

// checkNothingMore asserts that no Done was called without being expected.
func (into catcher) checkNothingMore(t testing.TB) {
	t.Helper()
	select {
	case c := <-into:
		t.Errorf("Done was called once too often: %d of %d bytes, %v", c.moved, c.size, c.err)
	default:
	}
}

// checkPartial asserts that err is a PartialError that knows this much, and
// whose own reason matches all of reasons.
func checkPartial(t testing.TB, err error, size, moved int64, reasons ...error) {
	t.Helper()
	p, ok := errors.AsType[*conn.PartialError](err)
	if !ok {
		t.Errorf("the error is %v, expected a PartialError after %d of %d bytes", err, moved, size)
		return
	}
	if diff := cmp.Diff([2]int64{size, moved}, [2]int64{p.Size, p.Moved}); diff != "" {
		t.Errorf("%v: size and moved (-want +got):\n%s", err, diff)
	}
	for _, reason := range reasons {
		if !errors.Is(p.Err, reason) {
			t.Errorf("the PartialError's reason is %v, expected %v", p.Err, reason)
		}
	}
}
