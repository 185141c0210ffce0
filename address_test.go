package tinyproto_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto"
)

// socket returns the address of a Unix socket that does not exist yet. It is
// not in t.TempDir, which is named for the test: the path of a socket may have
// about 100 bytes.
func socket(t testing.TB) (address, path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "tinyproto")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "socket")
	return "unix://" + path, path
}

// hasIPv6 reports whether the machine has an IPv6 loopback address, by means
// other than what is tested.
func hasIPv6() bool {
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(net.IPv6loopback) {
			return true
		}
	}
	return false
}

func TestListenAndDialUnderstandTheSameAddresses(t *testing.T) {
	unix, path := socket(t)
	// dial is an address with the port of the listener for %s.
	for _, tt := range []struct{ name, listen, dial string }{
		{"IPv4 address", "127.0.0.1:0", "127.0.0.1:%s"},
		{"IPv4 address with scheme", "tcp://127.0.0.1:0", "tcp://127.0.0.1:%s"},
		{"IPv6 address", "[::1]:0", "[::1]:%s"},
		{"IPv6 address with scheme", "tcp://[::1]:0", "tcp://[::1]:%s"},
		{"name", "localhost:0", "localhost:%s"},
		{"name with scheme", "tcp://localhost:0", "tcp://localhost:%s"},
		{"no host", ":0", "127.0.0.1:%s"},
		{"no host with scheme", "tcp://:0", "tcp://127.0.0.1:%s"},
		{"no host to dial", "localhost:0", ":%s"},
		{"Unix socket", unix, unix},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := tinyproto.Listen(t.Context(), tt.listen)
			if host, _, _ := net.SplitHostPort(tt.listen); host == "::1" || tt.listen == "tcp://[::1]:0" {
				if !hasIPv6() {
					t.Log("this machine has no IPv6: only that the address is understood is tested")
					var fromNet *net.OpError
					if !errors.As(err, &fromNet) || fromNet.Op != "listen" || fromNet.Addr.String() != "[::1]:0" {
						t.Errorf("Listen without IPv6: %v, expected an error of package net about [::1]:0", err)
					}
					return
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			serve(t, &tinyproto.Server{Handler: echo}, l)
			address := tt.dial
			if l.Addr().Network() == "tcp" {
				_, port, err := net.SplitHostPort(l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				address = fmt.Sprintf(tt.dial, port)
			} else if l.Addr().String() != path {
				t.Errorf("listening on %v, expected %s", l.Addr(), path)
			}
			ask(t, dial(t, address), "hello")
		})
	}
}

func TestAddressesThatMeanNothingAreErrors(t *testing.T) {
	for _, tt := range []struct{ name, address, want string }{
		{"empty", "", `tinyproto: address "": expected host:port: missing port in address`},
		{"no port", "localhost", `tinyproto: address "localhost": expected host:port: address localhost: missing port in address`},
		{"no port behind a scheme", "tcp://localhost", `tinyproto: address "tcp://localhost": expected host:port: address localhost: missing port in address`},
		{"only a scheme", "tcp://", `tinyproto: address "tcp://": expected host:port: missing port in address`},
		{"no port behind tls://", "tls://localhost", `tinyproto: address "tls://localhost": expected host:port: address localhost: missing port in address`},
		{"IPv6 without brackets", "::1:7777", `tinyproto: address "::1:7777": expected host:port: address ::1:7777: too many colons in address`},
		{"IPv6 without a port", "[::1]", `tinyproto: address "[::1]": expected host:port: address [::1]: missing port in address`},
		{"other scheme", "http://localhost:80", `tinyproto: address "http://localhost:80": unknown scheme "http", expected tcp://, tls:// or unix://`},
		{"no scheme before ://", "://localhost:80", `tinyproto: address "://localhost:80": unknown scheme "", expected tcp://, tls:// or unix://`},
		{"Unix socket without a path", "unix://", `tinyproto: address "unix://": expected unix:///path of a socket`},
		{"Unix socket at the root", "unix:///", `tinyproto: address "unix:///": expected unix:///path of a socket`},
		{"Unix socket that is a directory", "unix:///tmp/", `tinyproto: address "unix:///tmp/": expected unix:///path of a socket`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := tinyproto.Listen(t.Context(), tt.address)
			if err == nil {
				l.Close()
			}
			if diff := cmp.Diff(tt.want, fmt.Sprint(err)); diff != "" {
				t.Errorf("Listen's error (-want +got):\n%s", diff)
			}
			c, err := tinyproto.Dial(t.Context(), tt.address, nil)
			if err == nil {
				c.Close()
			}
			if diff := cmp.Diff(tt.want, fmt.Sprint(err)); diff != "" {
				t.Errorf("Dial's error (-want +got):\n%s", diff)
			}
			err = (&tinyproto.Server{Handler: echo}).ListenAndServe(t.Context(), "127.0.0.1:0", tt.address)
			if diff := cmp.Diff(tt.want, fmt.Sprint(err)); diff != "" {
				t.Errorf("ListenAndServe's error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestListenSaysWhichAddressCannotBeHad(t *testing.T) {
	taken := listen(t, "127.0.0.1:0").Addr().String()
	l, err := tinyproto.Listen(t.Context(), taken)
	if err == nil {
		l.Close()
	}
	want := "tinyproto: listen tcp " + taken + ": bind: address already in use"
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestOneServeAnswersOnAllItsAddresses(t *testing.T) {
	unix, _ := socket(t)
	addresses := []string{"127.0.0.1:0", "127.0.0.1:0", unix}
	if hasIPv6() {
		addresses = append(addresses, "[::1]:0")
	}
	var listeners []net.Listener
	for _, address := range addresses {
		listeners = append(listeners, listen(t, address))
	}
	run := serve(t, &tinyproto.Server{Handler: echo}, listeners...)
	var conns []*tinyproto.Conn
	for _, l := range listeners {
		address := l.Addr().String()
		if l.Addr().Network() == "unix" {
			address = unix
		}
		conns = append(conns, dial(t, address))
	}
	for i, c := range conns { // all of them are open at once
		ask(t, c, fmt.Sprint("to address ", i))
	}
	if err := run.stop(t); err != nil {
		t.Errorf("Serve returned %v", err)
	}
	for _, l := range listeners {
		if _, err := net.Dial(l.Addr().Network(), l.Addr().String()); err == nil {
			t.Errorf("%v still takes connections after Serve", l.Addr())
		}
	}
}

func TestListenAndServeServesAllItsAddresses(t *testing.T) {
	first, _ := socket(t)
	second, _ := socket(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() { // ends with ctx
		result <- (&tinyproto.Server{Handler: echo}).ListenAndServe(ctx, first, second)
	}()
	bound, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	for _, address := range []string{first, second} {
		c, err := tinyproto.Dial(t.Context(), address, nil)
		for err != nil { // until ListenAndServe has come that far
			if bound.Err() != nil {
				t.Fatal(err)
			}
			c, err = tinyproto.Dial(t.Context(), address, nil)
		}
		ask(t, c, address)
		c.Close()
	}
	cancel()
	if err := receive(t, "the return of ListenAndServe", result); err != nil {
		t.Errorf("ListenAndServe returned %v", err)
	}
}

func TestListenAndServeClosesTheOthersIfOneAddressIsInUse(t *testing.T) {
	taken := listen(t, "127.0.0.1:0").Addr().String()
	free, path := socket(t)
	err := (&tinyproto.Server{Handler: echo}).ListenAndServe(t.Context(), free, taken)
	want := "tinyproto: listen tcp " + taken + ": bind: address already in use"
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket of the first address is left, Stat says %v", err)
	}
	listen(t, free) // can be had again
}

func TestListenReplacesASocketThatNobodyListensOnAndNoOther(t *testing.T) {
	unix, path := socket(t)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tinyproto.Listen(t.Context(), unix); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Listen on a socket in use: %v, expected EADDRINUSE", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close() // as a killed program leaves it
	again, err := tinyproto.Listen(t.Context(), unix)
	if err != nil {
		t.Fatalf("Listen on an abandoned socket: %v", err)
	}
	again.Close()
	if err := os.WriteFile(path, []byte("no socket"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tinyproto.Listen(t.Context(), unix); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Listen on a file: %v, expected EADDRINUSE", err)
	}
}
