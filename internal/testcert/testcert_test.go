package testcert_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/internal/testcert"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var (
	server = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	client = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
)

func TestCertificatesAreWhatTheirMakerSays(t *testing.T) {
	a, other := testcert.New("authority"), testcert.New("authority")
	invalid := func(reason x509.InvalidReason) func(error) bool {
		return func(err error) bool {
			e, ok := errors.AsType[x509.CertificateInvalidError](err)
			return ok && e.Reason == reason
		}
	}
	valid := func(err error) bool { return err == nil }
	unknown := func(err error) bool { _, ok := errors.AsType[x509.UnknownAuthorityError](err); return ok }
	wrongName := func(err error) bool { _, ok := errors.AsType[x509.HostnameError](err); return ok }
	for _, tt := range []struct {
		name  string
		cert  tls.Certificate
		roots *x509.CertPool
		host  string
		usage []x509.ExtKeyUsage
		want  func(error) bool
	}{
		{"a server, by name", a.Server("localhost", "127.0.0.1", "::1"), a.Pool(), "localhost", server, valid},
		{"a server, by address", a.Server("localhost", "127.0.0.1", "::1"), a.Pool(), "127.0.0.1", server, valid},
		{"a server, by IPv6 address", a.Server("localhost", "127.0.0.1", "::1"), a.Pool(), "::1", server, valid},
		{"a server of another name", a.Server("localhost"), a.Pool(), "example.com", server, wrongName},
		{"a server without names", a.Server(), a.Pool(), "localhost", server, wrongName},
		{"a server of another authority", a.Server("localhost"), other.Pool(), "localhost", server, unknown},
		{"a server that expired", a.ExpiredServer("localhost"), a.Pool(), "localhost", server, invalid(x509.Expired)},
		{"a server as a client", a.Server("localhost"), a.Pool(), "", client, invalid(x509.IncompatibleUsage)},
		{"a client", a.Client("ada"), a.Pool(), "", client, valid},
		{"a client of another authority", a.Client("ada"), other.Pool(), "", client, unknown},
		{"a client that expired", a.ExpiredClient("ada"), a.Pool(), "", client, invalid(x509.Expired)},
		{"a client as a server", a.Client("ada"), a.Pool(), "", server, invalid(x509.IncompatibleUsage)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			verify := func(t *testing.T) {
				_, err := tt.cert.Leaf.Verify(x509.VerifyOptions{Roots: tt.roots, DNSName: tt.host, KeyUsages: tt.usage})
				if !tt.want(err) {
					t.Errorf("Verify returned %v", err)
				}
			}
			verify(t)
			synctest.Test(t, verify) // by another clock
		})
	}
	if got := a.Client("ada").Leaf.Subject.CommonName; got != "ada" {
		t.Errorf("the client's name is %q", got)
	}
}

func TestFilesHoldTheCertificateAndItsKey(t *testing.T) {
	dir := t.TempDir()
	a := testcert.New("authority")
	cert := a.Server("localhost")
	certFile, keyFile, err := testcert.Files(dir, "server", cert)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(cert.Certificate, got.Certificate); diff != "" {
		t.Errorf("certificate (-want +got):\n%s", diff)
	}
	file, err := a.File(dir, "authority")
	if err != nil {
		t.Fatal(err)
	}
	contents, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(contents) || !pool.Equal(a.Pool()) {
		t.Error("the authority's file does not hold it")
	}
	if _, _, err := testcert.Files(dir, "server", cert); !errors.Is(err, os.ErrExist) {
		t.Errorf("Files over existing ones returned %v", err)
	}
}
