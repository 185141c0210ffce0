package tinyproto_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// overTLS returns the client's end of TLS over nc, for conn.New.
func overTLS(nc net.Conn) net.Conn {
	return tls.Client(nc, &tls.Config{RootCAs: authority.Pool(), ServerName: "localhost"})
}

func TestPeersThatAreSilentInTheHandshakeHoldUpNobodyAndCount(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		const helloTimeout = 3 * time.Second
		logged := newFailures()
		l := newMemory()
		serve(t, &tinyproto.Server{
			Handler: echo, MaxConns: 2, Logger: logged.logger(),
			Conn: tinyproto.Options{HelloTimeout: helloTimeout},
		}, tls.NewListener(l, serverTLS()))
		began := time.Now()
		l.connect(t) // is silent
		c, err := conn.New(t.Context(), overTLS(l.connect(t)), nil)
		if err != nil {
			t.Fatal(err)
		}
		ask(t, c, "served beside a silent peer")
		time.Sleep(helloTimeout - time.Nanosecond)
		if _, err := conn.New(t.Context(), overTLS(l.connect(t)), nil); !errors.Is(err, tinyproto.ErrConnLimit) {
			t.Errorf("while the silent peer is waited for: %v", err)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		next, err := conn.New(t.Context(), overTLS(l.connect(t)), nil)
		if err != nil {
			t.Fatalf("after its time was over: %v", err)
		}
		ask(t, next, "hello")
		if took := time.Since(began); took != helloTimeout {
			t.Errorf("all that took %v, expected the hello timeout of %v", took, helloTimeout)
		}
		err = logged.noHello(t)
		want := "tinyproto: TLS handshake with pipe: not complete within 3s: i/o timeout"
		if fmt.Sprint(err) != want || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the server's error is %q, expected %q", err, want)
		}
		c.Close()
		next.Close()
	})
}

func TestTheEndOfTheContextDoesNotWaitForHandshakes(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		l := newMemory()
		run := serve(t, &tinyproto.Server{Handler: echo, MaxConns: 1}, tls.NewListener(l, serverTLS()))
		l.connect(t)
		l.connect(t) // is to be refused
		synctest.Wait()
		stopped := time.Now()
		if err := run.stop(t); err != nil {
			t.Errorf("Serve returned %v", err)
		}
		if took := time.Since(stopped); took > 0 {
			t.Errorf("Serve took %v to end", took)
		}
	})
}

// silent is a server that accepts and does nothing; begun tells when a client
// has begun to speak.
func silent(t testing.TB) (address string, begun chan byte) {
	t.Helper()
	l := listen(t, "127.0.0.1:0")
	begun = make(chan byte, 1)
	ended := make(chan struct{})
	go func() { // ends with the client, or with l
		defer close(ended)
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		first := make([]byte, 1)
		nc.Read(first)
		begun <- first[0]
		io.Copy(io.Discard, nc)
	}()
	t.Cleanup(func() { l.Close(); receive(t, "the end of the silent server", ended) })
	return l.Addr().String(), begun
}

func TestDialWaitsForAHandshakeForTheHelloTimeoutOnly(t *testing.T) {
	address, _ := silent(t)
	opts := trusting()
	opts.Conn.HelloTimeout = 20 * time.Millisecond
	checkError(t, dialFails(t, address, opts), address,
		"tinyproto: TLS handshake with SERVER: not complete within 20ms: i/o timeout", os.ErrDeadlineExceeded)
}

func TestDialEndsWithItsContextInTheHandshake(t *testing.T) {
	leaktest.Check(t)
	address, begun := silent(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	result := make(chan error, 1)
	go func() { // ends with ctx
		_, err := tinyproto.Dial(ctx, "tls://"+address, nil)
		result <- err
	}()
	if b := receive(t, "the handshake", begun); b != 0x16 {
		t.Errorf("Dial begins with %#x, expected a handshake", b)
	}
	cancel(errStopped)
	checkError(t, receive(t, "the return of Dial", result), address,
		"tinyproto: TLS handshake with SERVER: stopped by the test", errStopped)
}

func TestAPeerThatEndsInTheHandshakeFreesItsSlot(t *testing.T) {
	logged := newFailures()
	at, _ := serveAt(t, &tinyproto.Server{Handler: echo, TLS: serverTLS(), Conn: patient, MaxConns: 1, Logger: logged.logger()}, "127.0.0.1:0")
	nc, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(nc, "\x16\x03\x01\x00\x64\x01") // begins a record of 100 bytes
	nc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := tinyproto.Dial(ctx, at, trusting())
	for errors.Is(err, tinyproto.ErrConnLimit) {
		c, err = tinyproto.Dial(ctx, at, trusting())
	}
	if err != nil {
		t.Fatal(err)
	}
	ask(t, c, "hello")
	c.Close()
	if err := logged.noHello(t); !errors.Is(err, tinyproto.ErrRefused) || !strings.Contains(err.Error(), "in the middle of the handshake") {
		t.Errorf("the server's error is %v", err)
	}
}

func TestClientsOfTLSOverTheLimitAreToldSo(t *testing.T) {
	leaktest.Check(t)
	s := &tinyproto.Server{Handler: echo, TLS: serverTLS(), MaxConns: 2}
	var listeners []net.Listener
	for _, address := range []string{"tls://127.0.0.1:0", "tcp://127.0.0.1:0"} {
		l, err := s.Listen(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
	}
	serve(t, s, listeners...)
	secure, plain := "tls://"+listeners[0].Addr().String(), "tcp://"+listeners[1].Addr().String()
	served := []*tinyproto.Conn{dialWith(t, secure, trusting()), dialWith(t, plain, nil)}
	if served[0].TLS() == nil || served[1].TLS() != nil {
		t.Errorf("TLS is %v and %v", served[0].TLS(), served[1].TLS())
	}
	for range 5 {
		for _, address := range []string{secure, plain} { // they share the limit
			err := dialFails(t, address, trusting())
			if !errors.Is(err, tinyproto.ErrConnLimit) || !errors.Is(err, tinyproto.ErrRefused) {
				t.Errorf("Dial of %s over the limit: %v", address, err)
			}
		}
	}
	for _, c := range served {
		ask(t, c, "those within it are served")
	}
}
