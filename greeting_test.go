package tinyproto_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// waitsFor reports whether the server still waits for a silent peer to greet.
func waitsFor(peer net.Conn) bool {
	peer.SetReadDeadline(time.Now().Add(time.Nanosecond))
	_, err := io.Copy(io.Discard, peer)
	return err != nil // the end of the stream otherwise
}

func TestPeersThatDoNotGreetMakeRoomForThoseWhoCameAfterThem(t *testing.T) {
	leaktest.Check(t)
	for _, tt := range []struct {
		maxConns, maxHellos int
		tls                 *tls.Config
		silent, waitedFor   int
	}{
		{0, 0, nil, 1100, tinyproto.DefaultMaxHellos},
		{0, 0, &tls.Config{}, 1100, min(tinyproto.DefaultMaxHellos, 128*runtime.GOMAXPROCS(0))},
		{0, 5, nil, 20, 5},
		{0, -1, nil, 1100, 1100},
		{100, 0, nil, 90, 50}, // half of MaxConns
		{20, 0, nil, 19, 16},  // but not too few
		{5000, 0, nil, 1100, tinyproto.DefaultMaxHellos},
		{100, 70, nil, 90, 70},
	} {
		t.Run(fmt.Sprintf("MaxConns %d, MaxHellos %d, TLS %t", tt.maxConns, tt.maxHellos, tt.tls != nil), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newMemory()
				serve(t, &tinyproto.Server{Handler: echo, MaxConns: tt.maxConns, MaxHellos: tt.maxHellos, TLS: tt.tls}, l)
				var peers []net.Conn
				for range tt.silent {
					peers = append(peers, l.connect(t))
				}
				synctest.Wait()
				waited := 0
				for i, peer := range peers {
					waits := waitsFor(peer)
					if waits {
						waited++
					}
					if newest := i >= len(peers)-tt.waitedFor; waits != newest {
						t.Fatalf("peer %d of %d is waited for: %t, expected %t", i, len(peers), waits, newest)
					}
				}
				if waited != tt.waitedFor {
					t.Errorf("%d silent peers are waited for, expected %d", waited, tt.waitedFor)
				}
			})
		})
	}
}

func TestAFloodOfSilentPeersKeepsNobodyOut(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		var logged records
		l := newMemory()
		serve(t, &tinyproto.Server{Handler: echo, MaxHellos: 3, Logger: logged.logger()}, l)
		const patience = 100 * time.Millisecond // with each that does not greet
		began := time.Now()
		var served []*tinyproto.Conn
		for range 50 {
			for range 10 {
				l.connect(t)
			}
			c, err := conn.New(t.Context(), l.connect(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			synctest.Wait() // until the server has noted that it has greeted
			served = append(served, c)
		}
		for _, c := range served { // they are not among those who make room
			ask(t, c, "served beside the flood")
		}
		if took, most := time.Since(began), 550/3*patience; took > most {
			t.Errorf("the flood held the others up for %v, expected at most %v", took, most)
		}
		synctest.Wait()
		want := "tinyproto: hello with pipe: ended before it had greeted, to make room for others"
		failed := logged.saying("tinyproto: no hello")
		if len(failed) != 500-2 { // the last to greet made room, too
			t.Errorf("%d silent peers were ended, expected %d", len(failed), 500-2)
		}
		for _, r := range failed {
			if diff := cmp.Diff(want, fmt.Sprint(r.attrs["err"])); diff != "" {
				t.Fatalf("logged (-want +got):\n%s", diff)
			}
		}
	})
}

func TestWithoutDescriptorsThePeersThatHaveNotGreetedForASecondAreEnded(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		const old, young = 10, 5
		var peers []net.Conn
		l := &flaky{memory: newMemory(), fail: func(n int) error {
			if n == old+young+1+1 {
				return errNoFiles
			}
			return nil
		}}
		serve(t, &tinyproto.Server{Handler: echo}, l)
		greeted, err := conn.New(t.Context(), l.connect(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer greeted.Close()
		for range old {
			peers = append(peers, l.connect(t))
		}
		time.Sleep(time.Second)
		for range young {
			peers = append(peers, l.connect(t))
		}
		c, err := conn.New(t.Context(), l.connect(t), nil) // after the failure to accept
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ask(t, c, "accepted when descriptors were free again")
		ask(t, greeted, "it has greeted, and lives on")
		for i, peer := range peers {
			if waits := waitsFor(peer); waits != (i >= old) {
				t.Errorf("peer %d of %d old and %d young ones is waited for: %t", i, old, young, waits)
			}
		}
		if err := greeted.Err(); err != nil {
			t.Error(err)
		}
	})
}

func TestAGreetedConnectionDoesNotCountAsGreeting(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	serve(t, &tinyproto.Server{Handler: echo, MaxHellos: 1}, l)
	var served []*tinyproto.Conn
	for range 20 {
		c := dial(t, l.Addr().String())
		ask(t, c, "hello") // so the server has noted that it has greeted
		served = append(served, c)
	}
	for _, c := range served {
		ask(t, c, "still here")
	}
}
