package tinyproto_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/internal/testcert"
)

// failures keeps what a server logs, and tells of the peers it has turned away.
type failures struct {
	records
	errs chan error
}

func newFailures() *failures { return &failures{errs: make(chan error, 100)} }

func (f *failures) logger() *slog.Logger { return slog.New(f) }

func (f *failures) Handle(ctx context.Context, logged slog.Record) error {
	err := f.records.Handle(ctx, logged)
	if logged.Message == logNoHello || logged.Message == logRefused {
		logged.Attrs(func(a slog.Attr) bool {
			if err, ok := a.Value.Any().(error); ok {
				f.errs <- err
			}
			return true
		})
	}
	return err
}

const logNoHello = "tinyproto: no hello"

// noHello waits for the server's word of a connection that did not come about.
func (f *failures) noHello(t testing.TB) error {
	t.Helper()
	err := receive(t, "the server to log a failure", f.errs)
	for _, rec := range f.saying(logNoHello) {
		if rec.level != slog.LevelDebug || rec.attrs["remote"] == nil {
			t.Errorf("what the peer caused is logged at %v, of %v", rec.level, rec.attrs["remote"])
		}
	}
	return err
}

func TestCertificatesThatDoNotVerifyAreErrorsAtBothEnds(t *testing.T) {
	stranger := testcert.New("stranger")
	demanding := func(version uint16) *tls.Config {
		c := serverTLS()
		c.ClientAuth, c.ClientCAs, c.MaxVersion = tls.RequireAndVerifyClientCert, authority.Pool(), version
		return c
	}
	serving := func(cert tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{cert}} }
	const handshakeFailure, badCertificate, certificateRequired = tls.AlertError(40), tls.AlertError(42), tls.AlertError(116)
	for _, tt := range []struct {
		name               string
		server             *tls.Config
		client             *tinyproto.DialOptions
		atClient, atServer func(error) bool
	}{
		{
			"a server of another authority", serving(stranger.Server("127.0.0.1")), trusting(),
			func(err error) bool {
				return errors.As(err, new(*tls.CertificateVerificationError)) && errors.As(err, new(x509.UnknownAuthorityError))
			},
			is(badCertificate),
		},
		{
			"the system does not know the authority", serverTLS(), nil,
			func(err error) bool {
				return errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(x509.SystemRootsError))
			},
			is(badCertificate),
		},
		{
			"a server whose certificate expired", serving(authority.ExpiredServer("127.0.0.1")), trusting(),
			func(err error) bool { return errors.As(err, new(x509.CertificateInvalidError)) }, is(badCertificate),
		},
		{
			"a server of another name", serving(authority.Server("localhost")), trusting(),
			func(err error) bool { return errors.As(err, new(x509.HostnameError)) }, is(badCertificate),
		},
		{
			"TLS 1.2: no client certificate", demanding(tls.VersionTLS12), trusting(), is(handshakeFailure),
			func(err error) bool { return strings.Contains(err.Error(), "client didn't provide a certificate") },
		},
		{
			"TLS 1.3: no client certificate", demanding(tls.VersionTLS13), trusting(), is(certificateRequired),
			func(err error) bool { return strings.Contains(err.Error(), "client didn't provide a certificate") },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leaktest.Check(t)
			logged := newFailures()
			at, _ := serveAt(t, &tinyproto.Server{Handler: echo, TLS: tt.server, Logger: logged.logger()}, "tls://127.0.0.1:0")
			err := dialFails(t, "tls://"+at, tt.client)
			if !tt.atClient(err) || !strings.HasPrefix(err.Error(), "tinyproto: TLS handshake with "+at+": ") {
				t.Errorf("Dial returned %v", err)
			}
			if err := logged.noHello(t); !tt.atServer(err) || !strings.HasPrefix(err.Error(), "tinyproto: TLS handshake with 127.0.0.1:") {
				t.Errorf("the server's error is %v", err)
			}
		})
	}
}

// is returns a check that an error is the peer's alert.
func is(want tls.AlertError) func(error) bool {
	return func(err error) bool {
		var alert tls.AlertError
		return errors.As(err, &alert) && alert == want
	}
}

func TestAHandlerKnowsItsClientByTheNameInItsCertificate(t *testing.T) {
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			config := serverTLS()
			config.ClientAuth, config.ClientCAs, config.MaxVersion = tls.RequireAndVerifyClientCert, authority.Pool(), version
			at, _ := serveAt(t, &tinyproto.Server{TLS: config, Handler: func(ctx context.Context, c *tinyproto.Conn) error {
				return c.Send(ctx, []byte("hello, "+c.TLS().VerifiedChains[0][0].Subject.CommonName))
			}}, "127.0.0.1:0")
			for _, client := range []string{"Ada", "Grace"} {
				opts := trusting()
				opts.TLS.Certificates = []tls.Certificate{authority.Client(client)}
				got, err := rest(t, dialWith(t, at, opts))
				if len(got) != 1 || got[0] != "hello, "+client || err != nil {
					t.Errorf("%s received %q, %v", client, got, err)
				}
			}
		})
	}
}

func TestTheProtocolIsNegotiatedWhereBothEndsDo(t *testing.T) {
	for _, tt := range []struct {
		name           string
		server, client []string
		want           string
		refused        bool
	}{
		{"by default", nil, nil, "tinyproto", false},
		{"names of their own", []string{"b", "a"}, []string{"a"}, "a", false},
		{"another client", nil, []string{"other"}, "", true},
		{"another server", []string{"other"}, nil, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := serverTLS()
			config.NextProtos = tt.server
			at, _ := serveAt(t, &tinyproto.Server{Handler: echo, TLS: config}, "127.0.0.1:0")
			opts := trusting()
			opts.TLS.NextProtos = tt.client
			if tt.refused {
				if err := dialFails(t, at, opts); !is(120)(err) { // no_application_protocol
					t.Errorf("Dial returned %v", err)
				}
				return
			}
			c := dialWith(t, at, opts)
			ask(t, c, "hello")
			if got := c.TLS().NegotiatedProtocol; got != tt.want {
				t.Errorf("negotiated %q, expected %q", got, tt.want)
			}
		})
	}
}

func TestAServerWithoutProtocolNegotiationIsAccepted(t *testing.T) {
	l := tls.NewListener(listen(t, "127.0.0.1:0"), serverTLS()) // as what ends TLS in front of a Python server
	ended := make(chan error, 1)
	go func() { // ends with the connection
		nc, err := l.Accept()
		if err == nil {
			defer nc.Close()
			nc.Write([]byte{0xff})
			_, err = io.Copy(io.Discard, nc)
		}
		ended <- err
	}()
	c := dialWith(t, l.Addr().String(), trusting())
	if got := c.TLS().NegotiatedProtocol; got != "" {
		t.Errorf("negotiated %q", got)
	}
	if err := c.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown returned %v", err)
	}
	if err := receive(t, "the end of the server", ended); err != nil {
		t.Error(err)
	}
}

func TestAClientWithoutProtocolNegotiationIsAccepted(t *testing.T) {
	at, _ := serveAt(t, &tinyproto.Server{Handler: echo, TLS: serverTLS()}, "127.0.0.1:0")
	nc, err := tls.Dial("tcp", at, trusting().TLS)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	rawHello(t, nc)
	if got := nc.ConnectionState().NegotiatedProtocol; got != "" {
		t.Errorf("negotiated %q", got)
	}
}
