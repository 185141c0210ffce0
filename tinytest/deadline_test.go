package tinytest_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/tinytest"
)

// operation is a Read, or a Write that finds no room, with its deadlines.
type operation struct {
	name string
	call func([]byte) (int, error)
	set  func(time.Time) error
	p    []byte
}

func operations(nc *tinytest.Conn) []operation {
	return []operation{
		{"Read", nc.Read, nc.SetReadDeadline, make([]byte, 10)},
		{"Write", nc.Write, nc.SetWriteDeadline, make([]byte, 10<<10)},
		{"Read under SetDeadline", nc.Read, nc.SetDeadline, make([]byte, 10)},
		{"Write under SetDeadline", nc.Write, nc.SetDeadline, make([]byte, 10<<10)},
	}
}

func TestADeadlineEndsWhatIsBlocked(t *testing.T) {
	const later = 100 * time.Millisecond
	for _, c := range []struct {
		name string
		set  func(set func(time.Time) error) // while the operation is blocked
		ends time.Duration
	}{
		{"in the future", func(set func(time.Time) error) { set(time.Now().Add(later)) }, later},
		{"now", func(set func(time.Time) error) { set(time.Now()) }, 0},
		{"in the past", func(set func(time.Time) error) { set(time.Unix(1, 0)) }, 0},
		{"put off", func(set func(time.Time) error) {
			set(time.Now().Add(later))
			time.Sleep(later / 2)
			set(time.Now().Add(later))
		}, later + later/2},
		{"brought forward", func(set func(time.Time) error) {
			set(time.Now().Add(time.Hour))
			set(time.Now().Add(later))
		}, later},
		{"cleared, and set again", func(set func(time.Time) error) {
			set(time.Now().Add(later))
			set(time.Time{})
			time.Sleep(time.Hour)
			set(time.Now().Add(later))
		}, time.Hour + later},
	} {
		t.Run(c.name, func(t *testing.T) {
			overAllLinks(t, func(t *testing.T, a, b *tinytest.Conn) {
				for _, op := range operations(a) {
					op.set(time.Time{})
					began := time.Now()
					done := begin(op.call, op.p)
					synctest.Wait()
					c.set(op.set)
					r := <-done
					if !errors.Is(r.err, os.ErrDeadlineExceeded) || r.at.Sub(began) != c.ends {
						t.Errorf("%s ended after %v with %v", op.name, r.at.Sub(began), r.err)
					}
				}
			})
		})
	}
}

func TestADeadlineThatHasPassedFailsAllToCome(t *testing.T) {
	overAllLinks(t, func(t *testing.T, a, b *tinytest.Conn) {
		for _, op := range operations(a) {
			op.set(time.Now().Add(time.Second))
			time.Sleep(time.Second)
			synctest.Wait()
			for range 3 {
				began := time.Now()
				if n, err := op.call(op.p[:1]); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 0 {
					t.Errorf("%s returned %d, %v after %v", op.name, n, err, time.Since(began))
				}
			}
		}
	})
}

func TestADeadlineInThePastFailsAReadThatHasInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := pair(tinytest.Conditions{Buffer: 10})
		<-write(t, a, []byte("input"))
		b.SetReadDeadline(time.Unix(1, 0))
		if _, err := b.Read(make([]byte, 5)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read returned %v", err)
		}
		b.SetReadDeadline(time.Time{})
		expect(t, b, "input") // nothing is lost by it
	})
}

func TestTheDeadlineOfOneDirectionLeavesTheOtherAlone(t *testing.T) {
	overAllLinks(t, func(t *testing.T, a, b *tinytest.Conn) {
		a.SetReadDeadline(time.Unix(1, 0))
		wrote := write(t, a, []byte("out"))
		expect(t, b, "out")
		<-wrote
		a.SetDeadline(time.Time{})
		a.SetWriteDeadline(time.Unix(1, 0))
		wrote = write(t, b, []byte("in"))
		expect(t, a, "in")
		<-wrote
	})
}

