package conn_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/testcert"
	"github.com/tinyproto-go/tinyproto/wire"
)

// A peer that does not speak TLS may have written much, and closing a socket
// with unread input destroys what was written to it.
func TestAPeerThatSpeaksNoTLSIsToldSoByAnAlert(t *testing.T) {
	const fatalAlert = "\x15\x03\x03\x00\x02\x02\x0a"
	for _, tt := range []struct {
		name, input, want string
		seen              byte
	}{
		{"plain tinyproto", "\xff\x00\x00\x00\x05", "the peer speaks plain tinyproto, expected TLS", 0xff},
		{"a web browser", "GET / HTTP/1.1\r\n", "the peer does not speak TLS: its first byte is 0x47, expected 0x16", 'G'},
		{"rubbish that begins as TLS does", "\x16\xff\xff\xff\xff", "the peer does not speak TLS", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, peer := memPair(t, 64<<10)
				failed := make(chan error, 1)
				go func() { // ends with the peer's end
					_, err := conn.New(t.Context(), tls.Server(x, &tls.Config{}), nil)
					failed <- err
				}()
				io.WriteString(peer, tt.input+strings.Repeat("more", 10<<10))
				if got, err := io.ReadAll(peer); string(got) != fatalAlert || err != nil {
					t.Errorf("the peer read % x, %v, expected an alert and the end of the stream", got, err)
				}
				peer.Close()
				err := <-failed
				want := "tinyproto: TLS handshake with memory: " + tt.want + ": tls: first record does not look like a TLS handshake"
				if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
					t.Errorf("error (-want +got):\n%s", diff)
				}
				notTLS, _ := errors.AsType[*conn.NotTLSError](err)
				if !errors.Is(err, conn.ErrNotTLS) || !has[tls.RecordHeaderError](err) || (notTLS == nil) != (tt.seen == 0) ||
					notTLS != nil && *notTLS != (conn.NotTLSError{Seen: tt.seen}) {
					t.Errorf("%v: not the error of %#x: %+v", err, tt.seen, notTLS)
				}
			})
		})
	}
}

func TestTheLastWordsToAPeerAreBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		stop, want time.Duration
	}{
		"by a second":    {time.Minute, time.Second},
		"by the context": {time.Second / 4, time.Second / 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, peer := memPair(t, 64<<10)
				ctx, cancel := context.WithTimeout(t.Context(), tt.stop)
				defer cancel()
				io.WriteString(peer, "rubbish") // and the peer stays
				start := time.Now()
				_, err := conn.New(ctx, tls.Server(x, &tls.Config{}), nil)
				if took := time.Since(start); took != tt.want {
					t.Errorf("New took %v, expected %v", took, tt.want)
				}
				if !errors.Is(err, conn.ErrNotTLS) {
					t.Errorf("New returned %v", err)
				}
			})
		})
	}
}

func TestAPeerThatEndsInTheMiddleOfTheHandshakeRefusesIt(t *testing.T) {
	for name, input := range map[string]string{
		"before it":        "",
		"inside a header":  "\x16\x03\x01",
		"inside a record":  "\x16\x03\x01\x00\x64\x01",
		"behind the first": string(clientHello(t)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, peer := memPair(t, 64<<10)
				io.WriteString(peer, input)
				peer.CloseWrite()
				go func() { io.Copy(io.Discard, peer); peer.Close() }() // ends with the connection
				start := time.Now()
				_, err := conn.New(t.Context(), tls.Server(x, &tls.Config{Certificates: []tls.Certificate{testcert.New("").Server()}}), nil)
				want := "tinyproto: TLS handshake with memory: hello refused: the peer ended the connection in the middle of the handshake"
				if fmt.Sprint(err) != want || !errors.Is(err, conn.ErrRefused) {
					t.Errorf("New returned %q, expected %q", err, want)
				}
				if took := time.Since(start); took > 0 {
					t.Errorf("New took %v", took)
				}
			})
		})
	}
}

// clientHello is all that a client writes before the server has answered.
func clientHello(t testing.TB) []byte {
	x, y := memPair(t, 64<<10)
	go tls.Client(x, &tls.Config{InsecureSkipVerify: true}).Handshake() // ends when x is closed
	defer x.Close()
	hello := make([]byte, 64<<10)
	n, err := y.Read(hello)
	if err != nil {
		t.Fatal(err)
	}
	return hello[:n]
}

// A client of TLS waits for 5 bytes, and a plain server has written one: it has
// to arrive, and the end of the stream behind it.
func TestAPlainServerTellsAClientOfTLSWhatItIs(t *testing.T) {
	x, peer := tcpPair(t)
	failed := make(chan error, 1)
	go func() { // ends with the peer's end
		_, err := conn.New(t.Context(), x, nil)
		failed <- err
	}()
	peer.Write(clientHello(t))
	if got, err := io.ReadAll(peer); string(got) != "\xff" || err != nil {
		t.Errorf("the peer read % x, %v, expected a hello and the end of the stream", got, err)
	}
	peer.Close()
	err := <-failed
	hello, ok := errors.AsType[*wire.HelloError](err)
	if !ok || hello.Seen != 0x16 || !says("looks like a TLS handshake")(err) {
		t.Errorf("New returned %v", err)
	}
}
