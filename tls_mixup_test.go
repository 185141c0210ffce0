package tinyproto_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// patient are options whose hello timeout is longer than the patience of a test:
// what takes less has not waited for it.
var patient = tinyproto.Options{HelloTimeout: 3 * patience}

// startsNow returns a function that expects that little time has passed.
func startsNow(t testing.TB) (checkTook func()) {
	start := time.Now()
	return func() {
		t.Helper()
		if took := time.Since(start); took > patience {
			t.Errorf("it took %v", took)
		}
	}
}

func TestAPlainClientAtATLSPortLearnsThatTheServerExpectsTLS(t *testing.T) {
	leaktest.Check(t)
	for _, tt := range []struct {
		name string
		max  int // MaxConns, all of them taken
	}{
		{"a server with room", 0},
		{"a server at its limit", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			logged := newFailures()
			at, _ := serveAt(t, &tinyproto.Server{
				Handler: echo, TLS: serverTLS(), Conn: patient, MaxConns: tt.max, Logger: logged.logger(),
			}, "127.0.0.1:0")
			for range tt.max {
				dialWith(t, at, trusting())
			}
			checkTook := startsNow(t)
			err := dialFails(t, "tcp://"+at, &tinyproto.DialOptions{Conn: patient})
			checkTook()
			checkError(t, err, at, "tinyproto: hello with SERVER: the peer does not speak tinyproto: its first byte is 0x15, "+
				"expected 0xff (OK): that looks like TLS: the server expects TLS", tinyproto.ErrNotTinyproto)
			err = logged.noHello(t)
			notTLS, _ := errors.AsType[*conn.NotTLSError](err)
			if !errors.Is(err, tinyproto.ErrNotTLS) || notTLS == nil || *notTLS != (conn.NotTLSError{Seen: 0xff}) {
				t.Errorf("the server's error is %#v", err)
			}
			checkError(t, err, "SERVER", "tinyproto: TLS handshake with CLIENT: the peer speaks plain tinyproto, expected TLS")
		})
	}
}

// A legacy client reads one byte; others may know an alert when they see one.
func TestWhoDoesNotSpeakTLSReadsAnAlertAndTheEnd(t *testing.T) {
	at, _ := serveAt(t, &tinyproto.Server{Handler: echo, TLS: serverTLS(), Conn: patient}, "127.0.0.1:0")
	for name, input := range map[string]string{
		"plain tinyproto":                    "\xff",
		"plain tinyproto that goes on":       "\xff\x00\x00\x00\x05hello",
		"one byte of rubbish":                "x",
		"a web browser":                      "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"a lot of rubbish":                   strings.Repeat("rubbish", 10<<10),
		"rubbish that begins as TLS does":    "\x16\xff\xff\xff\xff\xff",
		"a record that TLS can't begin with": "\x17\x03\x03\x00\x01\x00",
	} {
		t.Run(name, func(t *testing.T) {
			nc, err := net.Dial("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(patience))
			if _, err := io.WriteString(nc, input); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(nc)
			if diff := cmp.Diff([]byte("\x15\x03\x03\x00\x02\x02\x0a"), got); diff != "" || err != nil {
				t.Errorf("error %v, read (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestATLSClientAtAPlainPortLearnsThatTheServerIsPlain(t *testing.T) {
	leaktest.Check(t)
	const plain = "tinyproto: TLS handshake with SERVER: the server speaks plain tinyproto, expected TLS"
	const full = plain + "; besides, it is at its connection limit (CONLIMIT)"
	for _, tt := range []struct {
		name string
		max  int
		want string
		seen byte
	}{
		{"a server with room", 0, plain, 0xff},
		{"a server at its limit", 1, full, 0xfe},
	} {
		t.Run(tt.name, func(t *testing.T) {
			logged := newFailures()
			l := listen(t, "127.0.0.1:0")
			at := l.Addr().String()
			serve(t, &tinyproto.Server{Handler: echo, Conn: patient, MaxConns: tt.max, Logger: logged.logger()}, l)
			for range tt.max {
				dial(t, at)
			}
			opts := trusting()
			opts.Conn = patient
			checkTook := startsNow(t)
			err := dialFails(t, "tls://"+at, opts)
			checkTook()
			checkError(t, err, at, tt.want)
			notTLS, _ := errors.AsType[*conn.NotTLSError](err)
			if !errors.Is(err, tinyproto.ErrNotTLS) || notTLS == nil || *notTLS != (conn.NotTLSError{Seen: tt.seen, Server: true}) {
				t.Errorf("Dial's error is %#v", err)
			}
			if tt.max == 0 {
				checkError(t, logged.noHello(t), "SERVER",
					"tinyproto: hello with CLIENT: the peer does not speak tinyproto: its first byte is 0x16, expected 0xff (OK): "+
						"that looks like a TLS handshake, and this end speaks plain tinyproto", tinyproto.ErrNotTinyproto)
			}
		})
	}
}

// A legacy server writes its hello, and is not known to close.
func TestATLSClientDoesNotWaitForAPlainServerThatSaysNoMore(t *testing.T) {
	for hello, want := range map[string]string{
		"\xff": "tinyproto: TLS handshake with SERVER: the server speaks plain tinyproto, expected TLS",
		"2":    "tinyproto: TLS handshake with SERVER: the server does not speak TLS: its first byte is 0x32, expected 0x16",
	} {
		l := listen(t, "127.0.0.1:0")
		ended := make(chan []byte, 1)
		go func() { // ends with the connection
			var got []byte
			if nc, err := l.Accept(); err == nil {
				io.WriteString(nc, hello)
				got, _ = io.ReadAll(nc)
				nc.Close()
			}
			ended <- got
		}()
		opts := trusting()
		opts.Conn = patient
		checkTook := startsNow(t)
		err := dialFails(t, "tls://"+l.Addr().String(), opts)
		checkTook()
		checkError(t, err, l.Addr().String(), want)
		got := receive(t, "the end of the server", ended)
		if n := len(got); n < 100 || got[0] != 0x16 || strings.HasSuffix(string(got), "\x15\x03\x03\x00\x02\x02\x0a") {
			t.Errorf("the server read %d bytes, % x..., expected the handshake alone", n, got[:min(n, 8)])
		}
	}
}

// Listeners of package tls can't look at the first byte, but take what they read
// of a client that goes on.
func TestAPlainClientThatGoesOnIsKnownAtAnyTLSListener(t *testing.T) {
	logged := newFailures()
	l := tls.NewListener(listen(t, "127.0.0.1:0"), serverTLS())
	serve(t, &tinyproto.Server{Handler: echo, Conn: patient, Logger: logged.logger()}, l)
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	io.WriteString(nc, "\xff\x00\x00\x00\x05") // hello and offer in one segment
	if got, err := io.ReadAll(nc); len(got) == 0 || got[0] != 0x15 || err != nil {
		t.Errorf("read % x, %v, expected an alert", got, err)
	}
	nc.Close()
	if err := logged.noHello(t); !errors.Is(err, tinyproto.ErrNotTLS) || !strings.Contains(err.Error(), "plain tinyproto, expected TLS") {
		t.Errorf("the server's error is %v", err)
	}
}
