package tinyproto_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
)

func TestServeWaitsLongerAfterEachFailureToAcceptUpToOneSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &flaky{memory: newMemory(), fail: func(n int) error {
			if n <= 10 || n == 12 {
				return errNoFiles
			}
			return nil
		}}
		var logged records
		run := serve(t, &tinyproto.Server{Handler: echo, Logger: logged.logger()}, l)
		c, err := conn.New(t.Context(), l.connect(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ask(t, c, "the server has recovered")
		time.Sleep(time.Second)
		if err := run.stop(t); err != nil {
			t.Errorf("Serve returned %v", err)
		}
		var waits []time.Duration
		for i := range len(l.calls) - 1 {
			waits = append(waits, l.calls[i+1].Sub(l.calls[i]))
		}
		const ms = time.Millisecond
		want := []time.Duration{
			5 * ms, 10 * ms, 20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, time.Second, time.Second,
			0,      // it accepted, and does so again at once
			5 * ms, // a new failure begins anew
		}
		if diff := cmp.Diff(want, waits); diff != "" {
			t.Errorf("waits between calls of Accept (-want +got):\n%s", diff)
		}
		warnings := logged.at(slog.LevelWarn)
		if len(warnings) != 11 {
			t.Fatalf("%d warnings for 11 failures", len(warnings))
		}
		if got := warnings[0].attrs; got["err"] != error(errNoFiles) || fmt.Sprint(got["addr"]) != "memory" {
			t.Errorf("the warning does not say what failed where: %v", got)
		}
	})
}

func TestServeEndsAtOnceWhileItWaitsToAcceptAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &flaky{memory: newMemory(), fail: func(int) error { return errNoFiles }}
		run := serve(t, &tinyproto.Server{Handler: echo}, l)
		time.Sleep(10 * time.Second)
		stopped := time.Now()
		if err := run.stop(t); err != nil {
			t.Errorf("Serve returned %v", err)
		}
		if took := time.Since(stopped); took > 0 {
			t.Errorf("Serve took %v to end", took)
		}
	})
}

func TestListenerThatFailsForGoodEndsServeAndAllConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("the network is gone")
		failing := make(chan struct{})
		bad := &flaky{memory: newMemory(), fail: func(int) error { <-failing; return broken }}
		good := newMemory()
		ends := make(chan error, 1)
		run := serve(t, &tinyproto.Server{Handler: func(ctx context.Context, c *tinyproto.Conn) error {
			err := echo(ctx, c)
			ends <- err
			return err
		}}, good, bad)
		c, err := conn.New(t.Context(), good.connect(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ask(t, c, "hello")
		close(failing)
		err = receive(t, "the return of Serve", run.result)
		if want := "tinyproto: accept on memory: the network is gone"; fmt.Sprint(err) != want || !errors.Is(err, broken) {
			t.Errorf("Serve returned %q, expected %q", err, want)
		}
		if err := receive(t, "the return of the handler", ends); !errors.Is(err, broken) {
			t.Errorf("the connection ended with %v, expected the listener's error as its cause", err)
		}
		receive(t, "the listener to be closed", bad.closed)
		receive(t, "the other listener to be closed", good.closed)
		if _, err := rest(t, c); err != nil {
			t.Errorf("the peer's end of the connection says %v", err)
		}
	})
}
