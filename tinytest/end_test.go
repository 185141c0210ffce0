package tinytest_test

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/tinytest"
)

const (
	errReset    = syscall.ECONNRESET
	errTimedOut = syscall.ETIMEDOUT
	errPipe     = syscall.EPIPE
	errRefused  = syscall.ECONNREFUSED
)

func TestAfterCloseWriteTheRestIsReadAndThenTheEnd(t *testing.T) {
	overAllLinks(t, func(t *testing.T, a, b *tinytest.Conn) {
		done := begin(a.Write, []byte("the rest"))
		expect(t, b, "the re")
		if r := tryWait(done); r == nil { // without a buffer, the end waits for its turn
			expect(t, b, "st")
			<-done
			a.CloseWrite()
		} else {
			a.CloseWrite()
			expect(t, b, "st")
		}
		for range 2 {
			if n, err := b.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("Read at the end returned %d, %v", n, err)
			}
		}
		if _, err := a.Write([]byte("x")); !errors.Is(err, errPipe) {
			t.Errorf("Write after CloseWrite returned %v", err)
		}
		if err := a.CloseWrite(); err != nil {
			t.Errorf("CloseWrite again returned %v", err)
		}
		wrote := write(t, b, []byte("the other way"))
		expect(t, a, "the other way")
		<-wrote
	})
}

// tryWait returns a result that is there when nothing moves any more.
func tryWait(done <-chan result) *result {
	synctest.Wait()
	select {
	case r := <-done:
		return &r
	default:
		return nil
	}
}

func TestCloseWriteFailsAWriteThatIsBlocked(t *testing.T) {
	for name, c := range map[string]struct {
		buffer, want int
	}{"no buffer": {0, 0}, "buffer": {40, 40}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, _ := pair(tinytest.Conditions{Buffer: c.buffer})
				done := begin(a.Write, data(100))
				synctest.Wait()
				a.CloseWrite()
				if r := <-done; r.n != c.want || !errors.Is(r.err, errPipe) {
					t.Errorf("Write returned %d, %v; expected %d and %v", r.n, r.err, c.want, errPipe)
				}
				if got, err := io.ReadAll(b); len(got) != c.want || err != nil {
					t.Errorf("the peer read %d bytes, %v", len(got), err)
				}
			})
		})
	}
}

func TestAfterCloseThePeerReadsTheRestAndThenTheEnd(t *testing.T) {
	overAllLinks(t, func(t *testing.T, a, b *tinytest.Conn) {
		wrote := write(t, a, []byte("the rest"))
		expect(t, b, "the rest")
		<-wrote
		a.Close()
		if n, err := b.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("Read returned %d, %v", n, err)
		}
	})
	t.Run("what is in flight", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b, _ := pair(tinytest.Conditions{Buffer: 100, Latency: time.Second})
			<-write(t, a, []byte("in flight"))
			a.Close()
			if got, err := io.ReadAll(b); string(got) != "in flight" || err != nil {
				t.Errorf("read %q, %v", got, err)
			}
		})
	})
}

func TestWritingToAClosedPeerIsAnsweredByAReset(t *testing.T) {
	overAllLinks(t, func(t *testing.T, a, b *tinytest.Conn) {
		b.Close()
		time.Sleep(time.Minute)
		a.Write([]byte("x")) // a buffer may take it
		time.Sleep(time.Minute)
		for name, call := range map[string]func([]byte) (int, error){"Read": a.Read, "Write": a.Write} {
			if n, err := call([]byte("x")); n != 0 || !errors.Is(err, errReset) {
				t.Errorf("%s returned %d, %v", name, n, err)
			}
		}
	})
}

func TestWithoutABufferNothingCanBeWrittenToAClosedPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := pair(tinytest.Conditions{Latency: time.Second})
		b.Close()
		began := time.Now()
		r := <-begin(a.Write, []byte("x"))
		if r.n != 0 || !errors.Is(r.err, errReset) || r.at.Sub(began) != 2*time.Second {
			t.Errorf("Write returned %d, %v after %v; expected a reset after a round trip", r.n, r.err, r.at.Sub(began))
		}
	})
}