func TestAWriteThatTimesOutSaysHowMuchWasWritten(t *testing.T) {
	for name, c := range map[string]struct {
		link tinytest.Conditions
		read int // how much the peer reads
		want int // how much was written
	}{
		"no buffer, nothing read":      {tinytest.Conditions{}, 0, 0},
		"no buffer, a part read":       {tinytest.Conditions{}, 30, 30},
		"no buffer, still on its way":  {tinytest.Conditions{Latency: time.Hour}, 0, 0},
		"buffer, nothing read":         {tinytest.Conditions{Buffer: 40}, 0, 40},
		"buffer, a part read":          {tinytest.Conditions{Buffer: 40}, 30, 70},
		"buffer, and still on its way": {tinytest.Conditions{Buffer: 40, Latency: time.Hour}, 0, 40},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, _ := pair(c.link)
				a.SetWriteDeadline(time.Now().Add(time.Second))
				want := data(100)
				done := begin(a.Write, want)
				if c.read > 0 {
					expect(t, b, string(want[:c.read]))
				}
				if r := <-done; r.n != c.want || !errors.Is(r.err, os.ErrDeadlineExceeded) {
					t.Errorf("Write returned %d, %v; expected %d and a timeout", r.n, r.err, c.want)
				}
				a.SetWriteDeadline(time.Time{})
				go a.Write([]byte("more")) // ends when it is read
				expect(t, b, string(want[c.read:c.want])+"more")
				a.Close()
				b.Close()
			})
		})
	}
}

func TestCloseEndsWhatIsBlocked(t *testing.T) {
	overAllLinks(t, func(t *testing.T, a, b *tinytest.Conn) {
		read, wrote := begin(a.Read, make([]byte, 1)), begin(a.Write, make([]byte, 10<<10))
		waiting := begin(a.Write, make([]byte, 10<<10))
		synctest.Wait()
		began := time.Now()
		a.Close()
		for _, done := range []<-chan result{read, wrote, waiting} {
			if r := <-done; !errors.Is(r.err, net.ErrClosed) || r.at != began {
				t.Errorf("returned after %v with %v", r.at.Sub(began), r.err)
			}
		}
	})
}

func TestKeepAliveNoticesThatNothingMoves(t *testing.T) {
	short := net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: 2 * time.Second, Count: 3}
	for _, c := range []struct {
		name   string
		config net.KeepAliveConfig
		during func(*tinytest.Link)
		after  time.Duration // zero: never
	}{
		{"partitioned", short, func(l *tinytest.Link) { l.Partition(tinytest.Both) }, 7 * time.Second},
		{"one way is enough", short, func(l *tinytest.Link) { l.Partition(tinytest.ToListener) }, 7 * time.Second},
		{"the other way too", short, func(l *tinytest.Link) { l.Partition(tinytest.ToDialer) }, 7 * time.Second},
		{"the defaults of net", net.KeepAliveConfig{Enable: true}, func(l *tinytest.Link) { l.Partition(tinytest.Both) }, 150 * time.Second},
		{"healed in time", short, func(l *tinytest.Link) {
			l.Partition(tinytest.Both)
			time.Sleep(6 * time.Second)
			l.Heal()
		}, 0},
		{"stalled, and not for too long", short, func(l *tinytest.Link) { l.Stall(tinytest.Both, 6*time.Second) }, 0},
		{"stalled again and again", short, func(l *tinytest.Link) {
			for range 4 {
				l.Stall(tinytest.Both, 3*time.Second)
				time.Sleep(2 * time.Second)
			}
		}, 7 * time.Second},
		{"off", net.KeepAliveConfig{}, func(l *tinytest.Link) { l.Partition(tinytest.Both) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, link := pair(tinytest.Conditions{Buffer: 100})
				a.SetKeepAliveConfig(c.config)
				began := time.Now()
				done := begin(a.Read, make([]byte, 1))
				c.during(link)
				time.Sleep(time.Hour)
				if c.after == 0 {
					link.Heal()
					<-write(t, b, []byte("x"))
					if r := <-done; r.err != nil {
						t.Errorf("Read returned %v", r.err)
					}
				} else if r := <-done; !errors.Is(r.err, errTimedOut) || r.at.Sub(began) != c.after {
					t.Errorf("Read returned %v after %v, expected that after %v", r.err, r.at.Sub(began), c.after)
				}
				a.Close()
				b.Close()
			})
		})
	}
}

func TestKeepAliveMayBeginWhenNothingMovesAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, link := pair(tinytest.Conditions{})
		link.Partition(tinytest.ToDialer)
		time.Sleep(time.Hour)
		began := time.Now()
		a.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true})
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, errTimedOut) || time.Since(began) != 150*time.Second {
			t.Errorf("Read returned %v after %v", err, time.Since(began))
		}
		b.Close()
	})
}

func TestAnEndThatGaveUpAnswersWithAReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, link := pair(tinytest.Conditions{Buffer: 100})
		a.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true})
		link.Partition(tinytest.Both)
		<-write(t, b, []byte("x"))
		time.Sleep(time.Hour)
		link.Heal()
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, errReset) {
			t.Errorf("Read returned %v", err)
		}
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, errTimedOut) || errors.Is(err, io.EOF) {
			t.Errorf("Read of the one that gave up returned %v", err)
		}
	})
}
