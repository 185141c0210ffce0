package main

import (
	"path/filepath"
	"testing"

	"github.com/tinyproto-go/tinyproto/internal/testcert"
)

// certFiles are the names of files for -ca, -cert and -key.
type certFiles struct{ ca, serverCert, serverKey, clientCert, clientKey string }

func makeCerts(t *testing.T) certFiles {
	t.Helper()
	dir := t.TempDir()
	authority := testcert.New("authority")
	var f certFiles
	var err error
	if f.ca, err = authority.File(dir, "ca"); err != nil {
		t.Fatal(err)
	}
	if f.serverCert, f.serverKey, err = testcert.Files(dir, "server", authority.Server("127.0.0.1")); err != nil {
		t.Fatal(err)
	}
	if f.clientCert, f.clientKey, err = testcert.Files(dir, "client", authority.Client("ada")); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFilesAreCopiedOverTLSWithAndWithoutClientCertificates(t *testing.T) {
	certs := makeCerts(t)
	for _, withClient := range []bool{false, true} {
		serverFlags := []string{"-tls", "-cert", certs.serverCert, "-key", certs.serverKey}
		flags := []string{"-tls", "-ca", certs.ca}
		if withClient {
			serverFlags = append(serverFlags, "-ca", certs.ca)
			flags = append(flags, "-cert", certs.clientCert, "-key", certs.clientKey)
		}
		server := startServer(t, serverFlags...)
		dir := t.TempDir()
		data := contents(300_000)
		source, back := write(t, filepath.Join(dir, "x"), data), filepath.Join(dir, "back")
		for _, more := range []string{"-p=false", "-c", "-check", "-resume"} {
			succeed(t, append(flags, more, source, server.remote("x"))...)
			expectFile(t, server.path("x"), data)
			succeed(t, append(flags, more, server.remote("x"), back)...)
			expectFile(t, back, data)
		}
	}
}

func TestWithoutTrustNothingIsCopiedOverTLS(t *testing.T) {
	certs, other := makeCerts(t), makeCerts(t)
	open := startServer(t, "-tls", "-cert", certs.serverCert, "-key", certs.serverKey)
	closed := startServer(t, "-tls", "-cert", certs.serverCert, "-key", certs.serverKey, "-ca", certs.ca)
	plain := startServer(t)
	source := write(t, filepath.Join(t.TempDir(), "x"), nil)
	for _, tt := range []struct {
		name   string
		server *testServer
		flags  []string
		reason string
	}{
		{"a server of an authority that the system does not know", open, []string{"-tls"}, "unknown authority"},
		{"a server of another authority", open, []string{"-tls", "-ca", other.ca}, "unknown authority"},
		{"no client certificate", closed, []string{"-tls", "-ca", certs.ca}, "certificate required"},
		{"a client certificate of another authority", closed, []string{"-tls", "-ca", certs.ca, "-cert", other.clientCert, "-key", other.clientKey}, "unknown certificate authority"},
		{"a plain client", open, nil, "TLS"},
		{"a plain server", plain, []string{"-tls", "-ca", certs.ca}, "TLS"},
		{"no such file of an authority", open, []string{"-tls", "-ca", source + "-missing"}, "-ca: open"},
		{"an empty file of an authority", open, []string{"-tls", "-ca", source}, "expected certificates in PEM, saw none"},
		{"an empty certificate", open, []string{"-tls", "-cert", source, "-key", source}, "-cert " + source},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fail(t, tt.reason, append(tt.flags, source, tt.server.remote("x"))...)
			expectNames(t, tt.server.root)
		})
	}
	fail(t, "-cert "+source, "-l", "127.0.0.1:0", "-tls", "-cert", source, "-key", source)
}
