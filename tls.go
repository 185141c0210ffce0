package tinyproto

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"

	"github.com/tinyproto-go/tinyproto/conn"
)

// ALPN is the name of the protocol in TLS (application-layer protocol
// negotiation).
const ALPN = "tinyproto"

// parseAddress is the function of that name, for a server with this TLS.
func (s *Server) parseAddress(address string) (address, error) {
	a, err := parseAddress(address)
	if err != nil || !a.tls(s.TLS != nil) {
		return a, err
	}
	switch c := s.TLS; {
	case c == nil:
		return a, fmt.Errorf("tinyproto: address %q: tls:// needs Server.TLS, which is nil", address)
	case len(c.Certificates) == 0 && c.GetCertificate == nil && c.GetConfigForClient == nil:
		return a, fmt.Errorf("tinyproto: address %q: Server.TLS has no certificate: "+
			"expected Certificates, GetCertificate or GetConfigForClient", address)
	}
	return a, nil
}

func (s *Server) listen(ctx context.Context, a address) (net.Listener, error) {
	l, err := a.listen(ctx)
	if err != nil || !a.tls(s.TLS != nil) {
		return l, err
	}
	return &tlsListener{Listener: l, config: withALPN(s.TLS)}, nil
}

// tlsListener is like that of package tls, but its connections know a peer that
// does not speak TLS by the first byte.
type tlsListener struct {
	net.Listener
	config *tls.Config
}

// Accept does not do the handshake, so it waits for no client that has connected.
func (l *tlsListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(&sniffer{Conn: nc}, l.config), nil
}

// withALPN returns a copy of config that has the name of the protocol.
func withALPN(config *tls.Config) *tls.Config {
	c := config.Clone()
	if len(c.NextProtos) == 0 {
		c.NextProtos = []string{ALPN}
	}
	return c
}

// clientConfig returns a copy of config, or of the defaults if that is nil, for
// the server at host.
func clientConfig(config *tls.Config, host string) *tls.Config {
	if config == nil {
		config = new(tls.Config)
	}
	c := withALPN(config)
	if c.ServerName != "" {
		return c
	}
	c.ServerName = host
	if host == "" { // package net takes it for this machine
		c.ServerName = "localhost"
	} else if ip, err := netip.ParseAddr(host); err == nil {
		c.ServerName = ip.WithZone("").String() // no certificate has a zone
	}
	return c
}

// sniffer is the transport below TLS. A peer that speaks without TLS writes one
// byte and waits, and package tls waits for the 5 bytes of a record's head; so
// the first byte is looked at as it comes.
type sniffer struct {
	net.Conn
	server bool // the peer is the server

	// Owned by the reader, of whom TLS has one.
	sniffed bool
	err     error
}

// The types of the records that TLS can begin with.
const (
	recordAlert     = 0x15
	recordHandshake = 0x16
)

// Read fails with a [conn.NotTLSError] if the first byte can't begin TLS.
func (s *sniffer) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.Conn.Read(p)
	if s.sniffed || n == 0 {
		return n, err
	}
	s.sniffed = true
	if p[0] != recordHandshake && p[0] != recordAlert {
		s.err = &conn.NotTLSError{Seen: p[0], Server: s.server}
		return 0, s.err
	}
	return n, err
}

// NetConn returns what the sniffer stands on.
func (s *sniffer) NetConn() net.Conn { return s.Conn }
