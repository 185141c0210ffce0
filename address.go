package tinyproto

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// Listen announces on an address: "host:port" with an IPv4 or IPv6 address, a
// name, or no host, which means all interfaces; "tcp://host:port"; or
// "unix:///path". Port 0 picks a free one: the listener's Addr tells which.
// A name that stands for several addresses is announced on one of them. The
// socket that a killed program left behind at a path is replaced. It blocks
// while a name is resolved, or until ctx ends.
//
// What it returns knows no certificate, so "tls://host:port" is an error: that
// is for [Server.Listen] and [Server.ListenAndServe].
func Listen(ctx context.Context, address string) (net.Listener, error) {
	a, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	if a.tls(false) {
		return nil, fmt.Errorf("tinyproto: address %q: Listen knows no certificate for tls://, "+
			"use Listen or ListenAndServe of a Server with TLS", address)
	}
	return a.listen(ctx)
}

// Listen announces on an address of the form that the function [Listen] takes,
// or on "tls://host:port", as ListenAndServe does, and returns the listener, for
// Serve. It is an error if the address needs TLS and the field TLS is not fit for
// it. It blocks while a name is resolved, and may be called concurrently.
//
// A listener with TLS knows a client that speaks without by its first byte, and
// tells it so with an alert; one of package tls ([tls.NewListener]) would wait
// for more until the hello timeout.
func (s *Server) Listen(ctx context.Context, address string) (net.Listener, error) {
	a, err := s.parseAddress(address)
	if err != nil {
		return nil, err
	}
	return s.listen(ctx, a)
}

// ListenAndServe announces on the addresses, of the form that [Server.Listen]
// takes, and serves them as Serve does. It returns at once if one of them can't
// be announced on. It announces on none if one is not understood, or needs TLS
// and the field TLS is not fit for it.
func (s *Server) ListenAndServe(ctx context.Context, addresses ...string) error {
	var parsed []address
	for _, address := range addresses {
		a, err := s.parseAddress(address)
		if err != nil {
			return err
		}
		parsed = append(parsed, a)
	}
	var listeners []net.Listener
	for _, a := range parsed {
		l, err := s.listen(ctx, a)
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
			return err
		}
		listeners = append(listeners, l)
	}
	return s.Serve(ctx, listeners...)
}

// listen announces on the address, without TLS.
func (a address) listen(ctx context.Context) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1} // conn.New sees to that
	l, err := lc.Listen(ctx, a.network(), a.rest)
	if err != nil && a.network() == "unix" && isAbandoned(a.rest) && os.Remove(a.rest) == nil {
		l, err = lc.Listen(ctx, a.network(), a.rest)
	}
	if err != nil {
		return nil, fmt.Errorf("tinyproto: %w", err)
	}
	return l, nil
}

// isAbandoned reports whether there is a Unix socket at path that nobody listens on.
func isAbandoned(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != os.ModeSocket {
		return false
	}
	nc, err := net.Dial("unix", path)
	if err == nil {
		nc.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// address is an address that was understood.
type address struct {
	scheme string // "tcp", "tls", "unix", or "" where there was none
	rest   string // host:port, or a path
	host   string // of host:port
}

func parseAddress(s string) (address, error) {
	scheme, rest, found := strings.Cut(s, "://")
	if !found {
		scheme, rest = "", s
	}
	a := address{scheme: scheme, rest: rest}
	switch {
	case !found, scheme == "tcp", scheme == "tls":
		var err error
		if a.host, _, err = net.SplitHostPort(rest); err != nil {
			return a, fmt.Errorf("tinyproto: address %q: expected host:port: %w", s, err)
		}
	case scheme == "unix":
		if rest == "" || strings.HasSuffix(rest, "/") {
			return a, fmt.Errorf("tinyproto: address %q: expected unix:///path of a socket", s)
		}
	default:
		return a, fmt.Errorf("tinyproto: address %q: unknown scheme %q, expected tcp://, tls:// or unix://", s, scheme)
	}
	return a, nil
}

// network is what package net calls it.
func (a address) network() string {
	if a.scheme == "unix" {
		return "unix"
	}
	return "tcp"
}

// tls reports whether the address means TLS, where configured says whether an
// address without a scheme does.
func (a address) tls(configured bool) bool {
	return a.scheme == "tls" || a.scheme == "" && configured
}
