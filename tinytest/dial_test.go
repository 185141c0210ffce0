package tinytest_test

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/tinytest"
)

// dialled is what a Dial returned, and when.
type dialled struct {
	nc  net.Conn
	err error
	at  time.Time
}

func dial(ctx context.Context, n *tinytest.Network, to string) <-chan dialled {
	done := make(chan dialled, 1)
	go func() { // ends with the dialling
		nc, err := n.Dial(ctx, to)
		done <- dialled{nc, err, time.Now()}
	}()
	return done
}

func listen(t testing.TB, n *tinytest.Network, name string) net.Listener {
	t.Helper()
	l, err := n.Listen(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestWhoDialsIsAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := tinytest.NewNetwork(tinytest.Config{Conditions: tinytest.Conditions{Latency: time.Second}})
		l := listen(t, n, "server")
		began := time.Now()
		a := <-dial(t.Context(), n, "server")
		if a.err != nil || a.at.Sub(began) != 2*time.Second {
			t.Fatalf("Dial returned %v after %v, expected a round trip", a.err, a.at.Sub(began))
		}
		b, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		names := []string{l.Addr().String(), a.nc.LocalAddr().String(), a.nc.RemoteAddr().String(), b.LocalAddr().String(), b.RemoteAddr().String()}
		if diff := cmp.Diff([]string{"server", "client:1", "server", "server", "client:1"}, names); diff != "" {
			t.Errorf("addresses (-want +got):\n%s", diff)
		}
		wrote := write(t, a.nc, []byte("hello"))
		expect(t, b, "hello")
		<-wrote
	})
}

func TestAcceptWaitsForADial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := tinytest.NewNetwork(tinytest.Config{})
		l := listen(t, n, "server")
		accepted := make(chan net.Conn, 1)
		go func() { // ends with the Dial
			nc, err := l.Accept()
			if err != nil {
				t.Error(err)
			}
			accepted <- nc
		}()
		synctest.Wait()
		a, err := n.DialFrom(t.Context(), "somebody", "server")
		if err != nil {
			t.Fatal(err)
		}
		if b := <-accepted; b.RemoteAddr() != a.LocalAddr() {
			t.Errorf("accepted %v, expected %v", b.RemoteAddr(), a.LocalAddr())
		}
	})
}

func TestADialIsRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*tinytest.Network) error
	}{
		{"where nobody listens", func(*tinytest.Network) error { return nil }},
		{"where nobody listens any more", func(n *tinytest.Network) error {
			l, err := n.Listen("server")
			l.Close()
			return err
		}},
		{"by the link", func(n *tinytest.Network) error {
			_, err := n.Listen("server")
			n.Link(tinytest.Dialer, "server").Refuse(true)
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := tinytest.NewNetwork(tinytest.Config{})
				if err := c.set(n); err != nil {
					t.Fatal(err)
				}
				d := <-dial(t.Context(), n, "server")
				if !errors.Is(d.err, errRefused) {
					t.Fatalf("Dial returned %v", d.err)
				}
				if want := "dial tinytest server: connection refused"; runtimeIsUnix && d.err.Error() != want {
					t.Errorf("error %q, expected %q", d.err, want)
				}
			})
		})
	}
}

// The texts of system errors are the system's.
var runtimeIsUnix = syscall.ECONNREFUSED.Error() == "connection refused"

func TestALinkThatRefusedMayAcceptAgain(t *testing.T) {
	n := tinytest.NewNetwork(tinytest.Config{})
	listen(t, n, "server")
	link := n.Link(tinytest.Dialer, "server")
	link.Refuse(true)
	if _, err := n.DialFrom(t.Context(), "another", "server"); err != nil {
		t.Errorf("another link refused: %v", err)
	}
	link.Refuse(false)
	if _, err := n.Dial(t.Context(), "server"); err != nil {
		t.Error(err)
	}
}

func TestADialWaits(t *testing.T) {
	cause := errors.New("waited for too long")
	for _, c := range []struct {
		name       string
		hold, free func(*tinytest.Network, net.Listener)
	}{
		{"while the link is partitioned",
			func(n *tinytest.Network, l net.Listener) {
				n.Link(tinytest.Dialer, "server").Partition(tinytest.ToDialer)
			},
			func(n *tinytest.Network, l net.Listener) { n.Link(tinytest.Dialer, "server").Heal() }},
		{"while the link is stalled",
			func(n *tinytest.Network, l net.Listener) {
				n.Link(tinytest.Dialer, "server").Stall(tinytest.ToListener, time.Hour)
			},
			func(n *tinytest.Network, l net.Listener) { time.Sleep(time.Hour) }},
		{"while the backlog is full",
			func(n *tinytest.Network, l net.Listener) { n.DialFrom(context.Background(), "another", "server") },
			func(n *tinytest.Network, l net.Listener) { l.Accept() }},
	} {
		for _, freed := range []bool{true, false} {
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := tinytest.NewNetwork(tinytest.Config{Backlog: 1})
					l := listen(t, n, "server")
					c.hold(n, l)
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					done := dial(ctx, n, "server")
					time.Sleep(time.Minute)
					synctest.Wait()
					select {
					case d := <-done:
						t.Fatalf("Dial did not wait: %v", d.err)
					default:
					}
					if !freed {
						cancel(cause)
						if d := <-done; !errors.Is(d.err, cause) {
							t.Errorf("Dial returned %v, expected %v", d.err, cause)
						}
						c.free(n, l)
						return
					}
					c.free(n, l)
					if d := <-done; d.err != nil {
						t.Error(d.err)
					}
				})
			})
		}
	}
}

func TestADialWhoseContextHasEndedFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("over")
		n := tinytest.NewNetwork(tinytest.Config{Conditions: tinytest.Conditions{Latency: time.Hour}})
		listen(t, n, "server")
		ctx, cancel := context.WithCancelCause(t.Context())
		done := dial(ctx, n, "server")
		synctest.Wait()
		cancel(cause)
		for range 2 {
			if d := <-done; !errors.Is(d.err, cause) {
				t.Errorf("Dial returned %v, expected %v", d.err, cause)
			}
			done = dial(ctx, n, "server")
		}
		<-done
	})
}

func TestANameHasOneListenerAtATime(t *testing.T) {
	n := tinytest.NewNetwork(tinytest.Config{})
	l := listen(t, n, "server")
	if _, err := n.Listen("server"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second Listen returned %v", err)
	}
	l.Close()
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a second Close returned %v", err)
	}
	listen(t, n, "server")
}

func TestClosingAListenerResetsWhatWasNotAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := tinytest.NewNetwork(tinytest.Config{})
		l := listen(t, n, "server")
		first := <-dial(t.Context(), n, "server")
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		second := <-dial(t.Context(), n, "server")
		failed := make(chan error, 1)
		other := listen(t, n, "other")
		go func() { // ends with the listener
			_, err := other.Accept()
			failed <- err
		}()
		synctest.Wait()
		l.Close()
		other.Close()
		if err := <-failed; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept returned %v", err)
		}
		if _, err := second.nc.Read(make([]byte, 1)); !errors.Is(err, errReset) {
			t.Errorf("Read of the one who was not accepted returned %v", err)
		}
		wrote := write(t, first.nc, []byte("x"))
		expect(t, accepted, "x")
		<-wrote
	})
}
