// Package testcert makes certificates for tests, in memory, without a clock
// and without a network: an authority, and what it signs.
//
//	authority := testcert.New("test authority")
//	server := &tls.Config{Certificates: []tls.Certificate{authority.Server("localhost", "127.0.0.1")}}
//	client := &tls.Config{RootCAs: authority.Pool()}
package testcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// What is valid is so for longer than any clock says, that of a synctest bubble
// (2000) included; what has expired did so before.
var (
	begin   = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	expired = time.Date(1995, 1, 1, 0, 0, 0, 0, time.UTC)
	end     = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// serial is the last serial number given.
var serial atomic.Int64

// Authority is a certificate authority of its own. Its methods may be called
// concurrently. They panic where only a broken machine makes them fail.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// New returns a new authority. Two of the same name are two authorities.
func New(name string) *Authority {
	template := newTemplate(name, end)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	key := newKey()
	return &Authority{cert: sign(template, template, key, key), key: key}
}

// Pool returns a pool with the authority alone, for RootCAs and ClientCAs.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// PEM returns the authority's certificate as the contents of a file.
func (a *Authority) PEM() []byte { return encode("CERTIFICATE", a.cert.Raw) }

// Server returns a certificate for a server with these names and IP addresses.
func (a *Authority) Server(hosts ...string) tls.Certificate {
	return a.server(end, hosts)
}

// ExpiredServer is Server, with a certificate that expired in 1995.
func (a *Authority) ExpiredServer(hosts ...string) tls.Certificate {
	return a.server(expired, hosts)
}

// Client returns a certificate for a client whose common name is name.
func (a *Authority) Client(name string) tls.Certificate {
	return a.client(end, name)
}

// ExpiredClient is Client, with a certificate that expired in 1995.
func (a *Authority) ExpiredClient(name string) tls.Certificate {
	return a.client(expired, name)
}

func (a *Authority) server(end time.Time, hosts []string) tls.Certificate {
	name := ""
	if len(hosts) > 0 {
		name = hosts[0]
	}
	template := newTemplate(name, end)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return a.issue(template)
}

func (a *Authority) client(end time.Time, name string) tls.Certificate {
	template := newTemplate(name, end)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.issue(template)
}

func (a *Authority) issue(template *x509.Certificate) tls.Certificate {
	key := newKey()
	leaf := sign(template, a.cert, key, a.key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

// Files writes a certificate and its key into a directory, for programs that
// take the names of files. NAME.pem and NAME-key.pem must not exist yet.
func Files(dir, name string, cert tls.Certificate) (certFile, keyFile string, err error) {
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return "", "", fmt.Errorf("testcert: %w", err)
	}
	certFile, keyFile = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem")
	if err := write(certFile, encode("CERTIFICATE", cert.Certificate[0])); err != nil {
		return "", "", err
	}
	return certFile, keyFile, write(keyFile, encode("PRIVATE KEY", key))
}

// File writes the authority's certificate into a directory, as NAME.pem, which
// must not exist yet.
func (a *Authority) File(dir, name string) (file string, err error) {
	file = filepath.Join(dir, name+".pem")
	return file, write(file, a.PEM())
}

func write(file string, contents []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(contents); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func newTemplate(name string, end time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    begin,
		NotAfter:     end,
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func sign(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert
}
