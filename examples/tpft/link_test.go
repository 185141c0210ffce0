package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/tinyproto-go/tinyproto/conn"
)

// links returns both ends of a connection in memory: one that sends files and
// one that receives them, hasty or not. For use in a bubble, or not.
func links(t *testing.T, timeout time.Duration, hasty bool) (sender, receiver *link) {
	t.Helper()
	a, b := net.Pipe()
	made := make(chan *link, 1)
	makeLink := func(nc net.Conn, hasty bool) *link {
		in := newIntake(hasty)
		opts := connOptions(timeout, in.accept)
		c, err := conn.New(context.Background(), nc, &opts)
		if err != nil {
			t.Error(err)
			return nil
		}
		return &link{conn: c, in: in, timeout: timeout}
	}
	go func() { made <- makeLink(a, false) }() // ends with the greeting
	receiver = makeLink(b, hasty)
	sender = <-made
	if t.Failed() {
		t.FailNow()
	}
	t.Cleanup(func() { sender.conn.Close(); receiver.conn.Close() })
	return sender, receiver
}

func TestAPeerOfTheExtensionsHearsThatALongWorkGoesOn(t *testing.T) {
	for _, extended := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			ctx := t.Context()
			worker, waiter := links(t, 90*time.Second, false)
			worker.extended = extended
			go func() { // ends with the work
				err := worker.busy(ctx, func() error { time.Sleep(time.Hour); return nil })
				if err == nil {
					err = worker.send(ctx, typeConfirmed, nothing{})
				}
				if (err == nil) != extended {
					t.Errorf("extended: %v, the worker's error is %v", extended, err)
				}
			}()
			began := time.Now()
			err := waiter.confirmed(ctx)
			waiter.conn.Close()
			if _, silent := errors.AsType[*silentError](err); silent == extended || (err == nil) != extended {
				t.Errorf("extended: %v, the waiter's error is %v", extended, err)
			}
			if took, want := time.Since(began), map[bool]time.Duration{true: time.Hour, false: 90 * time.Second}[extended]; took != want {
				t.Errorf("extended: %v, the waiter waited %v, expected %v", extended, took, want)
			}
			time.Sleep(time.Hour)
		})
	}
}

func TestAWorkThatFailsIsNotHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		worker, _ := links(t, time.Minute, false)
		for _, worker.extended = range []bool{true, false} {
			if err := worker.busy(t.Context(), func() error { return io.ErrNoProgress }); err != io.ErrNoProgress {
				t.Errorf("the error is %v, expected %v", err, io.ErrNoProgress)
			}
		}
	})
}

