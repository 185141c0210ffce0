package tinyproto_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto"
)

// stub is a server that treats its one client as it likes: greet gets the
// connection after the client's hello was read.
func stub(t testing.TB, greet func(*net.TCPConn)) (address string) {
	t.Helper()
	l := listen(t, "127.0.0.1:0")
	ended := make(chan struct{})
	go func() { // ends with greet, or with l
		defer close(ended)
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		hello := make([]byte, 1)
		if _, err := io.ReadFull(nc, hello); err != nil || hello[0] != 0xff {
			t.Errorf("Dial's hello is %x, error %v", hello, err)
		}
		greet(nc.(*net.TCPConn))
	}()
	t.Cleanup(func() { l.Close(); receive(t, "the end of the stub", ended) })
	return l.Addr().String()
}

// refusedPort is an address that nobody listens on, and that nobody else can
// take during the test: it is a client's.
func refusedPort(t testing.TB) string {
	t.Helper()
	nc, err := net.Dial("tcp", listen(t, "127.0.0.1:0").Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return nc.LocalAddr().String()
}

// checkError expects an error of one line that begins with the library's name
// and names it once. In want, SERVER stands for the address, and CLIENT for
// the port at our end.
func checkError(t testing.TB, err error, address, want string, is ...error) {
	t.Helper()
	text := strings.ReplaceAll(fmt.Sprint(err), address, "SERVER")
	text = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(text, "CLIENT")
	if diff := cmp.Diff(want, text); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	for _, target := range is {
		if !errors.Is(err, target) {
			t.Errorf("errors.Is(err, %q) is false", target)
		}
	}
	for _, target := range []error{
		tinyproto.ErrConnLimit, tinyproto.ErrRefused, tinyproto.ErrNotTinyproto,
		context.Canceled, os.ErrDeadlineExceeded, errStopped,
	} {
		wanted := false
		for _, w := range is {
			wanted = wanted || w == target
		}
		if !wanted && errors.Is(err, target) {
			t.Errorf("errors.Is(err, %q) is true", target)
		}
	}
}

// errStopped is what tests cancel contexts with.
var errStopped = errors.New("stopped by the test")

func TestDialSaysHowTheServerRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		greet func(*net.TCPConn)
		want  string
		is    []error
	}{
		{
			"connection limit",
			func(nc *net.TCPConn) { nc.Write([]byte{0xfe}) },
			"tinyproto: hello with SERVER: hello refused: the server is at its connection limit (CONLIMIT)",
			[]error{tinyproto.ErrConnLimit, tinyproto.ErrRefused},
		},
		{
			"a legacy server's 254 zero bytes",
			func(nc *net.TCPConn) { nc.Write(make([]byte, 254)) },
			"tinyproto: hello with SERVER: hello refused with 0x00: the server turned us away, probably at its connection limit",
			[]error{tinyproto.ErrRefused},
		},
		{
			"end of stream",
			func(nc *net.TCPConn) { nc.CloseWrite() },
			"tinyproto: hello with SERVER: hello refused: the peer ended the connection instead of greeting",
			[]error{tinyproto.ErrRefused},
		},
		{
			"reset",
			func(nc *net.TCPConn) { nc.SetLinger(0) },
			"tinyproto: hello with SERVER: hello refused: the connection broke: read tcp CLIENT->SERVER: read: connection reset by peer",
			[]error{tinyproto.ErrRefused, syscall.ECONNRESET},
		},
		{
			"a web server",
			func(nc *net.TCPConn) { io.WriteString(nc, "HTTP/1.1 400 Bad Request\r\n\r\n") },
			"tinyproto: hello with SERVER: the peer does not speak tinyproto: its first byte is 0x48, expected 0xff (OK)",
			[]error{tinyproto.ErrNotTinyproto},
		},
		{
			"an answer without a hello",
			func(nc *net.TCPConn) { nc.Write([]byte{0xfd}) },
			"tinyproto: hello with SERVER: the peer does not speak tinyproto: its first byte is 0xfd (CONFLICT), expected 0xff (OK)",
			[]error{tinyproto.ErrNotTinyproto},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := stub(t, tt.greet)
			c, err := tinyproto.Dial(t.Context(), address, nil)
			if err == nil {
				c.Close()
			}
			checkError(t, err, address, tt.want, tt.is...)
		})
	}
}

func TestDialSaysThatNobodyListens(t *testing.T) {
	port := refusedPort(t)
	_, err := tinyproto.Dial(t.Context(), port, nil)
	checkError(t, err, port,
		"tinyproto: dial SERVER: dial tcp SERVER: connect: connection refused", syscall.ECONNREFUSED)

	unix, path := socket(t)
	_, err = tinyproto.Dial(t.Context(), unix, nil)
	checkError(t, err, path,
		"tinyproto: dial unix://SERVER: dial unix SERVER: connect: no such file or directory", os.ErrNotExist)
}

func TestDialWaitsForAHelloForTheHelloTimeoutOnly(t *testing.T) {
	address := stub(t, readAll)
	c, err := tinyproto.Dial(t.Context(), address, &tinyproto.DialOptions{
		Conn: tinyproto.Options{HelloTimeout: 20 * time.Millisecond},
	})
	if err == nil {
		c.Close()
	}
	checkError(t, err, address,
		"tinyproto: hello with SERVER: the peer did not greet within 20ms: i/o timeout",
		os.ErrDeadlineExceeded)
}