func TestCloseIsAReset(t *testing.T) {
	const buffer, latency = 100, time.Second
	for _, c := range []struct {
		name  string
		reset bool
		do    func(t *testing.T, a, b *tinytest.Conn) // before b is closed
	}{
		{"with input that was not read", true, func(t *testing.T, a, b *tinytest.Conn) {
			<-write(t, a, []byte("input"))
			time.Sleep(latency)
		}},
		{"with a part that was not read", true, func(t *testing.T, a, b *tinytest.Conn) {
			<-write(t, a, []byte("input"))
			expect(t, b, "inpu")
		}},
		{"when more input arrives", true, func(t *testing.T, a, b *tinytest.Conn) {
			<-write(t, a, []byte("input"))
			time.Sleep(latency - 1)
		}},
		{"with SetLinger(0)", true, func(t *testing.T, a, b *tinytest.Conn) { b.SetLinger(0) }},
		{"not after SetLinger(-1)", false, func(t *testing.T, a, b *tinytest.Conn) { b.SetLinger(0); b.SetLinger(-1) }},
		{"not when all was read", false, func(t *testing.T, a, b *tinytest.Conn) {
			<-write(t, a, []byte("input"))
			expect(t, b, "input")
		}},
		{"not at the peer's end", false, func(t *testing.T, a, b *tinytest.Conn) {
			a.CloseWrite()
			time.Sleep(latency)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, _ := pair(tinytest.Conditions{Buffer: buffer, Latency: latency})
				c.do(t, a, b)
				b.Close()
				time.Sleep(2 * latency)
				_, err := a.Read(make([]byte, 1))
				if c.reset && !errors.Is(err, errReset) || !c.reset && err != io.EOF {
					t.Errorf("Read of the peer returned %v, reset expected: %t", err, c.reset)
				}
			})
		})
	}
}

func TestWithoutABufferAWriteThatWasNotReadFailsWhenThePeerCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := pair(tinytest.Conditions{Latency: time.Second})
		done := begin(a.Write, []byte("message"))
		expect(t, b, "mess")
		b.Close()
		if r := <-done; r.n != 4 || !errors.Is(r.err, errReset) {
			t.Errorf("Write returned %d, %v; expected 4 and a reset", r.n, r.err)
		}
	})
}

func TestWhatAWriteHasTakenBackIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := pair(tinytest.Conditions{Latency: time.Second})
		a.SetWriteDeadline(time.Now().Add(time.Millisecond))
		if r := <-begin(a.Write, []byte("message")); r.n != 0 {
			t.Errorf("%d bytes were written", r.n)
		}
		b.Close()
		time.Sleep(time.Minute)
		if _, err := a.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("Read returned %v, expected the end", err)
		}
	})
}

func TestAResetDestroysWhatWasNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := pair(tinytest.Conditions{Buffer: 100})
		<-write(t, a, []byte("not read"))
		<-write(t, b, []byte("not read either"))
		b.Close()
		if n, err := a.Read(make([]byte, 1)); n != 0 || !errors.Is(err, errReset) {
			t.Errorf("Read returned %d, %v", n, err)
		}
	})
}

func TestAResetEndsWhatIsBlockedAtBothEnds(t *testing.T) {
	overAllLinks(t, func(t *testing.T, a, b *tinytest.Conn) {
		var all []<-chan result
		for _, nc := range []*tinytest.Conn{a, b} {
			nc.Write(nil)
			all = append(all, begin(nc.Write, make([]byte, 100<<10)))
		}
		synctest.Wait()
		a.Reset()
		for _, done := range all {
			if r := <-done; !errors.Is(r.err, errReset) {
				t.Errorf("returned %d, %v", r.n, r.err)
			}
		}
		read := begin(b.Read, make([]byte, 1))
		if r := <-read; !errors.Is(r.err, errReset) {
			t.Errorf("Read returned %v", r.err)
		}
	})
}
