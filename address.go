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
// socket that a killed program left behind at a path is replaced.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	network, addr, err := splitAddress(address)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, network, addr)
	if err != nil && network == "unix" && isAbandoned(addr) && os.Remove(addr) == nil {
		l, err = lc.Listen(ctx, network, addr)
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

// splitAddress returns what package net calls the network and the address.
func splitAddress(address string) (network, addr string, err error) {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		scheme, rest = "tcp", address
	}
	switch scheme {
	case "tcp":
		if _, _, err := net.SplitHostPort(rest); err != nil {
			return "", "", fmt.Errorf("tinyproto: address %q: expected host:port: %w", address, err)
		}
		return "tcp", rest, nil
	case "unix":
		if rest == "" || strings.HasSuffix(rest, "/") {
			return "", "", fmt.Errorf("tinyproto: address %q: expected unix:///path of a socket", address)
		}
		return "unix", rest, nil
	}
	return "", "", fmt.Errorf("tinyproto: address %q: unknown scheme %q, expected tcp:// or unix://", address, scheme)
}
