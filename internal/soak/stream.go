package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

// streamLimit is the largest of the messages that are not mostly small.
const streamLimit = 1 << 20

// stream sends messages piece by piece, from memory or from a file, and takes
// them back in the same way, one at a time.
func (v *visit) stream() error {
	var sum *checker // of the message that is streamed in; handed over through done
	done := make(chan streamed, 1)
	opts := v.buffers()
	opts.Accept = func(size uint32) conn.Placement {
		if size < 32<<10 {
			return conn.Placement{}
		}
		sum = new(checker)
		return conn.Placement{Writer: sum, Done: func(moved int64, err error) { done <- streamed{moved, err} }}
	}
	if err := v.connect(opts, intro{Service: serviceStream, File: v.rng.IntN(2) == 0}); err != nil {
		return err
	}
	file := v.openFile()
	if file != nil {
		defer os.Remove(file.Name())
		defer file.Close()
	}
	take := func(s streamed) bool {
		if s.err == nil {
			v.take(int(s.size), v.from.takeChecked(sum))
		}
		return s.err == nil // or it was broken off, with the connection
	}
	// receive takes one message, and reports false when there is none.
	receive := func() bool {
		select {
		case s := <-done:
			return take(s)
		case msg, ok := <-v.Inbox():
			if ok {
				v.take(len(msg), v.from.take(msg))
				return true
			}
		case <-time.After(v.fleet.patience):
			v.late()
			return false
		}
		select { // which may have been complete before the Inbox was closed
		case s := <-done:
			return take(s)
		default:
			return false
		}
	}
	for ok := receive(); ok; ok = receive() { // the first says that the server is ready
		size := sizes(v.rng, maxMessage)
		if v.rng.IntN(4) == 0 { // enough for the system to copy
			size = v.rng.IntN(streamLimit + 1)
		}
		if !v.turn(size) || !v.sendStream(file, size) {
			break
		}
		v.sender++
	}
	received := v.receiving(func(msg []byte) { v.take(len(msg), errUnasked) })
	e := v.drawEnd()
	if e == breakOff && !isOver(v.endpoint) {
		v.sendHalf()
	}
	v.end(e, nothingDue)
	received.Wait()
	v.handIn()
	return nil
}

// openFile returns a file to send from, or nil: it is for half of them.
func (v *visit) openFile() *os.File {
	if v.rng.IntN(2) > 0 {
		return nil
	}
	f, err := os.CreateTemp(v.fleet.dir, "client")
	if err != nil {
		v.violated(err)
		return nil
	}
	return f
}

// sendStream sends the next message, and reports false if that fails.
func (v *visit) sendStream(file *os.File, size int) bool {
	message := reading(v.session, v.sender, size)
	if file == nil {
		return v.sendFrom(context.Background(), message, size) == nil
	}
	file.Seek(0, io.SeekStart) // what goes wrong here shows in the content
	if _, err := io.Copy(file, message); err != nil {
		v.violated(err)
		return false
	}
	file.Seek(0, io.SeekStart)
	return v.sendFrom(context.Background(), file, size) == nil
}

// sendHalf breaks off a message, which ends the connection.
func (v *visit) sendHalf() {
	const size = 256 << 10
	v.note(func(a *account) { a.Abandoned, a.Broke = true, true })
	err := v.sendFrom(context.Background(), io.LimitReader(reading(v.session, v.sender, size), size/2), size)
	if _, ok := errors.AsType[*conn.PartialError](err); !ok && !errors.Is(err, conn.ErrClosed) {
		v.violated(fmt.Errorf("a message that was broken off: error %v, expected a PartialError", err))
	}
}
