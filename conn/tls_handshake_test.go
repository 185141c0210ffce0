package conn_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/internal/testcert"
)

// has returns a check that errors.As finds a T in an error.
func has[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// hasAlert returns a check that the error is the peer's alert of this number.
func hasAlert(number tls.AlertError) func(error) bool {
	return func(err error) bool {
		alert, ok := errors.AsType[tls.AlertError](err)
		return ok && alert == number && strings.Contains(err.Error(), "remote error: tls: ")
	}
}

func says(part string) func(error) bool {
	return func(err error) bool { return strings.Contains(err.Error(), part) }
}

func TestAFailedHandshakeIsNamedAtBothEnds(t *testing.T) {
	ours, theirs := testcert.New("ours"), testcert.New("theirs")
	with := func(cert tls.Certificate, change func(*tls.Config)) *tls.Config {
		c := &tls.Config{Certificates: []tls.Certificate{cert}}
		if change != nil {
			change(c)
		}
		return c
	}
	demanding := func(version uint16) *tls.Config {
		return with(ours.Server("server"), func(c *tls.Config) {
			c.ClientAuth, c.ClientCAs, c.MaxVersion = tls.RequireAndVerifyClientCert, ours.Pool(), version
		})
	}
	client := func() *tls.Config { return &tls.Config{RootCAs: ours.Pool(), ServerName: "server"} }
	insisting := func(cert tls.Certificate) *tls.Config { // whatever the server says that it takes
		c := client()
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
		return c
	}
	const handshakeFailure, badCertificate, expired, unknownCA, oldVersion, certificateRequired, noProtocol = 40, 42, 45, 48, 70, 116, 120
	for _, tt := range []struct {
		name           string
		server, client *tls.Config
		atServer       func(error) bool
		atClient       func(error) bool
	}{
		{
			"a server of another authority", with(theirs.Server("server"), nil), client(),
			hasAlert(badCertificate), func(err error) bool {
				return has[*tls.CertificateVerificationError](err) && has[x509.UnknownAuthorityError](err)
			},
		},
		{
			"a server whose certificate expired", with(ours.ExpiredServer("server"), nil), client(),
			hasAlert(badCertificate), has[x509.CertificateInvalidError],
		},
		{
			"a server of another name", with(ours.Server("other"), nil), client(),
			hasAlert(badCertificate), has[x509.HostnameError],
		},
		{
			"TLS 1.2: no client certificate", demanding(tls.VersionTLS12), client(),
			says("client didn't provide a certificate"), hasAlert(handshakeFailure),
		},
		{
			"TLS 1.3: no client certificate", demanding(tls.VersionTLS13), client(),
			says("client didn't provide a certificate"), hasAlert(certificateRequired),
		},
		{
			"TLS 1.2: a client of another authority", demanding(tls.VersionTLS12), insisting(theirs.Client("eve")),
			has[*tls.CertificateVerificationError], hasAlert(unknownCA),
		},
		{
			"TLS 1.3: a client whose certificate expired", demanding(tls.VersionTLS13), insisting(ours.ExpiredClient("ada")),
			has[x509.CertificateInvalidError], hasAlert(expired),
		},
		{
			"no version in common",
			with(ours.Server("server"), func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }),
			&tls.Config{RootCAs: ours.Pool(), ServerName: "server", MinVersion: tls.VersionTLS13},
			says("unsupported versions"), hasAlert(oldVersion),
		},
		{
			"no protocol in common",
			with(ours.Server("server"), func(c *tls.Config) { c.NextProtos = []string{"tinyproto"} }),
			&tls.Config{RootCAs: ours.Pool(), ServerName: "server", NextProtos: []string{"other"}},
			says("unsupported application protocols"), hasAlert(noProtocol),
		},
	} {
		fails := func(t *testing.T, x, y net.Conn) {
			addresses := []string{x.RemoteAddr().String(), y.RemoteAddr().String()}
			atServer := make(chan error, 1)
			go func() { // ends with the handshake
				_, err := conn.New(t.Context(), tls.Server(y, tt.server), nil)
				atServer <- err
			}()
			_, errClient := conn.New(t.Context(), tls.Client(x, tt.client), nil)
			errServer := <-atServer
			for i, end := range []struct {
				name  string
				err   error
				check func(error) bool
			}{{"client", errClient, tt.atClient}, {"server", errServer, tt.atServer}} {
				if end.err == nil || !end.check(end.err) {
					t.Errorf("New returned to the %s: %v", end.name, end.err)
					continue
				}
				want := "tinyproto: TLS handshake with " + addresses[i] + ": "
				if text := end.err.Error(); !strings.HasPrefix(text, want) || strings.Count(text, "tinyproto: ") != 1 {
					t.Errorf("the %s's error %q does not begin with %q", end.name, text, want)
				}
				if is := traits(end.err); is != nil || errors.Is(end.err, conn.ErrNotTLS) || errors.Is(end.err, conn.ErrNotTinyproto) {
					t.Errorf("the %s's error %v matches sentinels that it is not: %v", end.name, end.err, is)
				}
			}
		}
		t.Run(tt.name+", over TCP", func(t *testing.T) {
			leaktest.Check(t)
			x, y := tcpPair(t)
			fails(t, x, y)
		})
		t.Run(tt.name+", at once", func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				x, y := memPair(t, 64<<10)
				start := time.Now()
				fails(t, x, y)
				if took := time.Since(start); took > 0 {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// handshaking makes the config of a server that tells when it has begun a
// handshake, by the context of that, and holds it up until release.
func handshaking(server tls.Certificate) (config *tls.Config, begun chan context.Context, release chan struct{}) {
	begun, release = make(chan context.Context, 1), make(chan struct{})
	return &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		begun <- hello.Context()
		select {
		case <-release:
		case <-hello.Context().Done():
			return nil, hello.Context().Err()
		}
		return &server, nil
	}}, begun, release
}

func TestTheHelloTimeoutCoversTheHandshakeAndTheHello(t *testing.T) {
	authority := testcert.New("authority")
	const timeout = 10 * time.Second
	for _, tt := range []struct {
		name   string
		client bool // the silent peer is a server
		peer   func(nc net.Conn, release chan struct{})
		want   string
	}{
		{"a client that is silent", false, func(net.Conn, chan struct{}) {}, "TLS handshake with memory: not complete within 10s: i/o timeout"},
		{"a server that is silent", true, func(net.Conn, chan struct{}) {}, "TLS handshake with memory: not complete within 10s: i/o timeout"},
		{
			"a client that is silent in the middle of it", false,
			func(nc net.Conn, _ chan struct{}) { nc.Write([]byte{0x16, 3, 1, 0, 100, 1}) },
			"TLS handshake with memory: not complete within 10s: i/o timeout",
		},
		{
			"a server that takes its time in a callback", false,
			func(nc net.Conn, _ chan struct{}) {
				tls.Client(nc, &tls.Config{InsecureSkipVerify: true}).Handshake()
			},
			"TLS handshake with memory: not complete within 10s: i/o timeout",
		},
		{
			"a client that shakes hands late, and does not greet", false,
			func(nc net.Conn, release chan struct{}) {
				time.AfterFunc(timeout-time.Second, func() { close(release) })
				tls.Client(nc, &tls.Config{InsecureSkipVerify: true}).Handshake()
			},
			"hello with memory: the peer did not greet within 10s: i/o timeout",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, y := memPair(t, 64<<10)
				config, _, release := handshaking(authority.Server("server"))
				nc := tls.Server(x, config)
				if tt.client {
					nc = tls.Client(x, &tls.Config{ServerName: "server", RootCAs: authority.Pool()})
				}
				go tt.peer(y, release) // ends with the connection
				start := time.Now()
				_, err := conn.New(t.Context(), nc, &conn.Options{HelloTimeout: timeout})
				if took := time.Since(start); took != timeout {
					t.Errorf("New took %v, expected %v", took, timeout)
				}
				if diff := cmp.Diff("tinyproto: "+tt.want, fmt.Sprint(err)); diff != "" {
					t.Errorf("error (-want +got):\n%s", diff)
				}
				if !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, conn.ErrRefused) {
					t.Errorf("New returned %v, expected a timeout", err)
				}
				if _, err := x.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
					t.Errorf("the transport is not closed: %v", err)
				}
			})
		})
	}
}

func TestTheEndOfTheContextEndsAHandshake(t *testing.T) {
	cause := errors.New("stopped by the test")
	for _, name := range []string{"server", "client"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, _ := memPair(t, 1<<10)
				nc := tls.Client(x, &tls.Config{ServerName: "server"})
				if name == "server" {
					nc = tls.Server(x, &tls.Config{Certificates: []tls.Certificate{testcert.New("").Server()}})
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(cause) })
				start := time.Now()
				_, err := conn.New(ctx, nc, nil)
				if took := time.Since(start); took != time.Second {
					t.Errorf("New took %v, expected 1s", took)
				}
				want := "tinyproto: TLS handshake with memory: stopped by the test"
				if fmt.Sprint(err) != want || !errors.Is(err, cause) || errors.Is(err, conn.ErrRefused) {
					t.Errorf("New returned %q, expected %q", err, want)
				}
			})
		})
	}
}
