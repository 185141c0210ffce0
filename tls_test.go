package tinyproto_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/internal/testcert"
)

var authority = testcert.New("authority of the tests")

// serverTLS returns the config of a server on this machine.
func serverTLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{authority.Server("localhost", "127.0.0.1", "::1")}}
}

// trusting returns the options of a client of serverTLS.
func trusting() *tinyproto.DialOptions {
	return &tinyproto.DialOptions{TLS: &tls.Config{RootCAs: authority.Pool()}}
}

// serveAt announces with Server.Listen and serves until the test ends. It
// returns host:port, or the path of a socket.
func serveAt(t testing.TB, s *tinyproto.Server, address string) (at string, run *serving) {
	t.Helper()
	l, err := s.Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return l.Addr().String(), serve(t, s, l)
}

// dialWith connects, and closes the connection when the test ends.
func dialWith(t testing.TB, address string, opts *tinyproto.DialOptions) *tinyproto.Conn {
	t.Helper()
	c, err := tinyproto.Dial(context.Background(), address, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// dialFails expects that there is no connection, and returns why.
func dialFails(t testing.TB, address string, opts *tinyproto.DialOptions) error {
	t.Helper()
	c, err := tinyproto.Dial(t.Context(), address, opts)
	if err == nil {
		c.Close()
		t.Fatalf("Dial of %s succeeded", address)
	}
	return err
}

func TestTheAddressSaysWhetherThereIsTLS(t *testing.T) {
	unix, _ := socket(t)
	for _, tt := range []struct {
		listen    string // with serverTLS
		serverTLS bool
		dial      string
		dialTLS   bool
		want      bool
	}{
		{"tls://127.0.0.1:0", true, "tls://", true, true},
		{"tls://127.0.0.1:0", true, "", true, true},
		{"127.0.0.1:0", true, "tls://", true, true},
		{"127.0.0.1:0", true, "", true, true},
		{"127.0.0.1:0", false, "", false, false},
		{"127.0.0.1:0", false, "tcp://", true, false},
		{"tcp://127.0.0.1:0", true, "tcp://", true, false},
		{"tcp://127.0.0.1:0", true, "", false, false},
		{unix, true, "unix://", true, false},
	} {
		t.Run(fmt.Sprintf("%s (TLS %v) and %s (TLS %v)", tt.listen, tt.serverTLS, tt.dial, tt.dialTLS), func(t *testing.T) {
			leaktest.Check(t)
			s := &tinyproto.Server{Handler: func(ctx context.Context, c *tinyproto.Conn) error {
				return c.Send(ctx, fmt.Append(nil, c.TLS() != nil))
			}}
			if tt.serverTLS {
				s.TLS = serverTLS()
			}
			opts := trusting()
			if !tt.dialTLS {
				opts.TLS = nil
			}
			at, _ := serveAt(t, s, tt.listen)
			c := dialWith(t, tt.dial+at, opts)
			if got := c.TLS() != nil; got != tt.want {
				t.Errorf("TLS at the client: %v, expected %v", got, tt.want)
			}
			if got, err := rest(t, c); cmp.Diff([]string{fmt.Sprint(tt.want)}, got) != "" || err != nil {
				t.Errorf("TLS at the server: %v, %v, expected %v", got, err, tt.want)
			}
		})
	}
}

func TestTLSThatCanNotDoIsAnErrorBeforeAnythingIsListenedOn(t *testing.T) {
	const at = "tls://127.0.0.1:0"
	none := `tinyproto: address "tls://127.0.0.1:0": tls:// needs Server.TLS, which is nil`
	empty := ` Server.TLS has no certificate: expected Certificates, GetCertificate or GetConfigForClient`
	for _, tt := range []struct {
		name, address string
		tls           *tls.Config
		want          string
	}{
		{"no config", at, nil, none},
		{"no certificate", at, &tls.Config{}, `tinyproto: address "tls://127.0.0.1:0":` + empty},
		{"no certificate, no scheme", "127.0.0.1:0", &tls.Config{}, `tinyproto: address "127.0.0.1:0":` + empty},
	} {
		t.Run(tt.name, func(t *testing.T) {
			unix, path := socket(t)
			// It is there, so that whoever listens fails with another error.
			occupied, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer occupied.Close()
			s := &tinyproto.Server{Handler: echo, TLS: tt.tls}
			_, listens := s.Listen(t.Context(), tt.address)
			for name, err := range map[string]error{
				"Listen":         listens,
				"ListenAndServe": s.ListenAndServe(t.Context(), unix, tt.address),
			} {
				if diff := cmp.Diff(tt.want, fmt.Sprint(err)); diff != "" {
					t.Errorf("%s's error (-want +got):\n%s", name, diff)
				}
			}
		})
	}
	for name, config := range map[string]*tls.Config{
		"GetCertificate":     {GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }},
		"GetConfigForClient": {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return serverTLS(), nil }},
	} {
		l, err := (&tinyproto.Server{TLS: config}).Listen(t.Context(), at)
		if err != nil {
			t.Fatalf("with %s alone: %v", name, err)
		}
		l.Close()
	}
}