func TestTwoEndsThatAreBusyInTurnDoNotGiveEachOtherUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		a, b := links(t, 90*time.Second, false)
		a.extended, b.extended = true, true
		done := make(chan error, 2)
		turns := func(l *link, first bool) {
			for range 3 {
				if first {
					if err := l.busy(ctx, func() error { time.Sleep(10 * time.Minute); return nil }); err != nil {
						done <- err
						return
					}
					if err := l.send(ctx, typeConfirmed, nothing{}); err != nil {
						done <- err
						return
					}
				} else if err := l.confirmed(ctx); err != nil {
					done <- err
					return
				}
				first = !first
			}
			done <- nil
		}
		go turns(a, true)  // ends after its turns
		go turns(b, false) // likewise
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// unwritableFile is a file that can't be written to.
func unwritableFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Open(write(t, filepath.Join(t.TempDir(), "x"), nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func source(t *testing.T, data []byte) *os.File {
	t.Helper()
	f, err := os.Open(write(t, filepath.Join(t.TempDir(), "x"), data))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestWhatCannotBeKeptIsTakenToItsEndAndThenRejected(t *testing.T) {
	for _, encoding := range []string{"", encodingZstd} {
		ctx := t.Context()
		sender, receiver := links(t, bound, false)
		sent := make(chan error, 1)
		go func() { // ends with the file
			err := sender.confirmed(ctx)
			if err == nil {
				err = sender.sendFile(ctx, source(t, contents(1000)), 1000, 100, encoding)
			}
			sent <- err
		}()
		err := receiver.receiveFile(ctx, unwritableFile(t), 1000, encoding)
		if r, ok := errors.AsType[*rejection](err); !ok || !strings.Contains(r.reason, "bad file descriptor") {
			t.Errorf("%q: the error is %v, expected a rejection", encoding, err)
		}
		if err := <-sent; err != nil {
			t.Errorf("%q: the sender was stopped: %v", encoding, err)
		}
		// The connection can be used further.
		go receiver.send(ctx, typeRejected, &rejected{"full"}) // ends when it is received
		if err := sender.confirmed(ctx); err == nil || err.Error() != "full" {
			t.Errorf("%q: the sender heard %v", encoding, err)
		}
	}
}

func TestAHastyOneGivesUpWhatCannotBeKept(t *testing.T) {
	for _, encoding := range []string{"", encodingZstd} {
		ctx := t.Context()
		sender, receiver := links(t, bound, true)
		stopped := make(chan error, 1)
		go func() { // ends with the connection
			sender.confirmed(ctx)
			stopped <- sender.sendFile(ctx, source(t, contents(100_000)), 100_000, 10, encoding)
		}()
		err := receiver.receiveFile(ctx, unwritableFile(t), 100_000, encoding)
		if r, ok := errors.AsType[*rejection](err); !ok || !strings.Contains(r.reason, "bad file descriptor") {
			t.Errorf("%q: the error is %v, expected a rejection", encoding, err)
		}
		receiver.conn.Close()
		if err := <-stopped; err == nil {
			t.Errorf("%q: the sender had sent all", encoding)
		}
	}
}

func TestACompressedFileArrivesAsItWasWhateverIsInIt(t *testing.T) {
	random := make([]byte, 2*maxDecoded+1)
	rand.NewChaCha8([32]byte{}).Read(random)
	for name, data := range map[string][]byte{
		"zeros": make([]byte, 3*maxDecoded), "what can't be compressed": random, "text": []byte(strings.Repeat("tinyproto ", 50_000)),
		"one chunk": random[:maxDecoded], "one byte": {0}, "nothing": {},
	} {
		sender, receiver := links(t, bound, true)
		file, err := os.Create(filepath.Join(t.TempDir(), "x"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		sent := make(chan error, 1)
		go func() { // ends with the file
			sender.confirmed(t.Context())
			sent <- sender.sendFile(t.Context(), source(t, data), int64(len(data)), defaultChunk, encodingZstd)
		}()
		if err := receiver.receiveFile(t.Context(), file, int64(len(data)), encodingZstd); err != nil {
			t.Error(name, err)
		}
		if err := <-sent; err != nil {
			t.Error(name, err)
		}
		expectFile(t, file.Name(), data)
	}
}

func TestAFrameThatIsNoneOrTooLargeEndsTheTransfer(t *testing.T) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxDecoded/2))
	if err != nil {
		t.Fatal(err)
	}
	whole := encoder.EncodeAll([]byte("abc"), nil)
	for name, frame := range map[string][]byte{
		"rubbish":              []byte("abc"),
		"an empty message":     {},
		"an empty frame":       encoder.EncodeAll(nil, nil),
		"half a frame":         whole[:len(whole)/2],
		"a frame and more":     append(whole[:len(whole):len(whole)], 1),
		"more than announced":  encoder.EncodeAll(contents(1001), nil),
		"a bomb":               encoder.EncodeAll(make([]byte, 64<<20), nil),
		"a byte over the rule": encoder.EncodeAll(make([]byte, maxDecoded+1), nil),
	} {
		sender, receiver := links(t, bound, true)
		size := int64(1000)
		if strings.HasPrefix(name, "a b") {
			size = 1 << 30
		}
		go func() { // ends with the message
			sender.confirmed(t.Context())
			sender.conn.Send(t.Context(), frame)
		}()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := receiver.receiveFile(t.Context(), source(t, nil), size, encodingZstd)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
			t.Errorf("%s: %d bytes were allocated", name, n)
		}
		if _, isRejection := errors.AsType[*rejection](err); err == nil || isRejection {
			t.Errorf("%s: the error is %v, expected one that ends the connection", name, err)
		}
	}
}
