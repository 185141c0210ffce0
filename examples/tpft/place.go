package main

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

const defaultPort = "8088"

// place is one side of a copy: a local path, or a path on a server.
type place struct {
	server string // host:port; "" for a local path
	path   string
}

// parsePlace reads what the command line says. It is remote, HOST[:PORT]:PATH,
// if it has a colon with no slash before it; so "./a:b" is local. Digits
// between the first two colons are the port: "host:123:file" is "file" at port
// 123, and "host:123" is the path "123". A path that begins like that needs the
// port: "host:8088:123:file". An IPv6 address stands in brackets.
func parsePlace(arg string) (place, error) {
	if arg == "" {
		return place{}, fmt.Errorf("an empty argument is no path")
	}
	host, rest, ok := cutIPv6(arg)
	if !ok {
		colon := strings.IndexByte(arg, ':')
		if colon < 0 || strings.Contains(arg[:colon], "/") {
			return place{path: arg}, nil
		}
		host, rest = arg[:colon], arg[colon+1:]
		switch {
		case host == "":
			return place{}, fmt.Errorf("%q has no host before the colon (a local file is ./%s)", arg, arg)
		case strings.ContainsAny(host, "[]"):
			return place{}, fmt.Errorf("%q: expected [IPv6]:PATH or [IPv6]:PORT:PATH (a local file is ./%s)", arg, arg)
		}
	}
	port := defaultPort
	if digits, path, found := strings.Cut(rest, ":"); found && digits != "" && strings.Trim(digits, "0123456789") == "" {
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil || n == 0 {
			return place{}, fmt.Errorf("%q: %s is no port (a path that begins like that is %s:%s:%s)", arg, digits, host, defaultPort, rest)
		}
		port, rest = strconv.FormatUint(n, 10), path
	}
	return place{server: net.JoinHostPort(host, port), path: rest}, nil
}

// cutIPv6 cuts "[address]:" off the beginning.
func cutIPv6(arg string) (address, rest string, ok bool) {
	inner, found := strings.CutPrefix(arg, "[")
	if !found {
		return "", "", false
	}
	address, rest, found = strings.Cut(inner, "]:")
	if !found || !isIPv6(address) {
		return "", "", false
	}
	return address, rest, true
}

func isIPv6(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is6()
}

// listenAddress reads HOST[:PORT]: a name, an IPv4 address, an IPv6 address
// with or, where no port follows, without brackets, or nothing for all
// interfaces.
func listenAddress(arg string) (string, error) {
	if arg == "" {
		return "", fmt.Errorf("-l: expected HOST[:PORT], saw nothing (all interfaces are :%s)", defaultPort)
	}
	if isIPv6(arg) {
		return net.JoinHostPort(arg, defaultPort), nil
	}
	if _, rest, ok := cutIPv6(arg + ":"); ok && rest == "" {
		return arg + ":" + defaultPort, nil
	}
	if !strings.Contains(arg, ":") {
		arg += ":" + defaultPort
	}
	host, port, err := net.SplitHostPort(arg)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || strings.Contains(host, "/") {
		return "", fmt.Errorf("-l %s: expected HOST[:PORT], with an IPv6 address in brackets", arg)
	}
	return arg, nil
}

// base returns the last element of a remote path, "" if that is no name.
func base(path string) string {
	path = strings.TrimRight(path, "/")
	name := path[strings.LastIndexByte(path, '/')+1:]
	if name == "." || name == ".." {
		return ""
	}
	return name
}

// join returns the remote path of a name in a directory. The directory "" is
// the one that the server serves.
func join(dir, name string) string {
	switch {
	case dir == "" || name == "":
		return dir + name
	case strings.HasSuffix(dir, "/"):
		return dir + name
	}
	return dir + "/" + name
}
