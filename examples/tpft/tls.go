package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// serverTLS returns nil without -tls.
func (o *options) serverTLS() (*tls.Config, error) {
	config, pool, err := o.loadTLS()
	if err == nil && pool != nil {
		config.ClientCAs, config.ClientAuth = pool, tls.RequireAndVerifyClientCert
	}
	return config, err
}

// clientTLS returns nil without -tls.
func (o *options) clientTLS() (*tls.Config, error) {
	config, pool, err := o.loadTLS()
	if err == nil && pool != nil {
		config.RootCAs = pool
	}
	return config, err
}

// loadTLS reads the files that the flags name.
func (o *options) loadTLS() (*tls.Config, *x509.CertPool, error) {
	if !o.tls {
		return nil, nil, nil
	}
	config := new(tls.Config)
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, nil, fmt.Errorf("-cert %s, -key %s: %w", o.cert, o.key, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if o.ca == "" {
		return config, nil, nil
	}
	text, err := os.ReadFile(o.ca)
	if err != nil {
		return nil, nil, fmt.Errorf("-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, nil, fmt.Errorf("-ca %s: expected certificates in PEM, saw none", o.ca)
	}
	return config, pool, nil
}