func TestListenWithoutAServerSaysWhoKnowsTheCertificate(t *testing.T) {
	_, err := tinyproto.Listen(t.Context(), "tls://127.0.0.1:0")
	want := `tinyproto: address "tls://127.0.0.1:0": Listen knows no certificate for tls://, use Listen or ListenAndServe of a Server with TLS`
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestListenAndServeServesPlainAndTLSAtOnce(t *testing.T) {
	leaktest.Check(t)
	for range 10 { // until a port that was free still is
		free := listen(t, "127.0.0.1:0")
		free.Close()
		unix, _ := socket(t)
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { // ends with ctx
			result <- (&tinyproto.Server{Handler: echo, TLS: serverTLS()}).ListenAndServe(ctx, "tls://"+free.Addr().String(), unix)
		}()
		bound, stop := context.WithTimeout(ctx, patience)
		for _, address := range []string{"tls://" + free.Addr().String(), unix} {
			c, err := tinyproto.Dial(t.Context(), address, trusting())
			for err != nil && bound.Err() == nil && len(result) == 0 { // until ListenAndServe has come that far
				c, err = tinyproto.Dial(t.Context(), address, trusting())
			}
			if err == nil {
				ask(t, c, address)
				c.Close()
			}
		}
		stop()
		cancel()
		err := receive(t, "the return of ListenAndServe", result)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil || errors.Is(bound.Err(), context.DeadlineExceeded) {
			t.Errorf("ListenAndServe returned %v; waiting: %v", err, bound.Err())
		}
		return
	}
	t.Error("no port stays free")
}

func TestConfigsAreCopiedAndGetTheirDefaultsThere(t *testing.T) {
	s := &tinyproto.Server{Handler: echo, TLS: serverTLS()}
	opts := trusting()
	before := []*tls.Config{s.TLS.Clone(), opts.TLS.Clone()}
	at, _ := serveAt(t, s, "tls://localhost:0")
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	c := dialWith(t, "localhost:"+port, opts)
	ask(t, c, "hello")
	state := c.TLS()
	if state.NegotiatedProtocol != "tinyproto" || state.ServerName != "localhost" || state.Version != tls.VersionTLS13 {
		t.Errorf("protocol %q, server name %q, version %x", state.NegotiatedProtocol, state.ServerName, state.Version)
	}
	ignored := cmpopts.IgnoreUnexported(tls.Config{})
	same := cmp.Comparer(func(a, b *x509.CertPool) bool { return a.Equal(b) })
	leaf := cmp.Comparer(func(a, b tls.Certificate) bool { return a.Leaf == b.Leaf })
	if diff := cmp.Diff(before, []*tls.Config{s.TLS, opts.TLS}, ignored, same, leaf); diff != "" {
		t.Errorf("the configs were changed (-before +after):\n%s", diff)
	}
}

func TestTheServersNameIsTheHostThatIsDialled(t *testing.T) {
	named := func(hosts ...string) (port string) {
		at, _ := serveAt(t, &tinyproto.Server{Handler: echo,
			TLS: &tls.Config{Certificates: []tls.Certificate{authority.Server(hosts...)}}}, ":0")
		_, port, err := net.SplitHostPort(at)
		if err != nil {
			t.Fatal(err)
		}
		return port
	}
	byName, byAddress := named("localhost"), named("127.0.0.1", "::1")
	for _, tt := range []struct {
		address, serverName string
		ok                  bool
	}{
		{"localhost:" + byName, "", true},
		{":" + byName, "", true},
		{"127.0.0.1:" + byName, "", false},
		{"127.0.0.1:" + byName, "localhost", true},
		{"localhost:" + byName, "other", false},
		{"127.0.0.1:" + byAddress, "", true},
		{"localhost:" + byAddress, "", false},
		{"[::1]:" + byAddress, "", true},
		{"[::1]:" + byName, "", false},
	} {
		t.Run(tt.address+" "+tt.serverName, func(t *testing.T) {
			if strings.HasPrefix(tt.address, "[") && !hasIPv6() {
				t.Log("this machine has no IPv6: not tested")
				return
			}
			opts := trusting()
			opts.TLS.ServerName = tt.serverName
			if tt.ok {
				ask(t, dialWith(t, "tls://"+tt.address, opts), "hello")
				return
			}
			if err := dialFails(t, tt.address, opts); !errors.As(err, new(x509.HostnameError)) {
				t.Errorf("Dial returned %v, expected a HostnameError", err)
			}
		})
	}
}