// readAll is a silent server that stays until the client has gone.
func readAll(nc *net.TCPConn) { io.Copy(io.Discard, nc) }

func TestDialEndsWithItsContextWhileTheServerIsSilent(t *testing.T) {
	greeting := make(chan struct{})
	address := stub(t, func(nc *net.TCPConn) { close(greeting); readAll(nc) })
	ctx, cancel := context.WithCancelCause(t.Context())
	result := make(chan error, 1)
	go func() { // ends with ctx
		_, err := tinyproto.Dial(ctx, address, nil)
		result <- err
	}()
	receive(t, "the hello of Dial", greeting)
	cancel(errStopped)
	checkError(t, receive(t, "the return of Dial", result), address,
		"tinyproto: hello with SERVER: stopped by the test", errStopped)
}

// hangUp makes the resolution of every name hang until Dial gives up: that is
// connecting, too, and hangs at every machine alike. The channel tells that it
// has come to that.
func hangUp(t testing.TB) (hanging <-chan struct{}) {
	reached := make(chan struct{}, 1)
	old := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			select {
			case reached <- struct{}{}:
			default:
			}
			<-ctx.Done()
			return nil, ctx.Err()
		},
	}
	t.Cleanup(func() { net.DefaultResolver = old })
	return reached
}

func TestDialEndsWithItsContextWhileConnecting(t *testing.T) {
	hanging := hangUp(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	result := make(chan error, 1)
	go func() { // ends with ctx
		_, err := tinyproto.Dial(ctx, "server.test:1", nil)
		result <- err
	}()
	receive(t, "the resolution of the name", hanging)
	cancel(errStopped)
	checkError(t, receive(t, "the return of Dial", result), "server.test:1",
		"tinyproto: dial SERVER: stopped by the test", errStopped)
}

func TestDialWithAContextThatHasEndedReturnsItsCause(t *testing.T) {
	address := listen(t, "127.0.0.1:0").Addr().String()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStopped)
	_, err := tinyproto.Dial(ctx, address, nil)
	checkError(t, err, address, "tinyproto: dial SERVER: stopped by the test", errStopped)
}

func TestDialConnectsForItsTimeoutOnly(t *testing.T) {
	hangUp(t)
	for name, timeout := range map[string]time.Duration{
		"expires while resolving":    20 * time.Millisecond,
		"has expired from the start": time.Nanosecond,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("Dial goes on"))
			defer cancel()
			began := time.Now()
			_, err := tinyproto.Dial(ctx, "server.test:1", &tinyproto.DialOptions{Timeout: timeout})
			// Less than the 5 s after which a resolver gives up by itself.
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("Dial took %v", took)
			}
			var timed net.Error
			if !errors.As(err, &timed) || !timed.Timeout() {
				t.Errorf("error %v is no timeout", err)
			}
			if text := fmt.Sprint(err); !strings.HasPrefix(text, "tinyproto: dial server.test:1: ") ||
				!strings.HasSuffix(text, "i/o timeout") || strings.Contains(text, "\n") {
				t.Errorf("error %q, expected one line: what was dialled, and that it timed out", text)
			}
		})
	}
}

func TestDialWithANegativeTimeoutConnects(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	serve(t, &tinyproto.Server{Handler: echo}, l)
	c, err := tinyproto.Dial(t.Context(), l.Addr().String(), &tinyproto.DialOptions{Timeout: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask(t, c, "hello")
}

func TestConnOptionsOfDialAreThoseOfTheConnection(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	serve(t, &tinyproto.Server{Handler: echo}, l)
	c, err := tinyproto.Dial(t.Context(), l.Addr().String(), &tinyproto.DialOptions{
		Conn: tinyproto.Options{OutboxBuffer: 7, InboxBuffer: 3},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if cap(c.Outbox()) != 7 || cap(c.Inbox()) != 3 {
		t.Errorf("Outbox of %d, Inbox of %d, expected 7 and 3", cap(c.Outbox()), cap(c.Inbox()))
	}
}

func TestContextOfDialIsTheLifeOfTheConnection(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	serve(t, &tinyproto.Server{Handler: echo}, l)
	ctx, cancel := context.WithCancelCause(t.Context())
	c, err := tinyproto.Dial(ctx, l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask(t, c, "hello")
	cancel(errStopped)
	if _, err := rest(t, c); !errors.Is(err, errStopped) {
		t.Errorf("Err is %v, expected the context's cause", err)
	}
}

// Hello and first offer in one segment: nothing of it may be lost.
func TestWhatTheServerSendsBehindItsHelloIsReceived(t *testing.T) {
	address := stub(t, func(nc *net.TCPConn) {
		nc.Write([]byte{0xff, 0, 0, 0, 5})
		answer := make([]byte, 1)
		if _, err := io.ReadFull(nc, answer); err != nil || !bytes.Equal(answer, []byte{0xff}) {
			t.Errorf("the answer is %x, error %v", answer, err)
		}
		io.WriteString(nc, "hello")
		nc.CloseWrite()
		readAll(nc)
	})
	c := dial(t, address)
	got, err := rest(t, c)
	if diff := cmp.Diff([]string{"hello"}, got); diff != "" || err != nil {
		t.Errorf("Err %v, received (-want +got):\n%s", err, diff)
	}
}
